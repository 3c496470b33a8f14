// `purser explain JOB`: everything that is known about why a job is as it is, and what would change
// that.
// In: the newest view and the ledger. Out: text in the order of questions: what is wanted, how far
// it is, what runs, what it waits for, what it would go back to, what can be done. Not here: the
// plan itself (reconciler).

import { pc } from './colours.ts';
import { failureWords, orderWords } from '../schema/copy-words.ts';
import type { HistoryCommit } from '../schema/control.ts';
import type { DesiredJob } from '../schema/desired.ts';
import { unprovenWords } from '../schema/held-words.ts';
import type { Ledger } from '../schema/ledger.ts';
import type { LiveAllocation, LiveState } from '../schema/live.ts';
import type { Blocked, DeploymentView, Plan, WaitReason } from '../schema/plan.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import { toJson } from '../schema/snapshot.ts';
import { formatAge, formatDuration } from '../schema/units.ts';
import { problemLine } from '../reconciler/render/plan-text.ts';
import { remedyFor } from '../reconciler/plan/remedy.ts';
import { blockedLines, many, STATUS_WORDS, stepWords } from '../reconciler/render/words.ts';
import type { CommandSpec } from './command.ts';
import type { ReadyState } from './state.ts';
import { ask, copiesOf, findJob, gitTroubles, readyState, shortSlot } from './state.ts';

/** Versions that are listed; older ones are in `purser history JOB`. */
const VERSIONS_SHOWN = 5;

/** Commits of the job among which the one that brought the version in is looked for. */
const HISTORY_LOOKED_AT = 100;

export const explain: CommandSpec = {
  usage: 'explain <job>',
  summary: 'say why a job is as it is, and what would change that',
  completes: 'job',
  examples: [
    ['purser explain web', 'version, copies, what it waits for, what it would go back to'],
    ['purser explain web --json', 'the same for programs'],
  ],
  define: (command) => command,
  run: async ({ args, common, io }) => {
    const [state, { tree }] = await Promise.all([
      readyState(common),
      ask<Snapshot>(common, 'snapshot'),
    ]);
    const job = findJob(state, args[0] ?? '');
    const asked = { limit: HISTORY_LOOKED_AT, job: job.id };
    const commits = await ask<readonly HistoryCommit[]>(common, 'history', asked);
    const commit = commits.find(({ oid }) => oid === job.commit.oid) ?? job.commit;
    const first = job.sameAs;
    const sameAs =
      first === undefined ? null : (commits.find(({ oid }) => oid === first) ?? unknown(first));
    const facts = { ...factsOf(state, { ...job, commit }, tree.ledger), sameAs };
    if (common.json) io.out(toJson(facts, 2));
    else io.out(textOf(facts).join('\n'));
    return 0;
  },
};

type Facts = ReturnType<typeof factsOf> & {
  /** The commit with which a version that came back settled first; null: it did not come back. */
  readonly sameAs: DesiredJob['commit'] | null;
};

const unknown = (oid: string): DesiredJob['commit'] => ({
  oid,
  author: '',
  email: '',
  subject: '',
});

const factsOf = (state: ReadyState, job: DesiredJob, ledger: Ledger) => {
  const { plan, wakesInMs, desired, live } = state.view;
  const settled = ledger
    .flatMap((record) => (record.kind === 'settled' && record.job === job.id ? [record] : []))
    .toReversed();
  const waits = plan.blocked.filter((blocked) => blocked.job === job.id);
  const guarded = plan.guarded.filter((one) => one.job === job.id);
  const deployment = plan.deployments.find((view) => view.job === job.id) ?? null;
  return {
    job,
    deployment,
    head: desired.commit,
    copies: copiesOf(state, job.id),
    unreachable: unreachable(live),
    steps: plan.steps.filter((step) => step.job === job.id),
    waits,
    guarded,
    failure: state.failure,
    write: state.write,
    problems: plan.problems.filter(({ file }) => file === job.file),
    unproven: (desired.unprovenFiles ?? []).filter(({ path }) => path === job.file),
    settled: settled.map(({ specHash, commit }) => ({ specHash, commit })),
    failed: failedVersions(ledger, job.id),
    /** When the answer could change by itself; null: not without new input. */
    looksAgainInMs: waits.some(changesByItself) ? wakesInMs : null,
    remedies: remediesOf(job, deployment, { waits, guarded }),
  };
};

