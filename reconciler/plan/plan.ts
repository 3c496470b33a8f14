// What should change, and why: the heart of the reconciler, one way from top to bottom.
// In: what Git wants, what is there, the time. Out: the plan: steps, reasons, proposals, the view
// of each deployment.
// Not here: how the parts decide (guard, slots, deployment, group, place), how orders are made of
// it (orders).
// Total and deterministic: no clock, no randomness, no logger, no environment (invariant 1).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Blocked, Plan, Proposal, Step } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';
import { createDeadlines, type Deadlines } from './deadlines.ts';
import { deriveRollout, putOff, type Rollout } from './deployment.ts';
import { guardRemovals, type Guard } from './guard.ts';
import { planJob, type JobPlan } from './job.ts';
import { aheadWaits, viewNodes, type NodeViews } from './nodes.ts';
import { placeAll, type Placed } from './placing.ts';
import { proposeFor } from './proposals.ts';
import { RENAMED, renamesOf, renameWait } from './rename.ts';
import { viewDeployment } from './report.ts';
import { viewJob, type JobView } from './slots.ts';
import { strays } from './strays.ts';
import { sweep, updatesOf } from './upkeep.ts';
import { usedApprovals } from './approvals.ts';
import { holdRewritten, rewritten } from './lost-ledger.ts';
import { pendingRemovals } from './synced.ts';

/** One job with all that was worked out about it. */
export interface Considered {
  readonly view: JobView;
  readonly rollout: Rollout;
}

/**
 * The plan for this instant. `now` only dates `wakeAt`: ages in `live` are already brought up to
 * it.
 */
export const plan = (asked: DesiredState, live: LiveState, now: Ms): Plan => {
  const lost = rewritten(asked, live);
  const desired = lost.length === 0 ? asked : holdRewritten(asked, lost);
  if (desired.standing.kind === 'stopped') return standStill(desired, desired.standing.why);
  const deadlines = createDeadlines(now);
  const nodes = viewNodes(desired, live, deadlines);
  const scene = { byJob: allocationsByJob(live), nodes, live, lost, deadlines };
  const first = pass(desired, scene, new Set());
  // Who finds no place neither holds up other rollouts (5.6) nor keeps its old name's copies (8.1).
  // That is seen only after placement, so the pass is made again, once at most.
  const stuck = new Set(first.placed.blocked.flatMap(blockedJob));
  const matters = first.considered.some(({ rollout }) => rollout.phase === 'waiting');
  const again = stuck.size > 0 && (matters || first.renames.size > 0);
  return conclude(desired, scene, again ? pass(desired, scene, stuck) : first);
};

interface Scene {
  readonly byJob: ReadonlyMap<string, readonly LiveAllocation[]>;
  readonly nodes: NodeViews;
  readonly live: LiveState;
  /** Records of a ledger that is gone, to be written before anything else is done. */
  readonly lost: readonly LedgerRecord[];
  readonly deadlines: Deadlines;
}

interface Pass {
  readonly guard: Guard;
  readonly renames: ReadonlyMap<string, string>;
  readonly considered: readonly Considered[];
  readonly jobs: readonly JobPlan[];
  readonly placed: Placed;
}

const blockedJob = (entry: Blocked): readonly string[] =>
  entry.kind === 'no-node' ? [entry.job] : [];

/** Guards, then every job, then all wants at once. `stuck`: jobs known to find no place. */
const pass = (desired: DesiredState, scene: Scene, stuck: ReadonlySet<string>): Pass => {
  const { byJob, nodes, live, deadlines } = scene;
  const guard = guardRemovals(desired, byJob);
  const renames = renamesOf(desired, byJob, stuck);
  const considered = consider(desired, { ...scene, guard, renames, stuck });
  const jobs = considered.map((one) => planJob(desired, one, { nodes, deadlines }));
  return { guard, renames, considered, jobs, placed: placeAll(desired, jobs, { nodes, live }) };
};

