// The state of a commit as Markdown: its jobs, what failed and why, what waits.
// In: a view of the cluster, what may be shown. Out: blocks by importance. Log lines only where the
// namespace allows them (rules 6.4). Not here: status and title (sync-check).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { heldWords } from '../../schema/held-words.ts';
import type { Evidence, HeldFile } from '../../schema/ledger.ts';
import type { LiveState } from '../../schema/live.ts';
import type { DeploymentView, Plan } from '../../schema/plan.ts';
import { listsOf } from '../../schema/lists.ts';
import { plainLine } from '../../schema/plain.ts';
import { hideSecrets, maskedLine, secretsOf } from '../../schema/secret-text.ts';
import { RANK, paragraph, type Block } from './cut.ts';
import { code, codeInHtml, fenced, fold, row, sentence, tableHead } from './markdown.ts';
import { problemItems } from './problem-items.ts';
import { concernOf, sumOf, waveOf } from './sync-jobs.ts';
import type { Visibility } from './visibility.ts';
import { many, NEEDS_PERSON, STATUS_WORDS, waitingLines } from './words.ts';

export interface SyncView {
  readonly desired: DesiredState;
  readonly live: LiveState;
  readonly plan: Plan;
  /** It was in sync once. Absent: not as far as anybody knows. */
  readonly wasSynced?: boolean;
  /** HEAD took another commit back. Absent: it did not, as far as it says itself. */
  readonly isReturn?: boolean;
}

interface Blocks {
  readonly summary: readonly Block[];
  readonly text: readonly Block[];
}

export interface Failure {
  readonly job: string;
  readonly evidence: Evidence;
}

/** Copies of one job whose failure is shown; more tell nothing new. */
const COPIES_SHOWN = 5;

export const stateBlocks = (
  view: SyncView,
  { visibility, verdict }: { readonly visibility: Visibility; readonly verdict: string },
): Blocks => {
  const { desired, plan } = view;
  const { open, own } = concernOf(desired, plan);
  const shown = [...open, ...own];
  const seen = shown.filter(({ job }) => visibility.job(job));
  const failures = failureBlocks(failuresOf(view, seen), visibility);
  const rest = plan.deployments.length - shown.length;
  const hidden = shown.length - seen.length;
  const notes = [
    ...(hidden === 0
      ? []
      : [`${many(hidden, 'job')} not shown here: see ${code('plan_visibility')}.`]),
    ...(rest === 0 ? [] : [atRest(rest, shown.length === 0)]),
  ];
  return {
    summary: [
      paragraph(verdict, RANK.verdict),
      ...failures.summary,
      heldBlock(desired.heldFiles ?? [], '**Waits for owners**\n'),
      jobsBlock(view, seen),
      waitsBlock(view, visibility),
      problemsBlock(view),
      ...(notes.length === 0 ? [] : [paragraph(notes.join(' '), RANK.detail)]),
    ],
    text: failures.text,
  };
};

/** Nothing is under way in them, whether or not the commit touches them. */
const atRest = (count: number, isAll: boolean): string => {
  if (count === 1) return `The ${isAll ? 'one' : 'other'} job is at rest.`;
  return `${isAll ? 'All' : 'The other'} ${count} jobs are at rest.`;
};

const jobsBlock = ({ desired }: SyncView, views: readonly DeploymentView[]): Block => {
  const jobs = new Map(desired.jobs.map((job) => [job.id, job]));
  return {
    open: tableHead(['job', 'version', 'healthy', 'state', 'wave']),
    rows: views.map((view) => ({
      text: () => jobRow(view, jobs.get(view.job)),
      rank: NEEDS_PERSON.has(view.status) ? RANK.harm : RANK.change,
    })),
    close: '',
    noun: 'job',
  };
};

const jobRow = (view: DeploymentView, job: DesiredJob | undefined): string => {
  const { healthy, wanted } = sumOf([view]);
  const wave = waveOf(view, job);
  const reason = view.reason === null ? '' : `: ${sentence(view.reason)}`;
  return row([
    code(view.job),
    code(view.specHash.slice(0, 12)),
    `${healthy} of ${wanted}`,
    `${STATUS_WORDS[view.status]}${reason}`,
    wave === null ? '' : `${wave.at} of ${wave.of}`,
  ]);
};

const waitsBlock = ({ plan }: SyncView, visibility: Visibility): Block => ({
  open: '**Waiting**\n',
  rows: waitingLines({
    blocked: plan.blocked.filter(({ job }) => visibility.job(job)),
    guarded: plan.guarded.filter(({ job }) => visibility.job(job)),
  }).map((line) => ({ text: () => `- ${sentence(line)}`, rank: RANK.detail })),
  close: '',
  noun: 'line',
});

/** Each with whose approval it lacks, and since which commit. */
export const heldBlock = (held: readonly HeldFile[], open: string): Block => ({
  open,
  rows: held.map((one) => ({ text: () => `- ${sentence(heldWords(one))}.`, rank: RANK.verdict })),
  close: '',
  noun: 'file',
});

const problemsBlock = ({ plan }: SyncView): Block => ({
  open: '**Problems**\n',
  // What waits for owners is said above.
  rows: problemItems(plan.problems.filter(({ code: of }) => of !== 'owners-wait')).map(
    ({ severity, text }) => ({
      text: () => `- ${text()}`,
      rank: severity === 'error' ? RANK.verdict : RANK.background,
    }),
  ),
  close: '',
  noun: 'line',
});

