// `purser approve`: lets go of what the guards hold back: removals, and replacing many nodes that
// were lost at once.
// In: jobs, --all or --nodes. Out: a ledger record of who allowed what. Shows it and asks first
// (rules 8.2, 9.1).

import { randomUUID } from 'node:crypto';
import { heldWords } from '../schema/held-words.ts';
import type { HeldFile, LedgerRecord } from '../schema/ledger.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import { confirm } from './confirm.ts';
import type { ReadyState } from './state.ts';
import { ask, findJob, readyState } from './state.ts';
import { person } from './write.ts';

export const approve: CommandSpec = {
  usage: 'approve [jobs...]',
  summary: 'allow removals that wait for a person',
  completes: 'job',
  examples: [
    ['purser approve', 'shows what waits'],
    ['purser approve web store', 'the removals of two jobs'],
    ['purser approve --all --yes', 'all removals, without being asked'],
    ['purser approve --nodes', 'replace what ran on nodes that were lost at once'],
    ['purser approve --files', 'let through changed files whose owner you are'],
  ],
  exits:
    '0 allowed, or shown; 1 nothing waits, it was not allowed, or nobody could be asked; 2 an error',
  define: (command) =>
    command
      .option('-a, --all', 'all removals that wait')
      .option('--nodes', 'nodes that were lost at once')
      .option('--files', 'changed files that wait for their owner')
      .option('-y, --yes', 'do not ask'),
  run: async (invocation) => {
    const { args, options, common, io } = invocation;
    const state = await readyState(common);
    const waiting = state.view.plan.guarded;
    const lost = state.view.plan.massLoss ?? [];
    const held = (state.view.desired.heldFiles ?? []).filter(({ by }) => by !== '');
    if (options['files'] === true) return approveFiles(invocation, state, held);
    if (args.length === 0 && options['all'] !== true && options['nodes'] !== true) {
      const waits = { removals: waiting, nodes: lost, files: held };
      if (common.json) io.out(JSON.stringify(waits, null, 2));
      else for (const line of waitingLines(state, lost)) io.out(line);
      return 0;
    }
    const jobs = new Set(args.map((name) => waitingJob(state, name)));
    const chosen = options['all'] === true ? waiting : waiting.filter(({ job }) => jobs.has(job));
    const idle = [...jobs].find((job) => !waiting.some((one) => one.job === job));
    if (idle !== undefined) throw new CommandError(`nothing of ${idle} waits for approval`, 1);
    const slots = chosen.flatMap((one) => one.slots);
    const nodes = options['nodes'] === true ? lost : [];
    if (slots.length + nodes.length === 0) throw new CommandError('nothing waits for approval', 1);
    const me = await person(state.repository);
    for (const { job } of chosen) refuseOwn(state, job, me.email);
    if (!common.json) {
      for (const slot of slots) io.out(`  stops and does not come back: ${slot}`);
      for (const node of nodes) io.out(`  is taken for lost, its copies are replaced: ${node}`);
    }
    if (!(await confirm(invocation, 'Allow this?'))) return 1;
    const record: LedgerRecord = {
      kind: 'approval',
      id: randomUUID(),
      by: me.email,
      at: new Date().toISOString(),
      commit: state.view.desired.commit.oid,
      slots,
      nodes,
      used: false,
    };
    await ask(common, 'record', { records: [record] });
    if (common.json) io.out(JSON.stringify(record));
    else io.out(`Approved by ${me.email}.`);
    return 0;
  },
};

/** Rules 8.2: as an owner by e-mail address; accounts of a forge approve there. */
const approveFiles = async (
  invocation: Invocation,
  state: ReadyState,
  held: readonly HeldFile[],
): Promise<number> => {
  const { common, io } = invocation;
  if (held.length === 0) throw new CommandError('no file waits for an owner', 1);
  const { email } = await person(state.repository);
  const me = email.toLowerCase();
  const mine = held.filter(({ owners }) => owners.some((owner) => owner.toLowerCase() === me));
  if (mine.length === 0) {
    const owners = [...new Set(held.flatMap((one) => one.owners))].join(', ');
    throw new CommandError(
      `${email} owns none of the files that wait; their owners are ${owners}. ` +
        'Accounts and teams of a forge approve there: by a review, or the button of the check',
      1,
    );
  }
  const { ownApproval } = state.view.desired.cluster;
  const own = mine.find(({ by }) => by.toLowerCase().split(', ').includes(me));
  if (own !== undefined && !ownApproval) {
    throw new CommandError(
      `${own.path} is your own change (${email}): another owner must approve it, or cluster.yaml says \`guards: {own_approval: true}\``,
      1,
    );
  }
  if (!common.json) for (const one of mine) io.out(`  counts from now on: ${one.path}`);
  if (!(await confirm(invocation, 'Allow this?'))) return 1;
  const record: LedgerRecord = {
    kind: 'approval',
    id: randomUUID(),
    by: email,
    at: new Date().toISOString(),
    commit: state.view.desired.commit.oid,
    slots: [],
    nodes: [],
    files: mine.map(({ path, blob }) => ({ path, blob })),
    as: [me],
    used: false,
  };
  await ask(common, 'record', { records: [record] });
  io.out(common.json ? JSON.stringify(record) : `Approved by ${email}.`);
  return 0;
};

/** By its id, or by its name where one job of that name waits; Git may no longer have it. */
const waitingJob = (state: ReadyState, name: string): string => {
  const named = state.view.plan.guarded.filter(
    ({ job }) => job === name || job.endsWith(`/${name}`),
  );
  const [only, ...rest] = named.map(({ job }) => job);
  return only !== undefined && rest.length === 0 ? only : findJob(state, name).id;
};

const waitingLines = ({ view }: ReadyState, lost: readonly string[]): readonly string[] => {
  const removals = view.plan.guarded.flatMap(({ job, slots, why }) => [
    `${job}: ${why}`,
    ...slots.map((slot) => `  would stop: ${slot}`),
  ]);
  const nodes = lost.length === 0 ? [] : [`Lost at once: ${lost.join(', ')}`];
  const held = (view.desired.heldFiles ?? []).filter(({ by }) => by !== '');
  const files = held.map(heldWords);
  if (removals.length + nodes.length === 0) {
    const howFiles = 'To let them through: purser approve --files. Else revert the commit.';
    return files.length === 0 ? ['Nothing waits for approval.'] : [...files, '', howFiles];
  }
  const how = removals.length > 0 ? 'purser approve JOB, or --all' : 'purser approve --nodes';
  return [
    ...removals,
    ...nodes,
    ...files,
    '',
    `To allow it: ${how}. To keep it: revert the commit.`,
  ];
};

/** Rules 8.2: four eyes, unless cluster.yaml says that two are enough. The planner asks again. */
const refuseOwn = ({ view }: ReadyState, job: string, email: string): void => {
  const { cluster, commit, removers } = view.desired;
  const authors = removers?.get(job) ?? [commit.email];
  const isMine = authors.some((author) => author.toLowerCase() === email.toLowerCase());
  if (cluster.ownApproval || !isMine) return;
  throw new CommandError(
    `the removal of ${job} is your own (${email}): somebody else must approve it, or cluster.yaml says \`guards: {own_approval: true}\``,
    1,
  );
};