/** What needs no placement: upkeep, strays, proposals; and the order of it all. */
const conclude = (desired: DesiredState, scene: Scene, made: Pass): Plan => {
  const { guard, renames, considered, jobs, placed } = made;
  const left = strays(desired, scene.byJob, scene.nodes);
  const removals = new Set([...guard.removals, ...left.slots]);
  const guarded = [...guard.guarded, ...left.guarded].toSorted((a, b) => compareText(a.job, b.job));
  const stops = [...jobs.flatMap((job) => job.stops), ...placed.steps, ...left.steps];
  const touched = new Set(stops.map((step) => step.allocation));
  const upkeep = jobs.flatMap(({ view, rollout, versions }) => [
    ...updatesOf(view, versions, touched),
    ...sweep(view, rollout),
  ]);
  const outcomes = considered.map(({ view, rollout }) => proposeFor(desired, view, rollout));
  const waits = [...left.waits, ...[...renames].map(renameWait)];
  const synced =
    scene.lost.length === 0 &&
    guarded.length === 0 &&
    waits.length === 0 &&
    !pendingRemovals(considered);
  return {
    commit: desired.commit.oid,
    steps: [...stops, ...upkeep].toSorted(byNode),
    blocked: sortBlocked([
      ...jobs.flatMap((job) => job.waits),
      ...placed.blocked,
      ...waits,
      ...aheadWaits(scene.nodes),
      ...outcomes.flatMap((outcome) => outcome.waits),
    ]),
    proposals: joinProposals(
      [
        ...desired.owed,
        ...placed.records,
        ...scene.lost,
        ...usedApprovals(desired, { removals, nodes: scene.nodes }),
        ...syncedRecord(desired, synced),
      ],
      outcomes.flatMap((outcome) => outcome.proposals),
    ),
    deployments: jobs.map((job) => viewDeployment(job, placed.blocked)),
    problems: [...desired.problems, ...jobs.flatMap((job) => job.problems)],
    synced,
    guarded,
    wakeAt: scene.deadlines.wakeAt(),
  };
};

/**
 * HEAD may not be acted on: the sets that the nodes have stay as they are (rules 1.3, 8.3, 12.1).
 */
const standStill = (desired: DesiredState, why: string): Plan => ({
  commit: desired.commit.oid,
  steps: [],
  blocked: desired.jobs.map((job) => ({
    kind: 'waiting',
    job: job.id,
    slot: null,
    why: 'stopped-sync',
    detail: why,
    remedy: null,
  })),
  proposals: [],
  deployments: [],
  problems: desired.problems,
  synced: false,
  guarded: [],
  wakeAt: null,
});

const allocationsByJob = (live: LiveState): ReadonlyMap<string, readonly LiveAllocation[]> => {
  const byJob = new Map<string, LiveAllocation[]>();
  for (const allocation of live.nodes.flatMap((node) => node.allocations)) {
    const id = `${allocation.body.namespace}/${allocation.body.job}`;
    const mine = byJob.get(id);
    if (mine === undefined) byJob.set(id, [allocation]);
    else mine.push(allocation);
  }
  for (const mine of byJob.values()) {
    mine.sort((a, b) => compareText(a.allocation, b.allocation));
  }
  return byJob;
};

interface Judging extends Scene {
  readonly guard: Guard;
  readonly renames: ReadonlyMap<string, string>;
  readonly stuck: ReadonlySet<string>;
}

/** Every job with its rollout; rollouts beyond max_deployments are put off (rules 5.6). */
const consider = (desired: DesiredState, judging: Judging): readonly Considered[] => {
  const { byJob, nodes, guard, renames, deadlines } = judging;
  const all = desired.jobs.toSorted(byPriority).map((job): Considered => {
    const allocations = byJob.get(job.id) ?? [];
    const held = renames.has(job.id) ? RENAMED : (guard.held.get(job.id) ?? null);
    const view = viewJob(job, { allocations, nodes, held }, deadlines);
    return { view, rollout: deriveRollout(view, deadlines) };
  });
  const limit = desired.cluster.maxDeployments;
  let rolling = 0;
  return all.map(({ view, rollout }) => {
    if (!rollout.counts || judging.stuck.has(view.job.id)) return { view, rollout };
    rolling += 1;
    return { view, rollout: rolling > limit ? putOff(rollout, limit) : rollout };
  });
};

/** Priority first, then id (rules 5.6, architecture "plan() flows one way"). */
const byPriority = (a: DesiredJob, b: DesiredJob): number =>
  b.spec.priority - a.spec.priority || compareText(a.id, b.id);

const byNode = (a: Step, b: Step): number =>
  compareText(a.node, b.node) || compareText(a.allocation, b.allocation);

const sortBlocked = (blocked: readonly Blocked[]): readonly Blocked[] =>
  blocked.toSorted(
    (a, b) =>
      compareText(a.job, b.job) ||
      compareText(a.slot ?? '', b.slot ?? '') ||
      compareText(a.kind, b.kind),
  );

const syncedRecord = (desired: DesiredState, synced: boolean): readonly LedgerRecord[] =>
  synced && desired.lastSynced !== desired.commit.oid
    ? [{ kind: 'synced', commit: desired.commit.oid }]
    : [];

/** All records in one batch, before any commit. */
const joinProposals = (
  records: readonly LedgerRecord[],
  proposals: readonly Proposal[],
): readonly Proposal[] => {
  const all = [
    ...records,
    ...proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : [])),
  ];
  const commits = proposals.filter((proposal) => proposal.kind !== 'ledger');
  return all.length === 0 ? commits : [{ kind: 'ledger', records: all }, ...commits];
};
