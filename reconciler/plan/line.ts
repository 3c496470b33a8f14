// The jobs of the last plan in their order, with what is known of each: so that a plan looks at the
// jobs that changed or have something to say, and passes over those that are settled. In: jobs,
// parts. Out: the line, kept up to date.
// Not here: what makes a part outdated (recall). It belongs to the memo: it is changed in place.

import type { DesiredJob } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { DeploymentView } from '../../schema/plan.ts';
import type { JobPart } from './part.ts';
import type { Removal } from './removals.ts';

export interface RememberedJob {
  readonly job: DesiredJob;
  readonly removals: readonly Removal[];
  readonly hasCopies: boolean;
  readonly part: Extract<JobPart, { kind: 'complete' }>;
}

export interface Line {
  /** In the order of DesiredState. */
  jobs: readonly DesiredJob[];
  /** Places in `jobs` by priority, then id; and the other way round. */
  readonly order: readonly number[];
  readonly ranks: readonly number[];
  readonly places: ReadonlyMap<string, number>;
  /** By place. */
  readonly known: (RememberedJob | null)[];
  /** Places of which nothing is known. */
  readonly unknown: Set<number>;
  /**
   * Known places that say, want or wait for anything, or count for other jobs: all but the quiet
   * ones.
   */
  readonly special: Set<number>;
  /** Known places with a pinned host port. */
  readonly pinned: Set<number>;
  /** By rank. Handed out with plans, so it is replaced and never changed. */
  deployments: readonly DeploymentView[];
}

/** The line of these jobs; what is known of jobs that are the same object moves along. */
export const lineUp = (jobs: readonly DesiredJob[], before: Line | null): Line => {
  if (before !== null && isSameOrder(before.jobs, jobs)) {
    if (before.jobs !== jobs) forgetOthers(before, jobs);
    return before;
  }
  const order = [...jobs.keys()].toSorted((a, b) => byPriority(jobs[a], jobs[b]));
  const ranks = Array.from(order);
  for (const [rank, place] of order.entries()) ranks[place] = rank;
  const line: Line = {
    jobs,
    order,
    ranks,
    places: new Map(jobs.map(({ id }, place) => [id, place])),
    known: jobs.map(() => null),
    unknown: new Set(jobs.keys()),
    special: new Set(),
    pinned: new Set(),
    deployments: [],
  };
  for (const [place, job] of jobs.entries()) {
    const known = before?.known[before.places.get(job.id) ?? -1];
    if (known?.job === job) remember(line, place, known);
  }
  return line;
};

const isSameOrder = (before: readonly DesiredJob[], now: readonly DesiredJob[]): boolean =>
  before === now ||
  (before.length === now.length &&
    now.every((job, place) => {
      const old = before[place];
      return old === job || (old?.id === job.id && old.spec.priority === job.spec.priority);
    }));

/** Priority first, then id (rules 5.6, architecture "plan() flows one way"). */
const byPriority = (a: DesiredJob | undefined, b: DesiredJob | undefined): number =>
  a === undefined || b === undefined
    ? 0
    : b.spec.priority - a.spec.priority || compareText(a.id, b.id);

const forgetOthers = (line: Line, jobs: readonly DesiredJob[]): void => {
  for (let place = 0; place < jobs.length; place += 1) {
    if (line.jobs[place] !== jobs[place]) forget(line, place);
  }
  line.jobs = jobs;
};

export const remember = (line: Line, place: number, known: RememberedJob): void => {
  line.known[place] = known;
  line.unknown.delete(place);
  if (isQuiet(known)) line.special.delete(place);
  else line.special.add(place);
  if (known.part.hasPinnedPort) line.pinned.add(place);
  else line.pinned.delete(place);
};

export const forget = (line: Line, place: number): void => {
  line.known[place] = null;
  line.unknown.add(place);
  line.special.delete(place);
  line.pinned.delete(place);
};

export const forgetAll = (line: Line): void => {
  for (const place of line.jobs.keys()) forget(line, place);
};

/**
 * Nothing comes of it but its row among the deployments, whatever the others do, until something
 * changes.
 */
const isQuiet = ({ job, removals, part }: RememberedJob): boolean =>
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

/** Places that a plan has to look at, by rank. */
export const placesToLookAt = ({ unknown, special, ranks }: Line): readonly number[] =>
  [...unknown, ...special].toSorted((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0));

/** All deployments by rank, with the rows that are new. */
export const deploymentsWith = (
  line: Line,
  rows: ReadonlyMap<number, DeploymentView>,
): readonly DeploymentView[] => {
  if (line.deployments.length !== line.jobs.length) {
    line.deployments = line.order.flatMap(
      (place) => rows.get(place) ?? line.known[place]?.part.deployment ?? [],
    );
    return line.deployments;
  }
  const changed = [...rows].filter(
    ([place, row]) => line.deployments[line.ranks[place] ?? -1] !== row,
  );
  if (changed.length === 0) return line.deployments;
  const all = [...line.deployments];
  for (const [place, row] of changed) all[line.ranks[place] ?? -1] = row;
  line.deployments = all;
  return all;
};
