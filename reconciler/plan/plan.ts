// What should change, and why: the heart of the reconciler, one way from top to bottom.
// In: what Git wants, what is there, the time. Out: the plan: steps, reasons, proposals, the view
// of each deployment.
// Not here: how the parts decide (guard, slots, deployment, group, place), how orders are made of
// it (orders).
// Total and deterministic: no clock, no randomness, no logger, no environment (invariant 1).

import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import { listsOf } from '../../schema/lists.ts';
import { lazily } from '../../schema/lazily.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Blocked, Plan, Proposal, Step } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';
import { usedApprovals } from './approvals.ts';
import { createDeadlines } from './deadlines.ts';
import { guardRemovals, type Guard } from './guard.ts';
import { deploymentsWith, forget, remember, toLookAt } from './line.ts';
import { holdRewritten, rewritten, unmarked } from './lost-ledger.ts';
import { createPlanMemo, type PlanMemo } from './memo.ts';
import { aheadWaits, mayHideLoss, unseenWait, viewNodes, type NodeViews } from './nodes.ts';
import { complete, consider, earlier, makePart, type Completion, type JobPart } from './part.ts';
import { placeAll, type Placed } from './placing.ts';
import { recall, type Recalled, type Seen } from './recall.ts';
import { removalsOf, takenFrom, thenOf, type Removal } from './removals.ts';
import { RENAMED, renamesOf, renameWait } from './rename.ts';
import { standStill } from './stand-still.ts';
import { strays } from './strays.ts';
import { homesOf } from './homes.ts';

/**
 * The plan for this instant. `now` only dates `wakeAt`: ages in `live` are already brought up to
 * it.
 */
export const plan = (desired: DesiredState, live: LiveState, now: Ms): Plan =>
  planWith(createPlanMemo())(desired, live, now);

/** The same function, quicker for a world that is much like the last one that the memo saw. */
export const planWith =
  (memo: PlanMemo) =>
  (asked: DesiredState, live: LiveState, now: Ms): Plan => {
    const deadlines = createDeadlines(now);
    const before = memo.world?.nodes.byName ?? null;
    const nodes = viewNodes(asked, { live, deadlines, before });
    const { standing } = asked;
    if (standing.kind === 'stopped') return standStill(asked, { live, nodes, why: standing.why });
    const { desired, recalled, lost } = heldAndRecalled(asked, { live, nodes, now }, memo);
    const removals = removalsIn(desired, recalled);
    const scene = { nodes, live, lost, now, memo, recalled, removals };
    const first = pass(desired, scene, new Set());
    // Who finds no place neither holds up other rollouts (5.6) nor keeps its old name's copies
    // (8.1). That is seen only after placement, so the pass is made again, once at most.
    const stuck = new Set(first.placed.blocked.flatMap(blockedJob));
    const matters = first.parts.some(({ isPutOff }) => isPutOff);
    const again = stuck.size > 0 && (matters || first.renames.size > 0);
    const last = again ? pass(desired, scene, stuck) : first;
    const wakeAt = earlier(deadlines.wakeAt(), earlier(first.wakeAt, last.wakeAt));
    return conclude(desired, scene, { ...last, wakeAt, before: first.parts });
  };

interface HeldAndRecalled {
  readonly desired: DesiredState;
  readonly recalled: Recalled;
  readonly lost: readonly LedgerRecord[];
}

/**
 * A job that is held is another than it was, and so is one that is held no more: both are looked at
 * anew. So only jobs that are may lack a mark.
 */
const heldAndRecalled = (asked: DesiredState, seen: Seen, memo: PlanMemo): HeldAndRecalled => {
  const gone = rewritten(asked, seen.live);
  const begun = gone.length === 0 ? asked : holdRewritten(asked, gone);
  const recalled = recall(begun, seen, memo);
  const fresh = [...recalled.line.unknown].map(({ job }) => job);
  const lacking = unmarked(begun, fresh, recalled.copies);
  if (lacking.length === 0) return { desired: begun, recalled, lost: gone };
  const desired = holdRewritten(begun, lacking);
  return { desired, recalled: recall(desired, seen, memo), lost: lacking };
};

