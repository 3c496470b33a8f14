// What one group wants now: copies to start, copies to stop, and what it waits for.
// In: GroupView, the job's rollout. Out: wants for placement (each with what it draws from the
// budget), granted stops. Not here: where copies go (place), slots that are empty (heal), which
// versions exist (they are handed in), the whole cluster's order (plan).

import type { StopReason } from '../../schema/orders.ts';
import type { Blocked, StartReason } from '../../schema/plan.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import type { Version } from './body.ts';
import { budgetOf, grantStops, type Budget } from './budget.ts';
import { mustMove, type Copy } from './classify.ts';
import { canarySlots } from './deployment.ts';
import { missing } from './heal.ts';
import {
  delayed,
  isResolved,
  opensSlot,
  wait,
  type GroupInput,
  type GroupPlan,
  type Scope,
  type SlotPlan,
  type SlotStop,
  type SlotWant,
} from './scope.ts';
import type { SlotView } from './slots.ts';

export const planGroup = (input: GroupInput): GroupPlan => {
  const { group, rollout } = input;
  const budget = budgetOf(group, input.pinned);
  const canary = canarySlots(group, rollout.canaries);
  const scope: Scope = {
    ...input,
    budget,
    canary: new Set(canary.map((slot) => slot.index)),
  };
  const slots = group.slots.map((slot) => planSlot(scope, slot));
  const asks = [
    ...group.beyond.flatMap((slot) => stopBeyond(scope, slot)),
    ...collect(slots).stops,
  ];
  const { granted, refused, left } = grantStops(asks, budget.mayStop);
  return {
    wants: collect(slots).wants.toSorted((a, b) => order(a) - order(b)),
    stops: granted,
    waits: [...collect(slots).waits, ...refused.map((stop) => budgetWait(scope, stop))],
    allowances: new Map([
      [`stop ${group.key}`, left],
      [`new ${group.key}`, newAllowance(input, budget, canary.length)],
      [`total ${group.key}`, Math.max(0, budget.maxTotal + canary.length - budget.total)],
    ]),
  };
};

/** Missing copies first, then moves, then replacements. */
const order = (want: SlotWant): number =>
  want.victim === null && want.reason !== 'rollout' && want.reason !== 'canary'
    ? 0
    : want.reason === 'drain' || want.reason === 'moved'
      ? 1
      : 2;

const collect = (slots: readonly SlotPlan[]): Required<SlotPlan> => ({
  wants: slots.flatMap((slot) => slot.wants ?? []),
  stops: slots.flatMap((slot) => slot.stops ?? []),
  waits: slots.flatMap((slot) => slot.waits ?? []),
});

/**
 * mayStartNew without its total (that is drawn apart, because a replacement on the same node adds
 * none): min(wantNew - newLive, parallel - newNotYetHealthy). Unbounded where no version ever
 * settled (rules 5.5).
 */
const newAllowance = (input: GroupInput, budget: Budget, canaries: number): number => {
  const { group, rollout, view } = input;
  if (rollout.opens === 'none') return 0;
  const wantNew = rollout.opens === 'canary' ? canaries : group.frame.count;
  const missing = Math.max(0, wantNew - budget.newLive);
  const guarded = view.job.fallback !== null || rollout.settled;
  const parallel = rollout.opens === 'canary' ? canaries : budget.parallel;
  return guarded ? Math.max(0, Math.min(missing, parallel - budget.newNotYetHealthy)) : missing;
};

