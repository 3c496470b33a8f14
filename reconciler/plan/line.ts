// The jobs of the last plan in their order, with what is known of each: so that a plan looks at the
// jobs that changed or have something to say, and passes over those that are settled. In: jobs,
// parts. Out: the line, kept up to date: it costs what came, went and changed.
// Not here: what makes a part outdated (recall). It belongs to the memo: it is changed in place.

import type { DesiredJob } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { DeploymentView } from '../../schema/plan.ts';
import { differingIn, replacedIn } from '../../schema/replaced.ts';
import type { JobPart } from './part.ts';
import type { Removal } from './removals.ts';

export interface Remembered {
  readonly removals: readonly Removal[];
  readonly hasCopies: boolean;
  readonly part: Extract<JobPart, { kind: 'complete' }>;
}

/** One job in the line. */
export interface Entry {
  readonly job: DesiredJob;
  known: Remembered | null;
  /** Its row in the newest plan; null before the first. */
  deployment: DeploymentView | null;
}

export interface Line {
  /** In the order of DesiredState. */
  jobs: readonly DesiredJob[];
  readonly byId: Map<string, Entry>;
  /** By priority, then id. */
  readonly order: Entry[];
  /** Those of which nothing is known. */
  readonly unknown: Set<Entry>;
  /**
   * Those that are known and say, want or wait for anything, or count for other jobs: all but the
   * quiet ones.
   */
  readonly special: Set<Entry>;
  /** Known ones with a pinned host port. */
  readonly pinned: Set<Entry>;
  /** In `order`. Handed out with plans, so it is replaced and never changed. */
  deployments: readonly DeploymentView[];
}

export const createLine = (): Line => ({
  jobs: [],
  byId: new Map(),
  order: [],
  unknown: new Set(),
  special: new Set(),
  pinned: new Set(),
  deployments: [],
});

/** The same line, which changes without the other one. */
export const copyLine = (line: Line): Line => {
  const copies = new Map(line.order.map((entry) => [entry, { ...entry }]));
  const copied = (entries: Iterable<Entry>): Entry[] =>
    [...entries].flatMap((entry) => copies.get(entry) ?? []);
  return {
    jobs: line.jobs,
    byId: new Map([...copies.values()].map((entry) => [entry.job.id, entry])),
    order: copied(line.order),
    unknown: new Set(copied(line.unknown)),
    special: new Set(copied(line.special)),
    pinned: new Set(copied(line.pinned)),
    deployments: line.deployments,
  };
};

/** Brings the line to these jobs. Returns the ids of those that are not wanted any more. */
export const lineUp = (line: Line, jobs: readonly DesiredJob[]): readonly string[] => {
  const { jobs: before, byId } = line;
  if (before === jobs) return [];
  line.jobs = jobs;
  if (before.length === jobs.length && putChanged(line, before)) return [];
  // What stands at both ends as before is passed over: all, where one job comes or goes.
  const { old, news } = differingIn(before, jobs);
  const wanted = new Set(news.map(({ id }) => id));
  const gone = old.filter(({ id }) => !wanted.has(id)).map(({ id }) => id);
  for (const id of gone) take(line, id);
  const come = news.filter((job) => byId.get(job.id)?.job !== job);
  if (come.length * FEW < jobs.length) for (const job of come) put(line, job);
  else rebuild(line, come);
  return gone;
};

/** false: other jobs stand there, or many are new. */
const putChanged = (line: Line, before: readonly DesiredJob[]): boolean => {
  const { jobs } = line;
  const come: DesiredJob[] = [];
  for (const at of replacedIn(before, jobs) ?? jobs.keys()) {
    const job = jobs[at];
    if (job === undefined || job === before[at]) continue;
    if (job.id !== before[at]?.id || (come.length + 1) * FEW > jobs.length) return false;
    come.push(job);
  }
  for (const job of come) put(line, job);
  return true;
};

/** Up to one in so many is put in its place one by one; more are sorted. */
const FEW = 20;

