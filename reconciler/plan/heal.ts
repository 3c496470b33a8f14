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
} from './scope.ts';
import type { GroupView, SlotView } from './slots.ts';

/** Nothing is in the slot, and nothing is on its way out of it. */
export const missing = (scope: Scope, slot: SlotView): SlotPlan => {
  const blind = blindness(scope, slot);
  if (blind !== null) return { waits: [wait(scope, slot, blind)] };
  const choice = healVersion(scope, slot);
  if (choice === null) {
    const detail = 'new copies that are not yet healthy come first (max_parallel)';
    return { waits: [wait(scope, slot, { why: 'max-parallel', detail })] };
  }
  if (!isResolved(choice.spec)) {
    const detail = scope.rollout.reason ?? 'an image is not resolved';
    return { waits: [wait(scope, slot, { why: 'unresolved-image', detail })] };
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

/**
 * Which version fills a missing slot (rules 5.5). null: the wanted one, when there is room among
 * the new copies.
 */
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