const planSlot = (scope: Scope, slot: SlotView): SlotPlan => {
  const { target, other } = slot;
  const late = singleFile(scope) ? notBegun(scope, slot) : [];
  if (late.length > 0) {
    const unseen = scope.blind === null ? [] : [wait(scope, slot, scope.blind)];
    return { stops: late, waits: [...silent(scope, slot), ...unseen] };
  }
  const duplicates = slot.extra.flatMap((copy) => stopExtra(slot, copy));
  const main =
    target !== null
      ? withTarget(scope, slot, target)
      : other !== null
        ? withOther(scope, slot, other)
        : slot.going.length > 0
          ? {}
          : missing(scope, slot);
  return {
    ...main,
    stops: [...duplicates, ...(main.stops ?? [])],
    waits: [...(main.waits ?? []), ...volumeStays(scope, slot), ...silent(scope, slot)],
  };
};

/**
 * Copies of a singleton that came back with their node and do not run yet, while another copy of
 * the slot runs, is being stopped, or may run on a node that is silent or was not heard from yet:
 * these must not begin (rules 9.3). Of two that were not seen to run either may have begun since:
 * both end.
 */
const notBegun = ({ blind }: Scope, slot: SlotView): readonly SlotStop[] => {
  const copies = [slot.target, slot.other, ...slot.extra].filter((copy) => copy !== null);
  const waits = (copy: Copy) => copy.class !== 'unknown' && copy.allocation.phase === 'pending';
  if (blind === null && slot.going.length === 0 && copies.length < 2) return [];
  return copies.filter(waits).map((copy) => ({ copy, slot, reason: 'duplicate' }));
};

/** A drain leaves slots with named volumes running and names them (rules 14). */
const volumeStays = (scope: Scope, slot: SlotView): readonly Blocked[] =>
  [slot.target, slot.other]
    .filter((copy) => copy?.class === 'kept' && copy.node.drain === 'yes')
    .map((copy) => ({
      kind: 'waiting',
      job: scope.view.job.id,
      slot: slot.name,
      why: 'volume-drain',
      detail: `its volume is on ${copy?.node.name}, which is drained`,
      remedy: `purser drain ${copy?.node.name} --volumes`,
    }));

/** A silent node's copies hold their slots: nothing is done to them until it speaks or is lost. */
const silent = (scope: Scope, slot: SlotView): readonly Blocked[] =>
  [slot.target, slot.other]
    .flatMap((copy) => (copy !== null && copy.node.standing === 'unknown' ? [copy.node.name] : []))
    .map((node) => wait(scope, slot, { why: 'node-unknown', detail: `${node} is silent` }));

/** Two copies in a slot where one is enough (rules 9.2), or a move whose successor is healthy. */
const stopExtra = (slot: SlotView, copy: Copy): readonly SlotStop[] => {
  if (copy.class === 'unknown') return [];
  const stays = copy.version === 'target' ? slot.target : slot.other;
  if (!mustMove(copy)) {
    const single = copy.allocation.body.spec.singleton;
    return stays?.class === 'unknown' && !single ? [] : [{ copy, slot, reason: 'duplicate' }];
  }
  const successor = slot.target?.healthy === true || stays?.healthy === true;
  return successor || !copy.costs ? [{ copy, slot, reason: moveReason(copy) }] : [];
};

const withTarget = (scope: Scope, slot: SlotView, target: Copy): SlotPlan => {
  const { rollout } = scope;
  if (rollout.phase === 'failed' && mayClearFailed(scope, target)) {
    return clearFailed(scope, slot, target);
  }
  if (slot.other !== null) {
    // Never two of a singleton (rules 9.3): the older version came back beside the one that had
    // replaced it, and goes at once, also while that one's node is silent.
    if (singleFile(scope) && slot.other.class !== 'unknown') {
      return { stops: [{ copy: slot.other, slot, reason: 'duplicate' }] };
    }
    if (isBehind(target, slot.other))
      return { stops: [{ copy: target, slot, reason: 'superseded' }] };
    // It never served, and may never come up where it is, such as while its image is pulled: the
    // slot is begun anew elsewhere.
    if (mustMove(target) && !target.everHealthy && target.class !== 'unknown') {
      return { stops: [{ copy: target, slot, reason: moveReason(target) }] };
    }
    // Also when it must move: it moves once it is alone, and the slot would hold both for ever.
    const finishes = target.healthy && finishing(scope);
    return finishes && slot.other.class !== 'unknown'
      ? { stops: [{ copy: slot.other, slot, reason: 'rollout' }] }
      : {};
  }
  if (slot.extra.length > 0 || !mustMove(target)) return {};
  return move(scope, slot, target);
};

