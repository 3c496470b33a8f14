// What the planning of one group works with: its input, what a slot may ask for, and small
// questions.
// In: nothing of its own. Out: types, and helpers that group and heal share.
// Not here: decisions (group, heal).

import type { StopReason } from '../../schema/orders.ts';
import type { Blocked, StartReason, WaitReason } from '../../schema/plan.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import type { Version } from './body.ts';
import type { Budget } from './budget.ts';
import type { Copy } from './classify.ts';
import type { Deadlines } from './deadlines.ts';
import type { Rollout } from './deployment.ts';
import { rescheduleDelay } from './reschedule.ts';
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
  /** What is wanted instead while this finds no room among the new copies. */
  readonly otherwise?: SlotWant | null;
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
  /**
   * Set while copies that nobody can see may hold slots: why missing slots wait (invariant 8,
   * rules 9.1).
   */
  readonly blind: { readonly why: WaitReason; readonly detail: string } | null;
  readonly massLoss: ReadonlySet<string>;
}

export interface Scope extends GroupInput {
  readonly budget: Budget;
  readonly canary: ReadonlySet<number>;
}

/** What a slot asks for; the parts are put together in the order of the slots. */
export interface SlotPlan {
  readonly wants?: readonly SlotWant[];
  readonly stops?: readonly SlotStop[];
  readonly waits?: readonly Blocked[];
}

/**
 * May the wanted version be started in this slot? While stalled only where it was started before
 * (rules 6.2).
 */
export const opensSlot = (scope: Scope, slot: SlotView): boolean => {
  const { target } = scope.group.frame;
  if (target === null || !isResolved(target)) return false;
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

/**
 * Runners get digests only: a group with an image that is not resolved starts nowhere (rules 3).
 */
export const isResolved = (spec: GroupSpec): boolean =>
  spec.tasks.every(({ image }) => image.digest !== null);

/**
 * Waits between attempts grow as `reschedule` says; attempts of the same version in this slot
 * count.
 */
export const delayed = (scope: Scope, slot: SlotView, version: Version): Blocked | null => {
  const spec = version.spec.groups.find(({ name }) => name === scope.group.name);
  if (spec === undefined) return null;
  const dead = slot.dead.filter((copy) => copy.allocation.body.spec.hash === spec.hash);
  const newest = dead[0];
  if (newest === undefined) return null;
  const { reschedule } = spec;
  const deaths = newest.allocation.body.deployment === version.deployment ? dead.length : 0;
  if (!reschedule.unlimited && deaths > reschedule.attempts) {
    const times = deaths === 1 ? 'once' : `${deaths} times`;
    const detail = `it died ${times} and reschedule.attempts is ${reschedule.attempts}`;
    return wait(scope, slot, { why: 'failed', detail });
  }
  const delayMs = rescheduleDelay(reschedule, dead.length);
  if (scope.deadlines.reached(newest.allocation.deadForMs, delayMs)) return null;
  const detail = `started again ${Math.ceil(delayMs / 1000)} s after its death`;
  return wait(scope, slot, { why: 'reschedule-delay', detail });
};

export const wait = (
  { view }: Scope,
  slot: SlotView,
  { why, detail }: { readonly why: WaitReason; readonly detail: string },
): Blocked => ({ kind: 'waiting', job: view.job.id, slot: slot.name, why, detail, remedy: null });