/** The line is handed new entries: what was known of a job of this id is not true of another. */
const put = (line: Line, job: DesiredJob): void => {
  const old = line.byId.get(job.id);
  const entry: Entry = { job, known: null, deployment: old?.deployment ?? null };
  line.unknown.add(entry);
  line.byId.set(job.id, entry);
  if (old !== undefined && old.job.spec.priority === job.spec.priority) {
    line.order[rankOf(line, old.job)] = entry;
    leave(line, old);
    return;
  }
  if (old !== undefined) {
    line.order.splice(rankOf(line, old.job), 1);
    leave(line, old);
  }
  line.order.splice(rankOf(line, job), 0, entry);
  line.deployments = [];
};

const take = (line: Line, id: string): void => {
  const entry = line.byId.get(id);
  if (entry === undefined) return;
  line.byId.delete(id);
  line.order.splice(rankOf(line, entry.job), 1);
  leave(line, entry);
  line.deployments = [];
};

const leave = ({ unknown, special, pinned }: Line, entry: Entry): void => {
  unknown.delete(entry);
  special.delete(entry);
  pinned.delete(entry);
};

const rebuild = (line: Line, come: readonly DesiredJob[]): void => {
  for (const job of come) {
    const old = line.byId.get(job.id);
    if (old !== undefined) leave(line, old);
    const entry: Entry = { job, known: null, deployment: old?.deployment ?? null };
    line.byId.set(job.id, entry);
    line.unknown.add(entry);
  }
  const sorted = [...line.byId.values()].toSorted((a, b) => byPriority(a.job, b.job));
  line.order.length = 0;
  for (const entry of sorted) line.order.push(entry);
  line.deployments = [];
};

/** Priority first, then id (rules 5.6, architecture "plan() flows one way"). */
const byPriority = (a: DesiredJob, b: DesiredJob): number =>
  b.spec.priority - a.spec.priority || compareText(a.id, b.id);

/** The place in `order` where the job stands, or would stand. */
const rankOf = ({ order }: Line, job: DesiredJob): number => {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = order[middle];
    if (entry !== undefined && byPriority(entry.job, job) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
};

export const remember = (line: Line, entry: Entry, known: Remembered): void => {
  entry.known = known;
  line.unknown.delete(entry);
  if (isQuiet(entry.job, known)) line.special.delete(entry);
  else line.special.add(entry);
  if (known.part.hasPinnedPort) line.pinned.add(entry);
  else line.pinned.delete(entry);
};

export const forget = (line: Line, entry: Entry): void => {
  entry.known = null;
  line.unknown.add(entry);
  line.special.delete(entry);
  line.pinned.delete(entry);
};

export const forgetAll = (line: Line): void => {
  for (const entry of line.order) forget(line, entry);
};

/**
 * Nothing comes of it but its row among the deployments, whatever the others do, until something
 * changes.
 */
const isQuiet = (job: DesiredJob, { removals, part }: Remembered): boolean =>
  job.standing.kind !== 'removed' &&
  removals.length === 0 &&
  part.wakeAt === null &&
  !part.counts &&
  !part.isPutOff &&
  !part.removalPends &&
  part.steps.length === 0 &&
  part.waits.length === 0 &&
  part.problems.length === 0 &&
  part.outcome.waits.length === 0 &&
  part.outcome.proposals.length === 0;

/** What a plan has to look at, by priority, then id. */
export const toLookAt = ({ order, unknown, special }: Line): readonly Entry[] =>
  (unknown.size + special.size) * FEW < order.length
    ? [...unknown, ...special].toSorted((a, b) => byPriority(a.job, b.job))
    : order.filter((entry) => unknown.has(entry) || special.has(entry));

/** All deployments in order, with the rows that are new. */
export const deploymentsWith = (
  line: Line,
  rows: readonly DeploymentView[],
): readonly DeploymentView[] => {
  const { byId, order } = line;
  const isComplete = line.deployments.length === order.length;
  const all = isComplete ? [...line.deployments] : [];
  let isSame = isComplete;
  for (const row of rows) {
    const entry = byId.get(row.job);
    if (entry === undefined || entry.deployment === row) continue;
    entry.deployment = row;
    isSame = false;
    if (isComplete) all[rankOf(line, entry.job)] = row;
  }
  if (isSame) return line.deployments;
  line.deployments = isComplete ? all : order.flatMap(({ deployment }) => deployment ?? []);
  return line.deployments;
};
