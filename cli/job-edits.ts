// Commands that edit one job's file and commit it: scale, stop, restart, pause, resume, promote.

import type { CommandSpec, Common, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import type { DesiredJob } from '../schema/desired.ts';
import { findJob, readyState } from './state.ts';
import { ask } from './state.ts';
import type { YamlEdit } from '../schema/yaml-edit.ts';
import { editFile, followJob, lookingAgain, tell } from './write.ts';

interface JobEdit {
  readonly usage: string;
  readonly summary: string;
  readonly example: readonly [string, string];
  readonly edits: (job: DesiredJob) => readonly YamlEdit[];
  readonly message: (job: DesiredJob) => string;
  /** Why the commit would mean nothing; null: it would. */
  readonly refuse?: (job: DesiredJob) => string | null;
}

const FOLLOWED = '0 done, 1 it did not come so far or waits for a person, 2 an error';

const jobCommand = (edit: JobEdit): CommandSpec => ({
  usage: edit.usage,
  summary: `${edit.summary} (writes a commit)`,
  completes: 'job',
  examples: [edit.example],
  exits: FOLLOWED,
  define: (command) => command.option('-d, --detach', 'do not wait for the rollout'),
  run: async (invocation) => {
    const { args, common } = invocation;
    const { job, message, commit } = await lookingAgain(() => edited(edit, common, args[0] ?? ''));
    tell(invocation, commit, message);
    return finish(invocation, job.id, commit);
  },
});

const edited = async (edit: JobEdit, common: Common, name: string) => {
  const job = findJob(await readyState(common), name);
  const refused = edit.refuse?.(job) ?? null;
  if (refused !== null) throw new CommandError(refused, 1);
  const [edits, message] = [edit.edits(job), edit.message(job)];
  const commit = await editFile({ common, path: job.file, edits, message, fresh: null });
  return { job, message, commit };
};

const finish = async (
  invocation: Invocation,
  job: string,
  commit: string | null,
): Promise<number> => {
  if (commit === null || invocation.options['detach'] === true) return 0;
  return followJob(invocation, job, commit);
};

export const stop = jobCommand({
  usage: 'stop <job>',
  summary: 'stop all copies of a job; its volumes stay',
  example: ['purser stop web', 'writes `stopped: true`; `purser restart` does not undo it'],
  edits: () => [{ pointer: '/stopped', value: true }],
  message: ({ id }) => `Stop ${id}`,
});

export const start = jobCommand({
  usage: 'start <job>',
  summary: 'start a job that was stopped',
  example: ['purser start web', 'takes `stopped: true` out again'],
  edits: () => [{ pointer: '/stopped', value: undefined }],
  message: ({ id }) => `Start ${id}`,
});

export const restart = jobCommand({
  usage: 'restart <job>',
  summary: 'replace all copies of a job by fresh ones, rolling',
  example: ['purser restart web', 'writes `restarted_at`, which forms the version'],
  edits: () => [{ pointer: '/restarted_at', value: new Date().toISOString() }],
  message: ({ id }) => `Restart ${id}`,
});

export const pause = jobCommand({
  usage: 'pause <job>',
  summary: 'pause the rollout of a job',
  example: ['purser pause web', 'writes `update.paused: true`'],
  edits: () => [{ pointer: '/update/paused', value: true }],
  message: ({ id }) => `Pause the rollout of ${id}`,
});

export const promote = jobCommand({
  usage: 'promote <job>',
  summary: 'promote the canaries of a job',
  example: ['purser promote web', 'the new version goes on to all copies'],
  refuse: ({ id, settled, spec }) =>
    spec.update.canary === 0 || settled
      ? `${id} has no canaries that wait: there is nothing to promote`
      : null,
  edits: ({ spec }) => [{ pointer: '/update/promote', value: spec.specHash.slice(0, 12) }],
  message: ({ id, spec }) => `Promote ${id} ${spec.specHash.slice(0, 12)}`,
});

/** `resume JOB`, and `resume --at COMMIT` after the branch was rewritten (rules 12.1). */
export const resume: CommandSpec = {
  usage: 'resume [job]',
  summary: 'resume a paused rollout, or automation, or syncing after a rewrite',
  completes: 'job',
  examples: [
    ['purser resume web', 'takes `update.paused` out again (writes a commit)'],
    ['purser resume --at $(git rev-parse main)', 'goes on from there after a rewrite'],
    [
      'purser resume --ledger $(git rev-parse refs/purser/shop/ledger)',
      'goes on from a ledger that was set back, or replaced',
    ],
  ],
  exits: FOLLOWED,
  define: (command) =>
    command
      .option('--at <commit>', 'the commit of the rewritten branch to go on from')
      .option('--ledger <commit>', 'the commit to go on from of a ledger that was set back')
      .option('-d, --detach', 'do not wait for the rollout'),
  run: async (invocation) => {
    const { args, options, common, io } = invocation;
    if (typeof options['ledger'] === 'string') {
      const ledger = wholeId('--ledger', options['ledger']);
      await ask(common, 'record', { records: [], ledger });
      io.out(`The ledger goes on from ${ledger}`);
      return 0;
    }
    if (typeof options['at'] === 'string') {
      const commit = wholeId('--at', options['at']);
      const record = {
        kind: 'resume',
        commit,
        by: process.env['USER'] ?? 'root',
        at: new Date().toISOString(),
      };
      await ask(common, 'record', { records: [record] });
      io.out(`Resumed at ${commit}`);
      return 0;
    }
    if (args[0] === undefined) throw new CommandError('name a job, or a commit with --at');
    const [name] = args;
    const { job, message, commit } = await lookingAgain(() => resumed(common, name));
    tell(invocation, commit, message);
    return finish(invocation, job.id, commit);
  },
};

const wholeId = (option: string, commit: string): string => {
  if (/^[0-9a-f]{40}$/.test(commit)) return commit;
  throw new CommandError(
    `${option} takes a whole commit id: 40 hex characters, as \`git rev-parse\` prints it`,
  );
};

const resumed = async (common: Common, name: string) => {
  const job = findJob(await readyState(common), name);
  const message = `Resume the rollout of ${job.id}`;
  const edit = (value: false | undefined) => {
    const edits = [{ pointer: '/update/paused', value }];
    return editFile({ common, path: job.file, edits, message, fresh: null });
  };
  // What automation wrote waits for a commit that touches the file: it says what holds anyway.
  const commit =
    (await edit(undefined)) ?? (job.automation === undefined ? null : await edit(false));
  return { job, message, commit };
};

/** `scale JOB[/GROUP]=N`: edits the file that owns the count (rules 7). */
export const scale: CommandSpec = {
  usage: 'scale <job=count>',
  summary: 'change the number of copies (writes a commit)',
  completes: 'job',
  examples: [
    ['purser scale web=5', 'the count of a job with one group'],
    ['purser scale web/api=2', 'of one group'],
  ],
  exits: FOLLOWED,
  define: (command) => command.option('-d, --detach', 'do not wait for the copies'),
  run: async (invocation) => {
    const { args, common } = invocation;
    const match = /^(?<name>[^=]+)=(?<count>\d+)$/.exec(args[0] ?? '');
    const { name, count } = match?.groups ?? {};
    if (name === undefined || count === undefined) {
      throw new CommandError('write JOB=COUNT or JOB/GROUP=COUNT, such as web=5');
    }
    const made = await lookingAgain(() => scaled(common, name, Number(count)));
    tell(invocation, made.commit, made.message);
    return finish(invocation, made.job.id, made.commit);
  },
};

const scaled = async (common: Common, name: string, count: number) => {
  const state = await readyState(common);
  const { job, group } = jobAndGroup(state, name);
  const found = job.spec.groups.find((one) => one.name === group);
  if (found === undefined) {
    const names = job.spec.groups.map((one) => one.name).join(', ');
    throw new CommandError(`${job.id} has no group \`${group}\`; it has ${names}`);
  }
  const { scale: limits } = found;
  if (limits !== null && (count < limits.min || count > limits.max)) {
    throw new CommandError(
      `${job.id} scales from ${limits.min} to ${limits.max}: change \`count\` in ${job.file} first`,
    );
  }
  const owner = await ownerOf(common, job, found);
  const message = `Scale ${job.id}${group === job.spec.job ? '' : `/${group}`} to ${count}`;
  const edits = [{ pointer: owner.pointer, value: count }];
  const commit = await editFile({ common, path: owner.path, edits, message, fresh: owner.fresh });
  return { job, message, commit };
};

const jobAndGroup = (state: Parameters<typeof findJob>[0], name: string) => {
  const jobs = state.view.desired.jobs;
  const whole = jobs.filter(({ id, spec }) => id === name || spec.job === name);
  if (whole.length > 0) {
    const job = findJob(state, name);
    const only = job.spec.groups.length === 1 ? job.spec.groups[0]?.name : undefined;
    if (only === undefined) {
      throw new CommandError(`${job.id} has several groups: write ${job.id}/GROUP=COUNT`);
    }
    return { job, group: only };
  }
  const cut = name.lastIndexOf('/');
  return { job: findJob(state, cut < 0 ? name : name.slice(0, cut)), group: name.slice(cut + 1) };
};

/** The file and the place in it that own a group's count. */
const ownerOf = async (
  common: Invocation['common'],
  job: DesiredJob,
  group: DesiredJob['spec']['groups'][number],
) => {
  if (group.scale !== null) {
    const path = `scale/${job.id}.yaml`;
    return {
      path,
      pointer: `/${group.name}`,
      fresh: '# Written by machines and `purser scale`.\n',
    };
  }
  const { text } = await ask<{ readonly text: string | null }>(common, 'file', { path: job.file });
  const long = text !== null && /^groups:/m.test(text);
  const pointer = long ? `/groups/${group.name}/count` : '/count';
  return { path: job.file, pointer, fresh: null };
};