/** These wait for a person or for room, however long it takes. */
const NOT_BY_ITSELF: ReadonlySet<WaitReason> = new Set([
  'held',
  'canary',
  'paused',
  'failed',
  'guard',
  'quota',
  'rename',
  'stopped-sync',
  'revert-impossible',
  'node-unseen',
]);

const changesByItself = (wait: Blocked): boolean =>
  wait.kind === 'waiting' && !NOT_BY_ITSELF.has(wait.why);

/** Newest first; `revertedBy` is the machine's commit, null where there is none. */
const failedVersions = (ledger: Ledger, job: string) => {
  const reverts = new Map(
    ledger.flatMap((record): readonly (readonly [string, string])[] =>
      record.kind === 'reverted' ? [[record.deployment, record.commit]] : [],
    ),
  );
  return ledger
    .flatMap((record) => (record.kind === 'failed' && record.job === job ? [record] : []))
    .map(({ specHash, commit, deployment, evidence: { reason } }) => ({
      specHash,
      commit,
      reason,
      revertedBy: reverts.get(deployment) ?? null,
    }))
    .toReversed();
};

const unreachable = ({ nodes }: LiveState): readonly string[] =>
  nodes.filter(({ connected }) => !connected).map(({ name }) => name);

const remediesOf = (
  job: DesiredJob,
  deployment: DeploymentView | null,
  { waits, guarded }: Pick<Plan, 'guarded'> & { readonly waits: readonly Blocked[] },
): readonly string[] => {
  const { id, standing, file } = job;
  const fromWaits = waits.flatMap((one) =>
    one.kind === 'waiting' && one.remedy !== null ? [one.remedy] : [],
  );
  const byStatus: Partial<Record<DeploymentView['status'], string>> = {
    degraded: remedyFor(job),
    failed: remedyFor(job),
    paused: `purser resume ${id}`,
    canary: `purser promote ${id}`,
    stopped: `purser start ${id}`,
  };
  const own = deployment === null ? undefined : byStatus[deployment.status];
  const held = standing.kind === 'held' ? [`correct ${file}: purser validate`] : [];
  const removed =
    standing.kind === 'removed' ? [`purser approve ${id}, or bring ${file} back`] : [];
  const fewer =
    guarded.length > 0 && standing.kind !== 'removed'
      ? [`purser approve ${id}, or raise its count in ${file}`]
      : [];
  const all = [...fromWaits, ...(own === undefined ? [] : [own]), ...held, ...removed, ...fewer];
  return [...new Set(all)];
};

const textOf = (facts: Facts): readonly string[] => [
  ...gitTroubles(facts).map((trouble) => pc.red(`! ${trouble}`)),
  ...wantedLines(facts),
  ...section('Copies', facts.copies.flatMap(copyLines)),
  ...section('Happens now', facts.steps.map(stepWords)),
  ...section('Waits', waitLines(facts)),
  ...section(
    'Waits for approval',
    facts.guarded.map(({ slots, why }) => `${slots.join(', ')}: ${why}`),
  ),
  ...section('Problems', facts.problems.map(problemLine)),
  ...section('Goes back to', revertLines(facts.job)),
  ...section('Settled versions, newest first', settledLines(facts)),
  ...section('Failed versions, newest first', failedLines(facts)),
  ...section('What you can do', facts.remedies),
];

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : ['', pc.bold(title), ...lines.map((line) => `  ${line}`)];

const wantedLines = ({ job, deployment, sameAs, unproven }: Facts): readonly string[] => {
  const { spec, commit, standing } = job;
  const row = (name: string, value: string) => `  ${name.padEnd(12)}${value}`;
  const status = deployment === null ? 'not planned' : STATUS_WORDS[deployment.status];
  const reason = deployment?.reason ?? null;
  const marks = [
    ...(job.settled ? ['settled'] : ['not settled yet']),
    ...(job.isRollback && !job.settled ? ['a rollback: settled before'] : []),
    ...(job.failed === null ? [] : ['failed']),
  ];
  return [
    `${pc.bold(job.id)}  ${status}${reason === null ? '' : `: ${reason}`}`,
    row('file', `${job.file}, priority ${spec.priority}`),
    row('version', `${spec.specHash.slice(0, 12)} (${marks.join(', ')})`),
    row('commit', commitWords(commit)),
    ...(sameAs === null ? [] : [row('same as', commitWords(sameAs))]),
    row('deployment', job.deployment),
    ...unproven.map((file) => row('not proof', unprovenWords(file))),
    ...(standing.kind === 'held' ? [row('held', standing.why)] : []),
    ...(standing.kind === 'removed' ? [row('removed', 'its file is gone from HEAD')] : []),
    ...(job.unresolved === null ? [] : [row('image', job.unresolved.message)]),
    ...(deployment?.groups ?? []).map((group) =>
      row(
        'group',
        `${group.group}: ${group.wanted} wanted, ${group.updated} of this version (${group.healthy} healthy), ${group.live} live in all`,
      ),
    ),
  ];
};