interface Scene {
  readonly nodes: NodeViews;
  readonly live: LiveState;
  /** Records of a ledger that is gone, to be written before anything else is done. */
  readonly lost: readonly LedgerRecord[];
  readonly now: Ms;
  readonly memo: PlanMemo;
  readonly recalled: Recalled;
  /** Of the jobs that have any. */
  readonly removals: ReadonlyMap<string, readonly Removal[]>;
}

interface Pass {
  readonly guard: Guard;
  readonly renames: ReadonlyMap<string, string>;
  /** By priority, then id; without those of jobs that are settled and have nothing to say. */
  readonly parts: readonly JobPart[];
  readonly placed: Placed;
  readonly wakeAt: Ms | null;
}

const removalsIn = (desired: DesiredState, { line, copies }: Recalled): Scene['removals'] => {
  const removals = new Map<string, readonly Removal[]>();
  for (const { job, known } of toLookAt(line)) {
    const mine = known?.removals ?? removalsOf(job, thenOf(desired, job, copies(job.id)));
    if (mine.length > 0) removals.set(job.id, mine);
  }
  return removals;
};

const blockedJob = (entry: Blocked): readonly string[] =>
  entry.kind === 'no-node' ? [entry.job] : [];

/** Guards, then every job, then all wants at once. `stuck`: jobs known to find no place. */
const pass = (desired: DesiredState, scene: Scene, stuck: ReadonlySet<string>): Pass => {
  const { nodes, live, memo, recalled } = scene;
  const { line, copies } = recalled;
  const guard = guardRemovals(desired, scene);
  const vanished = toLookAt(line).flatMap(({ job, known }) => {
    if (job.standing.kind !== 'removed') return [];
    return (known?.hasCopies ?? copies(job.id).length > 0) ? [job] : [];
  });
  const renames = renamesOf(desired, vanished, stuck);
  const parts = partsOf(desired, { ...scene, guard, renames, stuck });
  const wanting = parts.flatMap((part) => (part.kind === 'wants' ? [part.plan] : []));
  const placed = placeAll(desired, wanting, { nodes, live, rooms: memo.rooms });
  let wakeAt: Ms | null = null;
  for (const part of parts) wakeAt = earlier(wakeAt, part.wakeAt);
  return { guard, renames, parts, placed, wakeAt };
};

interface Judging extends Scene {
  readonly guard: Guard;
  readonly renames: ReadonlyMap<string, string>;
  readonly stuck: ReadonlySet<string>;
}

/** Every job's part; rollouts beyond max_deployments are put off (rules 5.6). */
const partsOf = (desired: DesiredState, judging: Judging): readonly JobPart[] => {
  const { guard, renames, stuck, recalled, removals } = judging;
  const { line, copies } = recalled;
  const homes = lazily(() => homesOf(desired));
  let rolling = 0;
  const isPutOff = (counts: boolean, id: string): boolean => {
    if (!counts || stuck.has(id)) return false;
    rolling += 1;
    return rolling > desired.cluster.maxDeployments;
  };
  return toLookAt(line).map((entry): JobPart => {
    const { job } = entry;
    const held = renames.has(job.id) ? RENAMED : (guard.held.get(job.id) ?? null);
    const known = held === null ? entry.known : null;
    const late = known ? isPutOff(known.part.counts, job.id) : false;
    if (known?.part.isPutOff === late) return known.part;
    const allocations = copies(job.id);
    const considered = consider(job, { allocations, held, homes: homes() }, judging);
    const putOff = known ? late : isPutOff(considered.rollout.counts, job.id);
    const part = makePart(desired, { ...considered, isPutOff: putOff }, judging);
    if (held === null && part.kind === 'complete') {
      const hasCopies = allocations.length > 0;
      remember(line, entry, { removals: removals.get(job.id) ?? [], hasCopies, part });
    } else forget(line, entry);
    return part;
  });
};