/** A view without values that are secret: a title and a table are read by as many as a log is. */
export const shownView = (view: SyncView): SyncView => {
  const secretsIn = createSecrets(view);
  const { deployments, blocked } = view.plan;
  const hide = (job: string, text: string): string => hideSecrets(text, secretsIn(job));
  const plan = {
    ...view.plan,
    deployments: deployments.map((one) =>
      one.reason === null ? one : { ...one, reason: hide(one.job, one.reason) },
    ),
    blocked: blocked.map((one) =>
      one.kind === 'waiting' ? { ...one, detail: hide(one.job, one.detail) } : one,
    ),
  };
  return { ...view, plan };
};

/** Of a job, in all versions of it that have copies, those that died included. */
const createSecrets = ({ desired, live }: SyncView): ((job: string) => readonly string[]) => {
  const jobs = new Map(desired.jobs.map((job) => [job.id, job]));
  let copies: ReturnType<typeof copiesOf> | null = null;
  const known = new Map<string, readonly string[]>();
  return (job) => {
    const before = known.get(job);
    if (before !== undefined) return before;
    copies ??= copiesOf(live);
    const wanted = jobs.get(job);
    const there = (copies.get(job) ?? []).map(({ body }) => body.spec);
    const groups = [...(wanted?.spec.groups ?? []), ...(wanted?.fallback?.spec.groups ?? [])];
    const made = [...new Set(secretsOf({ groups: [...groups, ...there] }))];
    known.set(job, made);
    return made;
  };
};

const copiesOf = ({ nodes }: LiveState) =>
  listsOf(
    nodes.flatMap(({ allocations }) => allocations),
    ({ body }) => `${body.namespace}/${body.job}`,
  );

/** What the ledger's mark says; of a job without one, the last words of its copies. */
const failuresOf = (view: SyncView, views: readonly DeploymentView[]): readonly Failure[] => {
  const { desired, live } = view;
  const bad = views.filter(({ status }) => NEEDS_PERSON.has(status));
  if (bad.length === 0) return [];
  const jobs = new Map(desired.jobs.map((job) => [job.id, job]));
  const copies = copiesOf(live);
  const secretsIn = createSecrets(view);
  return bad.flatMap(({ job, reason }): readonly Failure[] => {
    const marked = jobs.get(job)?.failed ?? null;
    const secrets = secretsIn(job);
    if (marked !== null) return [{ job, evidence: withoutSecrets(marked.evidence, secrets) }];
    const allocations = (copies.get(job) ?? []).flatMap(({ allocation, node, failure, health }) =>
      failure === null || health === 'healthy'
        ? []
        : [
            {
              allocation,
              node,
              task: failure.task,
              message: failure.message,
              ...(failure.log === undefined ? {} : { log: failure.log }),
            },
          ],
    );
    if (allocations.length === 0) return [];
    const found = { reason: reason ?? 'copies fail', allocations };
    return [{ job, evidence: withoutSecrets(found, secrets) }];
  });
};

const withoutSecrets = (
  { reason, allocations }: Evidence,
  secrets: readonly string[],
): Evidence => ({
  reason: hideSecrets(reason, secrets),
  allocations: allocations.map(({ log, ...one }) => ({
    ...one,
    message: hideSecrets(one.message, secrets),
    ...(log === undefined ? {} : { log: log.map((line) => maskedLine(line, secrets)) }),
  })),
});

/** One line a failure in the summary, the logs behind folds. */
export const failureBlocks = (failures: readonly Failure[], visibility: Visibility): Blocks => {
  const seen = failures.filter(({ job }) => visibility.job(job));
  return {
    summary: [
      {
        open: '**What failed**\n',
        rows: seen.flatMap(({ job, evidence }) => failureLines(job, evidence)),
        close: '',
        noun: 'line',
      },
    ],
    text: [
      {
        open: '',
        rows: seen
          .filter(({ job }) => visibility.logs(job))
          .flatMap(({ job, evidence }) => logRows(job, evidence)),
        close: '',
        noun: 'log',
      },
    ],
  };
};

const failureLines = (job: string, { reason, allocations }: Evidence): Block['rows'] => {
  const shown = allocations.slice(0, COPIES_SHOWN);
  const rest = allocations.length - shown.length;
  return [
    { text: `- ${code(job)}: ${sentence(reason)}`, rank: RANK.verdict },
    ...shown.map(({ allocation, node, task, message, afterMs }) => ({
      text: `  - ${code(allocation)} on ${code(node)}${task === null ? '' : `, task ${code(task)}`}: ${sentence(message)}${sinceStart(afterMs)}`,
      rank: RANK.harm,
    })),
    ...(rest > 0 ? [{ text: `  - … and ${rest} more`, rank: RANK.harm }] : []),
  ];
};

const sinceStart = (afterMs: number | undefined): string =>
  afterMs === undefined ? '' : ` (${Math.round(afterMs / 1000)} s after its first start)`;

const logRows = (job: string, { allocations }: Evidence): Block['rows'] =>
  allocations
    .slice(0, COPIES_SHOWN)
    .filter(({ log }) => log !== undefined && log.length > 0)
    .map(({ allocation, node, log = [] }) => ({
      text: fold(
        `Last lines of the log of ${codeInHtml(allocation)}, a copy of ${codeInHtml(job)} on ${codeInHtml(node)}`,
        fenced(log.map((line) => maskedLine(plainLine(line)))),
      ),
      rank: RANK.detail,
    }));