/** It was to start behind a stop that is taken back: it would wait for ever. */
const isBehind = (target: Copy, { allocation: before }: Copy): boolean =>
  before.stopping &&
  target.class === 'kept' &&
  target.node.name === before.node &&
  target.allocation.phase === 'pending' &&
  target.allocation.firstStartedForMs === null;

/** A healthy new copy ends the old one's time, but not while the rollout is frozen. */
const finishing = ({ rollout }: Scope): boolean =>
  rollout.phase === 'rolling' || rollout.phase === 'done';

/**
 * Failed copies that are not healthy stop once the failure is on record: they are the evidence
 * until then (6.2). Without a settled version they go on trying.
 */
const mayClearFailed = (scope: Scope, target: Copy): boolean =>
  scope.view.job.failed !== null &&
  scope.fallback !== null &&
  !target.healthy &&
  target.class !== 'unknown';

const clearFailed = (scope: Scope, slot: SlotView, target: Copy): SlotPlan => {
  const stop: SlotStop = { copy: target, slot, reason: 'failed-version' };
  const { fallback, group } = scope;
  const spec = group.frame.fallback;
  if (slot.other !== null || fallback === null || spec === null) return { stops: [stop] };
  // A slot never holds a third copy: what is on its way out, or left over, goes first.
  if (slot.going.length > 0 || slot.extra.length > 0) return { stops: [stop] };
  if (singleFile(scope) || target.costs || target.allocation.standing === 'ordered') {
    return { stops: [stop] };
  }
  const victim = { copy: target, reason: 'failed-version' } as const;
  return {
    wants: [{ group, slot, version: fallback, spec, reason: 'fallback', victim, draws: [] }],
  };
};

/**
 * A singleton starts only when the copy before it is seen to be gone, not behind its stop (rules
 * 9.3).
 */
const singleFile = ({ group }: Scope): boolean =>
  (group.frame.target ?? group.frame.fallback)?.singleton === true;

const withOther = (scope: Scope, slot: SlotView, other: Copy): SlotPlan => {
  if (other.class === 'unknown') return {};
  const { head, group } = scope;
  const spec = group.frame.target;
  if (spec !== null && opensSlot(scope, slot)) {
    const canary = scope.canary.has(slot.index);
    const reason: StartReason = canary ? 'canary' : mustMove(other) ? 'drain' : 'rollout';
    return replace(scope, { slot, copy: other, version: head, spec, reason, surge: canary });
  }
  if (mustMove(other)) return move(scope, slot, other);
  return giveBack(scope, slot, other);
};

/**
 * While the rollout may not touch the slot, a copy that never served holds it only at a version
 * that still counts: one whose version was superseded is not waited for (rules 5.6), and may never
 * come up, such as while its image is pulled. The settled version takes its place (rules 5.5). Not
 * in a held job: nothing stops because something could not be read (rules 1.3, 8.3).
 */
const giveBack = (scope: Scope, slot: SlotView, copy: Copy): SlotPlan => {
  const { fallback: version, group, view } = scope;
  const spec = group.frame.fallback;
  const spent = copy.version === 'other' && !copy.everHealthy;
  if (!spent || view.job.standing.kind !== 'head' || version === null || spec === null) return {};
  if (slot.going.length > 0 || slot.extra.length > 0 || !isResolved(spec)) return {};
  const waits = delayed(scope, slot, version);
  if (waits !== null) return { waits: [waits] };
  // It costs no health and its place is given on, so it draws nothing.
  const victim = { copy, reason: 'rollout' } as const;
  return { wants: [{ group, slot, version, spec, reason: 'fallback', victim, draws: [] }] };
};

