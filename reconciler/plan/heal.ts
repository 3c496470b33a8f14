// A slot that nothing holds: which version fills it, and why it may have to wait.
// In: the group's scope, a slot. Out: a want or a reason. Not here: slots that hold something
// (group).

import type { StartReason } from '../../schema/plan.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import type { Version } from './body.ts';
import {
  delayed,
  isResolved,
  opensSlot,
  wait,
  type GroupInput,
  type Scope,
  type SlotPlan,
  type SlotWant,
} from './scope.ts';
import type { GroupView, SlotView } from './slots.ts';

/** Nothing is in the slot, and nothing is on its way out of it. */
export const missing = (scope: Scope, slot: SlotView): SlotPlan => {
  const blind = blindness(scope, slot);
  if (blind !== null) return { waits: [wait(scope, slot, blind)] };
  const { first, otherwise } = healVersion(scope, slot);
  if (first === null) return {};
  if (!isResolved(first.spec)) {
    const detail = scope.rollout.reason ?? 'an image is not resolved';
    return { waits: [wait(scope, slot, { why: 'unresolved-image', detail })] };
  }
  const waits = delayed(scope, slot, first.version);
  if (waits !== null) return { waits: [waits] };
  const later = otherwise === null || delayed(scope, slot, otherwise.version) !== null;
  const second = later ? null : wantOf(scope, slot, otherwise);
  return { wants: [{ ...wantOf(scope, slot, first), otherwise: second }] };
};

const wantOf = ({ group }: Scope, slot: SlotView, choice: HealChoice): SlotWant => {
  const { counted, ...rest } = choice;
  const draws = [...(counted ? [`new ${group.key}`] : []), `total ${group.key}`];
  return { group, slot, ...rest, victim: null, draws };
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

/**
 * Which version fills a missing slot (rules 5.5): the first, or the other one when the first finds
 * no room among the new copies. That is only known when wants are placed: one that no node takes
 * uses up no room.
 */
const healVersion = (
  scope: Scope,
  slot: SlotView,
): { readonly first: HealChoice | null; readonly otherwise: HealChoice | null } => {
  const { group, rollout, head, fallback } = scope;
  const { frame } = group;
  const back =
    fallback !== null && frame.fallback !== null
      ? { version: fallback, spec: frame.fallback, counted: false }
      : null;
  const evidence = slot.dead.length > 0 || slot.lost.length > 0;
  const reason = startReason(slot);
  const only = (choice: HealChoice | null) => ({ first: choice, otherwise: null });
  const { target } = frame;
  if (target === null) return only(back === null ? null : { ...back, reason });
  const forward = { version: head, spec: target, reason, counted: false };
  if (back === null || rollout.phase === 'done') return only(forward);
  if (rollout.settled && evidence) return only(forward);
  const fallBack: HealChoice = { ...back, reason: 'fallback' };
  // A singleton's slot is empty between the stop of the old copy and the start of the new one.
  const between = target.singleton;
  const strayed =
    evidence && !between && !hasNew(slot) && !anyNewHealthy(group) && !rollout.settled;
  if (strayed || !opensSlot(scope, slot)) return only(fallBack);
  return {
    first: { ...forward, reason: evidence ? reason : 'rollout', counted: true },
    otherwise: rollout.settled || anyNewHealthy(group) ? null : fallBack,
  };
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
