// What would happen if something were lost right after a change: each node, each zone, the copies
// of each wave; and how long going back would take. In: what stands, the change as far as it can be
// foreseen. Out: a Rehearsal: where there is no room, and which losses wait for a person because
// they are of many nodes at once (rules 9.1). How long replacements take to start is no part of it.
// Not here: words (render), the forecast (forecast).

import { unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { orderOf, stopMs } from '../../schema/lifecycle.ts';
import { listsOf } from '../../schema/lists.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import { isMarkOnly } from '../../schema/mark-only.ts';
import type { Step } from '../../schema/plan.ts';
import { LOSSES_REHEARSED, type Loss, type Rehearsal } from '../../schema/pull-plan.ts';
import type { GroupSpec, Ms, TaskSpec } from '../../schema/spec.ts';
import { createTable, holdersIn } from '../place/place.ts';
import { copiesAtOnce } from '../../schema/parallel.ts';
import { createDeadlines } from './deadlines.ts';
import type { Forecast } from './forecast.ts';
import { shortAfter, type Displaced } from './loss.ts';
import type { Rooms } from './memo.ts';
import { isMassLoss, viewNodes, type NodeView } from './nodes.ts';
import { placeNodesOf } from './placing.ts';
import { homesOf } from './homes.ts';

export interface RehearseInput {
  /** What stands. */
  readonly before: DesiredState;
  readonly live: LiveState;
  readonly after: Forecast;
  /** Jobs that the change does something to. */
  readonly changed: ReadonlySet<string>;
}

export const rehearse = (input: RehearseInput): Rehearsal => ({
  ...lossesAfter(input),
  waves: wavesThatFail(input),
  rollbacks: rollbacksOf(input),
});

/**
 * Looks at a node for a copy that are worth their time: 3,000 copies on 100 nodes are 300,000 for
 * all losses of one node, some 50 ms.
 */
const LOOKS = 500_000;

/** Kept from one rehearsal to the next: most copies are the same objects. */
const ROOMS: Rooms = { byNode: new WeakMap(), byCopy: new WeakMap() };

interface Candidate extends Pick<Loss, 'kind' | 'name'> {
  readonly nodes: ReadonlySet<string>;
  readonly copies: readonly Displaced[];
  /** A copy of a changed job lives there. */
  readonly isTouched: boolean;
}

const lossesAfter = (input: RehearseInput): Pick<Rehearsal, 'losses' | 'left'> => {
  const { desired, live } = input.after;
  const nodes = viewNodes(desired, { live, deadlines: createDeadlines(0), before: null });
  const places = placeNodesOf(desired, { nodes, rooms: ROOMS });
  const holders = holdersIn(places);
  const homes = homesOf(desired);
  const counted = [...nodes.byName.values()].filter(
    ({ expected, drain }) => expected !== null && drain === 'no',
  );
  const losses: Loss[] = [];
  let looks = 0;
  const candidates = candidatesIn(input, [...nodes.byName.values()]);
  for (const { kind, name, nodes: lost, copies } of candidates) {
    const left = places.filter((place) => !lost.has(place.name));
    looks += copies.length * left.length;
    const isTooMuch = looks > LOOKS && losses.length > 0;
    if (isTooMuch || losses.length === LOSSES_REHEARSED) break;
    const table = createTable({
      nodes: left,
      allowances: new Map(),
      quotas: new Map(),
      holders,
    });
    const short = shortAfter(copies, { table, homes, lost });
    const gone = counted.filter((view) => lost.has(view.name)).length;
    losses.push({ kind, name, short, ...(isMassLoss(gone, counted.length) ? WAITS : {}) });
  }
  const sorted = losses.toSorted(
    (a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name),
  );
  return { losses: sorted, left: candidates.length - losses.length };
};

const WAITS = { waits: true } as const;

/** Zones, then nodes: first those that the change touches, then those with the most copies. */
const candidatesIn = (
  { after, changed }: RehearseInput,
  views: readonly NodeView[],
): readonly Candidate[] => {
  const jobs = new Map(after.desired.jobs.map((job) => [job.id, job]));
  const working = views.filter(({ expected, standing }) => expected && standing === 'ready');
  const copies = new Map(working.map((view) => [view.name, displacedBy(view, jobs)]));
  const candidateOf = (kind: Loss['kind'], name: string, lost: readonly NodeView[]): Candidate => {
    const displaced = lost.flatMap((view) => copies.get(view.name) ?? []).toSorted(byPriority);
    const nodes = new Set(lost.map((view) => view.name));
    const isTouched = displaced.some(({ job }) => changed.has(job));
    return { kind, name, nodes, copies: displaced, isTouched };
  };
  const zones = listsOf(working, ({ attributes }) => attributes.get('node.zone') ?? '');
  const found = [
    // With all nodes in one zone its loss is the cluster's, as is that of the only node.
    ...[...zones].flatMap(([zone, lost]) =>
      zone === '' || lost.length === working.length ? [] : [candidateOf('zone', zone, lost)],
    ),
    ...(working.length === 1 ? [] : working.map((view) => candidateOf('node', view.name, [view]))),
  ];
  return found
    .filter((one) => one.copies.length > 0)
    .toSorted(
      (a, b) =>
        compareText(b.kind, a.kind) ||
        Number(b.isTouched) - Number(a.isTouched) ||
        b.copies.length - a.copies.length ||
        compareText(a.name, b.name),
    );
};

const displacedBy = (
  { live }: NodeView,
  jobs: ReadonlyMap<string, DesiredJob>,
): readonly Displaced[] =>
  (live === null ? [] : unaged(live)).flatMap((copy) => {
    const { namespace, job, group, index, priority, spec } = copy.body;
    const id = `${namespace}/${job}`;
    const wanted = jobs.get(id)?.spec.groups.find(({ name }) => name === group);
    if (!isThere(copy) || wanted === undefined || index >= wanted.count) return [];
    return [{ job: id, namespace, group, index, priority, spec: plainly(spec) }];
  });

const isThere = ({ phase, stopping }: LiveAllocation): boolean => phase !== 'dead' && !stopping;

/** Whether a copy fits somewhere does not depend on where it would be liked best. */
const plainly = (spec: GroupSpec): GroupSpec =>
  spec.spread.length === 0 ? spec : { ...spec, spread: [] };

/** As in a plan: by priority, then job (rules 5.6). */
const byPriority = (a: Displaced, b: Displaced): number =>
  b.priority - a.priority || compareText(a.job, b.job) || a.index - b.index;

/** Rows of `waves`: a pull request of more says enough with these. */
const WAVES_REHEARSED = 1000;

/** Numbered as the waves of a summary are: those in which something of the change happens. */
const wavesThatFail = ({ live, after, changed }: RehearseInput): Rehearsal['waves'] => {
  const acting = after.waves
    .map(({ steps }) => listsOf(steps.filter(isAct), (step) => step.job))
    .filter((steps) => [...steps.keys()].some((job) => changed.has(job)));
  const running = countCopies(live, changed);
  const rows: Rehearsal['waves'][number][] = [];
  for (const [at, steps] of acting.entries()) {
    for (const [job, mine] of steps) {
      const spec = changed.has(job) ? wantedOf(after.desired, job) : null;
      if (spec === null) continue;
      const count = (kind: Step['kind']) => mine.filter((step) => step.kind === kind).length;
      const left = Math.max(0, (running.get(job) ?? 0) - count('stop'));
      running.set(job, left + count('start'));
      const wanted = spec.groups.reduce((sum, group) => sum + group.count, 0);
      const healthy = Math.min(left, wanted);
      if (count('start') > 0) rows.push({ job, wave: at + 1, healthy, wanted });
    }
  }
  return rows
    .toSorted((a, b) => compareText(a.job, b.job) || a.wave - b.wave)
    .slice(0, WAVES_REHEARSED);
};

const isAct = (step: Step): boolean => !isMarkOnly(step);

const countCopies = (live: LiveState, jobs: ReadonlySet<string>): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const copy of live.nodes.flatMap(unaged)) {
    const id = `${copy.body.namespace}/${copy.body.job}`;
    if (jobs.has(id) && isThere(copy)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
};

const jobsById = new WeakMap<DesiredState['jobs'], ReadonlyMap<string, DesiredJob>>();

const jobIn = ({ jobs }: DesiredState, id: string): DesiredJob | undefined => {
  const known = jobsById.get(jobs) ?? new Map(jobs.map((job) => [job.id, job]));
  jobsById.set(jobs, known);
  return known.get(id);
};

const wantedOf = (desired: DesiredState, id: string): DesiredJob['spec'] | null => {
  const job = jobIn(desired, id);
  return job === undefined || job.standing.kind === 'removed' ? null : job.spec;
};

/**
 * From the order to the first answer of a check, with the image on the node: measured under a
 * second (bench, rolling-update), and checks ask every few seconds.
 */
const START_MS = 5000;

/**
 * A rollback skips canaries and obeys max_parallel (rules 2.5): each of its waves is a shutdown
 * delay, a start and min_healthy_time.
 */
const rollbacksOf = ({ before, after, changed }: RehearseInput): Rehearsal['rollbacks'] =>
  [...changed].toSorted(compareText).map((id) => {
    const was = jobIn(before, id);
    const settled = was !== undefined && (was.settled || was.fallback !== null);
    const now = wantedOf(after.desired, id);
    return { job: id, takesMs: settled ? takesMs(was, now) : null };
  });

/** What a stop may take longer because tasks end one after the other (rules 15). */
const inTurnMs = (tasks: readonly TaskSpec[]): Ms =>
  orderOf(tasks) === null
    ? 0
    : stopMs(tasks) - Math.max(...tasks.map(({ killTimeoutMs }) => killTimeoutMs));

const takesMs = ({ spec }: DesiredJob, now: DesiredJob['spec'] | null): Ms => {
  const { update } = spec;
  if (now?.specHash === spec.specHash) return START_MS + update.minHealthyMs;
  const waves = spec.groups.map(({ count, shutdownDelayMs, tasks }) => {
    // What was removed comes back at once: nothing has to stop for it.
    const rounds = now === null ? 1 : Math.ceil(count / copiesAtOnce(update.maxParallel, count));
    return rounds * (shutdownDelayMs + inTurnMs(tasks) + START_MS + update.minHealthyMs);
  });
  return Math.max(0, ...waves);
};