interface Replacement {
  readonly slot: SlotView;
  readonly copy: Copy;
  readonly version: Version;
  readonly spec: GroupSpec;
  readonly reason: StartReason;
  readonly surge: boolean;
}

/** Stop-first: the old copy stops for the new one. Start-first: the new one comes beside it. */
const replace = (scope: Scope, replacement: Replacement): SlotPlan => {
  const { slot, copy, version, spec, reason, surge } = replacement;
  // A slot never holds a third copy: what is on its way out, or left over, goes first.
  if (slot.going.length > 0 || slot.extra.length > 0 || !isResolved(spec)) return {};
  const { group, budget } = scope;
  const waits = delayed(scope, slot, version);
  if (waits !== null) return { waits: [waits] };
  // A copy of the wanted version that moves adds no new one to the rollout.
  const isNew = version === scope.head && copy.version !== 'target';
  const counted = isNew ? [`new ${group.key}`] : [];
  if (surge || budget.order === 'start-first') {
    const draws = [...counted, `total ${group.key}`];
    return { wants: [{ group, slot, version, spec, reason, victim: null, draws }] };
  }
  const stopReason = mustMove(copy) ? moveReason(copy) : 'rollout';
  const draws = copy.costs ? [...counted, `stop ${group.key}`] : counted;
  const victim = { copy, reason: stopReason };
  return { wants: [{ group, slot, version, spec, reason, victim, draws }] };
};

/** The copy must leave its node: the same version goes on elsewhere (rules 9.1, 2.2). */
const move = (scope: Scope, slot: SlotView, copy: Copy): SlotPlan => {
  if (copy.class === 'unknown') return {};
  // `drain --volumes`: the slot can only go on here, so it stops and waits for the node (rules 14).
  if (copy.allocation.body.spec.volumes.length > 0) {
    return { stops: [{ copy, slot, reason: 'drain' }] };
  }
  const reason: StartReason = copy.class === 'draining' ? 'drain' : 'moved';
  const found = versionFor(scope, copy);
  if (found === null) return {};
  return replace(scope, { slot, copy, ...found, reason, surge: false });
};

const versionFor = (
  { rollout, head, fallback, group }: Scope,
  copy: Copy,
): Pick<Replacement, 'version' | 'spec'> | null => {
  const { frame } = group;
  const stays = copy.version === 'target' && !(rollout.phase === 'failed' && fallback !== null);
  if (stays && frame.target !== null) return { version: head, spec: frame.target };
  if (fallback !== null && frame.fallback !== null) {
    return { version: fallback, spec: frame.fallback };
  }
  return frame.target === null ? null : { version: head, spec: frame.target };
};

const moveReason = (copy: Copy): StopReason =>
  copy.class === 'misplaced' ? 'moved' : copy.node.expected === null ? 'node-removed' : 'drain';

/** Copies beyond the count, or of something that is wanted no more, stop together. */
const stopBeyond = (scope: Scope, slot: SlotView): readonly SlotStop[] => {
  const live = [slot.target, slot.other, ...slot.extra].filter((copy) => copy !== null);
  return live
    .filter((copy) => copy.class !== 'unknown')
    .map((copy) => ({ copy, slot, reason: beyondReason(scope) }));
};

const beyondReason = ({ view, group }: Scope): StopReason => {
  if (view.job.standing.kind === 'removed') return 'job-removed';
  if (view.job.spec.stopped) return 'job-stopped';
  return group.frame.target === null ? 'job-removed' : 'scale-down';
};

const budgetWait = (scope: Scope, { slot }: SlotStop): Blocked =>
  wait(scope, slot, {
    why: 'min-healthy-time',
    detail: `stopping it would leave fewer than ${scope.budget.minHealthy} healthy copies`,
  });
