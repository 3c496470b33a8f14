// What one group wants now: copies to start, copies to stop, and what it waits for.
// In: GroupView, the job's rollout. Out: wants for placement (each with what it draws from the budget), granted stops.
// Not here: where copies go (place), which versions exist (versions are handed in), the whole cluster's order (plan).

import type { Blocked, StartReason, WaitReason } from '../../schema/plan.ts';
import type { StopReason } from '../../schema/orders.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import type { Version } from './body.ts';
import { budgetOf, grantStops, type Budget } from './budget.ts';
import { mustMove, type Copy } from './classify.ts';
import type { Deadlines } from './deadlines.ts';
import { canarySlots, type Rollout } from './deployment.ts';
import type { GroupView, JobView, SlotView } from './slots.ts';

/** A copy that should be started, and the copy that stops for it where there is one. */
export interface SlotWant {
  readonly group: GroupView;
  readonly slot: SlotView;
  readonly version: Version;
  readonly spec: GroupSpec;
  readonly reason: StartReason;
  /** It stops when a place was found for what follows (rules 5.7). */
  readonly victim: { readonly copy: Copy; readonly reason: StopReason } | null;
  readonly draws: readonly string[];
}

export interface SlotStop {
  readonly copy: Copy;
  readonly slot: SlotView;
  readonly reason: StopReason;
}

export interface GroupPlan {
  readonly wants: readonly SlotWant[];
  readonly stops: readonly SlotStop[];
  readonly waits: readonly Blocked[];
  /** Allowances of this group, by name. */
  readonly allowances: ReadonlyMap<string, number>;
}

export interface GroupInput {
  readonly view: JobView;
  readonly group: GroupView;
  readonly rollout: Rollout;
  readonly head: Version;
  readonly fallback: Version | null;
  /** Too few nodes fit for a surge beside a pinned port: those slots go stop-first (rules 5.2). */
  readonly pinned: boolean;
  readonly deadlines: Deadlines;
  /** Set while copies that nobody can see may hold slots: why missing slots wait (invariant 8, rules 9.1). */
  readonly blind: { readonly why: WaitReason; readonly detail: string } | null;
  readonly massLoss: ReadonlySet<string>;
}

interface Scope extends GroupInput {
  readonly budget: Budget;
  /** New copies that may still be promised to missing slots in this plan. */
  newLeft: number;
  readonly canary: ReadonlySet<number>;
}

/** What a slot asks for; the parts are put together in the order of the slots. */
interface SlotPlan {
  readonly wants?: readonly SlotWant[];
  readonly stops?: readonly SlotStop[];
  readonly waits?: readonly Blocked[];
}

export const planGroup = (input: GroupInput): GroupPlan => {
  const { group, rollout } = input;
  const budget = budgetOf(group, input.pinned);
  const canary = canarySlots(group, rollout.canaries);
  const scope: Scope = {
    ...input,
    budget,
    newLeft: newAllowance(input, budget, canary.length),
    canary: new Set(canary.map((slot) => slot.index)),
  };
  const newAtStart = scope.newLeft;
  const slots = group.slots.map((slot) => onlyResolved(scope, planSlot(scope, slot)));
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
      [`new ${group.key}`, newAtStart],
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
 * mayStartNew without its total (that is drawn apart, because a replacement on the same node adds none):
 * min(wantNew - newLive, parallel - newNotYetHealthy). Unbounded where no version ever settled (rules 5.5).
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
    waits: [...(main.waits ?? []), ...volumeStays(scope, slot)],
  };
};