/** A commit beyond the history that was looked at has an id only. */
const commitWords = ({ oid, author, subject }: DesiredJob['commit']): string =>
  author === '' ? oid.slice(0, 12) : `${oid.slice(0, 12)} by ${author}: ${subject}`;

const copyLines = (copy: LiveAllocation): readonly string[] => {
  const { runningForMs, healthyForMs, deadForMs, failure, body } = copy;
  const age = (name: string, ms: number | null) =>
    ms === null ? [] : [`${name} ${formatAge(ms)}`];
  const facts = [
    copy.phase === 'running' ? copy.health : copy.phase,
    `version ${body.specHash.slice(0, 12)}`,
    ...age('runs', copy.phase === 'running' ? runningForMs : null),
    ...age('healthy', healthyForMs),
    ...age('dead', deadForMs),
    ...(copy.stopping ? ['is being stopped'] : []),
  ];
  const tasks = copy.tasks.flatMap((task) => [
    ...(task.restarts > 0 ? [`${task.name}: ${many(task.restarts, 'restart')}`] : []),
    ...(task.lastCheck !== null && task.health !== 'healthy'
      ? [`${task.name}: ${task.lastCheck}`]
      : []),
  ]);
  const failed =
    failure === null
      ? []
      : [
          `${failureWords(copy) ?? ''} (${formatAge(failure.ageMs)} ago, blamed on the ${failure.blame})`,
        ];
  return [
    `${shortSlot(copy)} on ${copy.node}: ${facts.join(', ')}`,
    ...[...orderWords(copy), ...tasks, ...failed].map((line) => `    ${line}`),
  ];
};

const waitLines = ({ waits, looksAgainInMs, unreachable: cut }: Facts): readonly string[] => {
  if (waits.length === 0) return [];
  const until =
    looksAgainInMs === null
      ? 'Nothing changes by itself: it takes a commit, an approval or a report of a node.'
      : `The next thing that changes by itself comes in ${formatDuration(Math.max(1000, Math.round(looksAgainInMs / 1000) * 1000))}.`;
  const nodes = cut.length === 0 ? [] : [`Not connected: ${cut.join(', ')}.`];
  return [...blockedLines(waits), until, ...nodes];
};

const revertLines = (job: DesiredJob): readonly string[] => {
  const { revert, settled, isRollback, spec, id } = job;
  if (job.isOnlySettled === true) return ['nothing: no earlier version has settled'];
  if (settled) return [`by hand only, as this version has settled: purser rollback ${id}`];
  if (revert.kind === 'impossible') return [`nothing: ${revert.why}`];
  const how =
    spec.update.autoRevert && !isRollback
      ? 'by itself if it fails'
      : `by hand: purser rollback ${id}`;
  const files = revert.edits.map(({ path }) => path).join(', ');
  return [
    `${revert.specHash.slice(0, 12)} of commit ${revert.commit.slice(0, 12)}, ${how} (${files})`,
  ];
};

const settledLines = ({ settled }: Facts): readonly string[] =>
  newest(
    settled.map(
      ({ specHash, commit }) => `${specHash.slice(0, 12)}  commit ${commit.slice(0, 12)}`,
    ),
  );

const failedLines = ({ failed }: Facts): readonly string[] =>
  newest(
    failed.map(({ specHash, commit, reason, revertedBy }) => {
      const way = revertedBy === null ? '' : `, reverted by ${revertedBy.slice(0, 12)}`;
      return `${specHash.slice(0, 12)}  commit ${commit.slice(0, 12)}: ${reason}${way}`;
    }),
  );

const newest = (lines: readonly string[]): readonly string[] => {
  const rest = lines.length - VERSIONS_SHOWN;
  const shown = lines.slice(0, VERSIONS_SHOWN);
  return rest > 0 ? [...shown, `… and ${rest} more`] : shown;
};