/** What needs no placement: upkeep, strays, proposals; and the order of it all. */
const conclude = (
  desired: DesiredState,
  scene: Scene,
  made: Pass & { readonly before: readonly JobPart[] },
): Plan => {
  const { guard, renames, parts, placed, wakeAt } = made;
  const { recalled, nodes, lost } = scene;
  const strayCopies = recalled.strays.map((id) => [id, recalled.copies(id)] as const);
  const left = strays(desired, new Map(strayCopies), nodes);
  const removals = new Set([...guard.removals, ...left.slots]);
  const guarded = [...guard.guarded, ...left.guarded].toSorted((a, b) => compareText(a.job, b.job));
  const completions = completed(parts, placed);
  // What settled in the first pass is passed over in the second one.
  const settled = made.before.flatMap((part) => (part.kind === 'complete' ? [part] : []));
  const rows = [...settled, ...completions].map(({ deployment }) => deployment);
  const waits = [...left.waits, ...[...renames].map(renameWait)];
  const pending = parts.some((part) => part.removalPends);
  const isHeldBack = lost.length > 0 || guarded.length > 0 || waits.length > 0;
  // What a node that was never heard from holds may be what waits for approval (invariant 8), or
  // show that a ledger is gone (11); also once it is lost: it comes back with its copies. A lost
  // one matters where something goes, and that nobody can say before a commit was synced.
  const unsure = nodes.unseen.length === 0 ? [] : takenFrom(desired);
  const isBlind = nodes.unheard.length > 0 || unsure.length > 0 || mayHideLoss(desired, nodes);
  // What an owner lets through later is a change since then: its removals are guarded as such, and
  // who brought it is looked up.
  const isWaiting = (desired.heldFiles ?? []).length > 0;
  const synced = !isHeldBack && !pending && !isBlind && !isWaiting;
  return {
    commit: desired.commit.oid,
    steps: [...completions.flatMap(({ steps }) => steps), ...left.steps].toSorted(byNode),
    blocked: sortBlocked([
      ...parts.flatMap((part) => part.waits),
      ...placed.blocked,
      ...waits,
      ...aheadWaits(nodes, placed.blocked),
      ...unsure.map(({ id }) => unseenWait(id, nodes)),
      ...parts.flatMap(({ outcome }) => outcome.waits),
    ]),
    proposals: joinProposals(
      [
        ...desired.owed,
        ...placed.records,
        ...lost,
        ...usedApprovals(desired, { removals, nodes }),
        ...syncedRecord(desired, synced),
      ],
      parts.flatMap(({ outcome }) => outcome.proposals),
    ),
    deployments: deploymentsWith(recalled.line, rows),
    problems: [...desired.problems, ...parts.flatMap(({ problems }) => problems)],
    synced,
    guarded,
    ...(placed.fetches.length === 0 ? {} : { fetches: placed.fetches }),
    ...(nodes.massLoss === null ? {} : { massLoss: nodes.massLoss }),
    wakeAt,
  };
};

/** Jobs that wanted places, with what became of their wants; the others are complete already. */
const completed = (parts: readonly JobPart[], placed: Placed): readonly Completion[] => {
  const steps = listsOf(placed.steps, (step) => step.job);
  const blocked = listsOf(placed.blocked, (entry) => entry.job);
  return parts.map((part) =>
    part.kind === 'complete'
      ? part
      : complete(part.plan, steps.get(part.job) ?? [], blocked.get(part.job) ?? []),
  );
};

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
    ? [
        {
          kind: 'synced',
          commit: desired.commit.oid,
          ...(desired.cluster.verify === undefined ? {} : { verify: desired.cluster.verify }),
        },
      ]
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