/** Runners get digests only: what is not resolved is not started, not even where nothing else is there (rules 3). */
const onlyResolved = (scope: Scope, plan: SlotPlan): SlotPlan => {
  const missing = (want: SlotWant): string | null =>
    want.spec.tasks.find(({ image }) => image.digest === null)?.image.reference ?? null;
  const wants = (plan.wants ?? []).filter((want) => missing(want) === null);
  const waits = (plan.wants ?? []).flatMap((want) => {
    const reference = missing(want);
    if (reference === null) return [];
    const detail = `the digest of ${reference} is not known yet`;
    return [wait(scope, want.slot, { why: 'unresolved-image', detail })];
  });
  return { ...plan, wants, waits: [...(plan.waits ?? []), ...waits] };
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

/** Two copies in a slot where one is enough (rules 9.2), or a move whose successor is healthy. */
const stopExtra = (slot: SlotView, copy: Copy): readonly SlotStop[] => {
  if (copy.class === 'unknown') return [];
  const stays = copy.version === 'target' ? slot.target : slot.other;
  if (!mustMove(copy))
    return stays?.class === 'unknown' ? [] : [{ copy, slot, reason: 'duplicate' }];
  const successor = slot.target?.healthy === true || stays?.healthy === true;
  return successor || !copy.costs ? [{ copy, slot, reason: moveReason(copy) }] : [];
};

const withTarget = (scope: Scope, slot: SlotView, target: Copy): SlotPlan => {
  const { rollout } = scope;
  if (rollout.phase === 'failed' && mayClearFailed(scope, target)) {
    return clearFailed(scope, slot, target);
  }
  if (slot.other !== null) {
    const finishes = target.healthy && !mustMove(target) && finishing(scope);
    return finishes && slot.other.class !== 'unknown'
      ? { stops: [{ copy: slot.other, slot, reason: 'rollout' }] }
      : {};
  }
  if (slot.extra.length > 0 || !mustMove(target)) return {};
  return move(scope, slot, target);
};

/** A healthy new copy ends the old one's time, but not while the rollout is frozen. */
const finishing = ({ rollout }: Scope): boolean =>
  rollout.phase === 'rolling' || rollout.phase === 'done';

/**
 * Failed copies that are not healthy stop once the failure is on record: they are the evidence until then (6.2).
 * Without a settled version they go on trying.
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
  if (singleFile(scope) || target.costs || target.allocation.standing === 'ordered') {
    return { stops: [stop] };
  }
  const victim = { copy: target, reason: 'failed-version' } as const;
  return {
    wants: [{ group, slot, version: fallback, spec, reason: 'fallback', victim, draws: [] }],
  };
};

/** A singleton starts only when the copy before it is seen to be gone, not behind its stop (rules 9.3). */
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
  return {};
};

