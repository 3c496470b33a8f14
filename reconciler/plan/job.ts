// One job's part of the plan before placement: its groups' wants, granted stops and reasons to
// wait.
// In: a considered job, nodes. Out: JobPlan. Not here: placement (placing), ledger and reverts
// (proposals).

import type { DesiredState } from '../../schema/desired.ts';
import type { Blocked, Step, WaitReason } from '../../schema/plan.ts';
import { problemCodes, type ProblemCode } from '../../schema/problem-codes.ts';
import type { Problem } from '../../schema/problems.ts';
import { satisfies } from '../place/place.ts';
import { fallbackVersion, headVersion } from './body.ts';
import type { Deadlines } from './deadlines.ts';
import type { Phase, Rollout } from './deployment.ts';
import { planGroup } from './group.ts';
import type { GroupInput, GroupPlan } from './scope.ts';
import { firstNames, type NodeViews } from './nodes.ts';
import { pendingWaits } from './pending.ts';
import { remedyFor } from './remedy.ts';
import type { GroupView, JobView } from './slots.ts';
import { stopStep, type Versions } from './upkeep.ts';

export interface JobPlan {
  readonly view: JobView;
  readonly rollout: Rollout;
  readonly versions: Versions;
  readonly groups: readonly GroupPlan[];
  readonly stops: readonly Step[];
  readonly waits: readonly Blocked[];
  /** Warnings that need the nodes to be seen: a file alone does not show them. */
  readonly problems: readonly Problem[];
}

interface Around {
  readonly nodes: NodeViews;
  readonly deadlines: Deadlines;
}

export const planJob = (
  desired: DesiredState,
  considered: { readonly view: JobView; readonly rollout: Rollout },
  { nodes, deadlines }: Around,
): JobPlan => {
  const { view, rollout } = considered;
  const cluster = desired.cluster.name;
  const versions: Versions = {
    head: headVersion(view.job, cluster, rollout.settled),
    fallback: fallbackVersion(view.job, cluster),
  };
  const groups = view.groups.map((group) =>
    planGroup({
      view,
      group,
      rollout,
      ...versions,
      pinned: isScarce(group, nodes),
      deadlines,
      blind: blindOf(view, nodes),
      massLoss: new Set(nodes.massLoss ?? []),
    }),
  );
  return {
    view,
    rollout,
    versions,
    groups,
    stops: groups.flatMap((group) =>
      group.stops.map(({ copy, reason }) => stopStep(view, copy, reason)),
    ),
    waits: [
      ...jobWait(view, rollout),
      ...pendingWaits(view, deadlines),
      ...groups.flatMap((group) => group.waits),
    ],
    problems: view.groups.flatMap((group) => scarcityWarning(view, group, nodes)),
  };
};

/**
 * Rules 5.2, on the group's line. Volumes and singletons are stop-first anyway, and said by
 * compile.
 */
const scarcityWarning = (
  { job }: JobView,
  group: GroupView,
  nodes: NodeViews,
): readonly Problem[] => {
  const { target } = group.frame;
  if (target === null || job.standing.kind !== 'head') return [];
  if (job.spec.update.order !== 'start-first' || target.singleton || target.volumes.length > 0) {
    return [];
  }
  if (!isScarce(group, nodes)) return [];
  const code: ProblemCode = 'order-forced';
  const { severity } = problemCodes[code];
  const ports = target.ports.flatMap(({ host }) => (host === null ? [] : [host])).join(', ');
  const message =
    `Group \`${group.name}\` is replaced stop-first although \`order\` says start-first: ` +
    `it pins host port ${ports}, and too few nodes fit for a copy beside each.`;
  const advice = 'Leave `host` out, add nodes, or write `order: stop-first`.';
  const line = job.lines.get(group.name) ?? 1;
  return [{ file: job.file, line, column: 1, code, severity, message, advice }];
};

/**
 * Rules 5.2: a pinned port, start-first, and fewer fitting nodes than count + maxSurge: those
 * slots go stop-first.
 */
const isScarce = ({ frame }: GroupView, nodes: NodeViews): boolean => {
  const { target, job, count } = frame;
  if (target === null || target.ports.every(({ host }) => host === null)) return false;
  const { maxParallel } = job.spec.update;
  const surge =
    maxParallel.kind === 'count'
      ? maxParallel.copies
      : Math.max(1, Math.floor((count * maxParallel.percent) / 100));
  const fitting = [...nodes.byName.values()].filter(
    (node) =>
      node.expected !== null &&
      node.drain === 'no' &&
      node.standing === 'ready' &&
      target.constraints.every((constraint) => satisfies(node.attributes, constraint)),
  );
  return fitting.length < count + surge;
};

/**
 * A node that was not heard from may hold any slot's copy, so missing copies wait until it spoke
 * or is lost (invariant 8). When many nodes are lost that never spoke, the same holds for jobs
 * that have run before (rules 9.1).
 */
const blindOf = (view: JobView, nodes: NodeViews): GroupInput['blind'] => {
  if (nodes.unheard.length > 0) {
    const detail = `not heard from yet: ${firstNames(nodes.unheard)}`;
    return { why: 'node-unknown', detail };
  }
  const silent = (nodes.massLoss ?? []).filter((name) => nodes.byName.get(name)?.live === null);
  if (silent.length === 0 || (!view.settled && view.job.fallback === null)) return null;
  return { why: 'mass-loss', detail: `lost and not heard from: ${firstNames(silent)}` };
};

/** Why the job as a whole does not move on (invariant 7). */
const jobWait = ({ job }: JobView, rollout: Rollout): readonly Blocked[] => {
  const why = WAITS[rollout.phase] ?? (rollout.degraded === null ? null : 'degraded');
  if (why === null) return [];
  const remedy = why === 'degraded' || why === 'failed' ? remedyFor(job) : null;
  const detail = rollout.reason ?? rollout.degraded ?? '';
  return [{ kind: 'waiting', job: job.id, slot: null, why, detail, remedy }];
};

const WAITS: Readonly<Record<Phase, WaitReason | null>> = {
  stopped: null,
  held: 'held',
  failed: 'failed',
  paused: 'paused',
  done: null,
  stalled: 'stalled',
  waiting: 'max-deployments',
  canary: 'canary',
  rolling: null,
};