/** May the wanted version be started in this slot? While stalled only where it was started before (rules 6.2). */
const opensSlot = (scope: Scope, slot: SlotView): boolean => {
  switch (scope.rollout.opens) {
    case 'all':
      return true;
    case 'canary':
      return scope.canary.has(slot.index);
    case 'given':
      return slot.dead.some((copy) => copy.version === 'target');
    case 'none':
      return false;
  }
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
  // A slot never holds a third copy: what is on its way out goes first.
  if (slot.going.length > 0) return {};
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

/** Nothing is in the slot, and nothing is on its way out of it. */
const missing = (scope: Scope, slot: SlotView): SlotPlan => {
  const blind = blindness(scope, slot);
  if (blind !== null) return { waits: [wait(scope, slot, blind)] };
  const choice = healVersion(scope, slot);
  if (choice === null) {
    const detail = 'new copies that are not yet healthy come first (max_parallel)';
    return { waits: [wait(scope, slot, { why: 'max-parallel', detail })] };
  }
  const waits = delayed(scope, slot, choice.version);
  if (waits !== null) return { waits: [waits] };
  const { group } = scope;
  const draws = [...(choice.counted ? [`new ${group.key}`] : []), `total ${group.key}`];
  const { version, spec, reason } = choice;
  return { wants: [{ group, slot, version, spec, reason, victim: null, draws }] };
};

/** A copy that nobody can see may hold the slot: unheard nodes, and many nodes lost at once. */
const blindness = (scope: Scope, slot: SlotView): GroupInput['blind'] => {
  if (scope.blind !== null) return scope.blind;
  const node = slot.lost.find((copy) => scope.massLoss.has(copy.node.name))?.node.name;
  if (node === undefined) return null;
  const nodes = [...scope.massLoss].join(', ');
  return { why: 'mass-loss', detail: `${nodes} were lost at once; nothing is replaced` };
};

interface HealChoice {
  readonly version: Version;
  readonly spec: GroupSpec;
  readonly reason: StartReason;
  /** It counts as a new copy of a rollout. */
  readonly counted: boolean;
}

/** Which version fills a missing slot (rules 5.5). null: the wanted one, when there is room among the new copies. */
const healVersion = (scope: Scope, slot: SlotView): HealChoice | null => {
  const { group, rollout, head, fallback } = scope;
  const { frame } = group;
  const back =
    fallback !== null && frame.fallback !== null
      ? { version: fallback, spec: frame.fallback }
      : null;
  const evidence = slot.dead.length > 0 || slot.lost.length > 0;
  const reason = startReason(slot);
  const { target } = frame;
  if (target === null) return back === null ? null : { ...back, reason, counted: false };
  const forward = { version: head, spec: target, reason };
  if (back === null || rollout.phase === 'done') return { ...forward, counted: false };
  if (rollout.settled && evidence) return { ...forward, counted: false };
  const strayed = evidence && !hasNew(slot) && !anyNewHealthy(group) && !rollout.settled;
  if (strayed || !opensSlot(scope, slot)) return { ...back, reason: 'fallback', counted: false };
  if (scope.newLeft > 0) {
    scope.newLeft -= 1;
    return { ...forward, reason: evidence ? reason : 'rollout', counted: true };
  }
  return rollout.settled || anyNewHealthy(group)
    ? null
    : { ...back, reason: 'fallback', counted: false };
};

/** A copy of the wanted version died or was lost here, so the slot is the rollout's. */
const hasNew = (slot: SlotView): boolean =>
  [...slot.dead, ...slot.lost].some((copy) => copy.version === 'target');

const anyNewHealthy = (group: GroupView): boolean =>
  group.copies.some((copy) => copy.version === 'target' && copy.healthy);

const startReason = (slot: SlotView): StartReason => {
  const newestDead = slot.dead[0]?.allocation.body.attempt ?? 0;
  const newestLost = Math.max(0, ...slot.lost.map((copy) => copy.allocation.body.attempt));
  if (newestDead === 0 && newestLost === 0) return 'new';
  return newestLost >= newestDead ? 'node-lost' : 'reschedule';
};

/** Waits between attempts grow as `reschedule` says; attempts of the same version in this slot count. */
const delayed = (scope: Scope, slot: SlotView, version: Version): Blocked | null => {
  const spec = version.spec.groups.find(({ name }) => name === scope.group.name);
  if (spec === undefined) return null;
  const dead = slot.dead.filter((copy) => copy.allocation.body.spec.hash === spec.hash);
  const newest = dead[0];
  if (newest === undefined) return null;
  const { reschedule } = spec;
  const deaths = newest.allocation.body.deployment === version.deployment ? dead.length : 0;
  if (!reschedule.unlimited && deaths > reschedule.attempts) {
    const detail = `it died ${deaths} times and reschedule.attempts is ${reschedule.attempts}`;
    return wait(scope, slot, { why: 'failed', detail });
  }
  const delayMs = rescheduleDelay(reschedule, dead.length);
  if (scope.deadlines.reached(newest.allocation.deadForMs, delayMs)) return null;
  const detail = `started again ${Math.ceil(delayMs / 1000)} s after its death`;
  return wait(scope, slot, { why: 'reschedule-delay', detail });
};

/**
 * The delay after the n-th death (n from 1). Worked example, 5 s: constant 5, 5, 5; exponential 5, 10, 20;
 * fibonacci 5, 5, 10. Never more than maxDelayMs.
 */
export const rescheduleDelay = (spec: GroupSpec['reschedule'], deaths: number): number => {
  let [now, next] = [spec.delayMs, spec.delayMs];
  for (let n = 1; n < deaths && now < spec.maxDelayMs; n += 1) {
    switch (spec.delayFunction) {
      case 'constant':
        return Math.min(now, spec.maxDelayMs);
      case 'exponential':
        now *= 2;
        break;
      case 'fibonacci':
        [now, next] = [next, now + next];
        break;
    }
  }
  return spec.delayFunction === 'constant' ? spec.delayMs : Math.min(now, spec.maxDelayMs);
};

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

const wait = (
  { view }: Scope,
  slot: SlotView,
  { why, detail }: { readonly why: WaitReason; readonly detail: string },
): Blocked => ({ kind: 'waiting', job: view.job.id, slot: slot.name, why, detail, remedy: null });
