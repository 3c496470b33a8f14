// When a group must stop because no reconciler answers (rules 9.3).
// In: the group's stop_after and when the newest acknowledged report was sent. Out: an instant.
// The same numbers serve the watchdog process that acts when the runner is dead. Not here:
// stopping.

import { containerId } from '../../schema/ids.ts';
import { stopMs } from '../../schema/lifecycle.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { GroupSpec, Ms } from '../../schema/spec.ts';
import { containerKey } from './action.ts';
import type { AllocationMark, Inventory } from './inventory.ts';

/**
 * The instant on the boot-time clock at which a group with this stop_after stops; null: never
 * (stop_after is 0). No contact in this boot: it must not run at all, so the answer lies in the
 * past (rules 9.4).
 */
export const stopAfterAt = (stopAfterMs: Ms, contactAt: Ms | null): Ms | null => {
  if (stopAfterMs <= 0) return null;
  return contactAt === null ? Number.NEGATIVE_INFINITY : contactAt + stopAfterMs;
};

/**
 * True when nothing of the group may be started before orders were heard anew: for so long without
 * contact the reconciler may have replaced it, and an acknowledged report does not say so (rules
 * 9.4).
 */
export const mustWait = (stopAfterMs: Ms, unheardMs: Ms): boolean =>
  stopAfterMs > 0 && unheardMs >= stopAfterMs;

/**
 * True when another copy of a singleton's slot is on this node: the newer one waits until the older
 * one is gone, and the older one is not started again (rules 9.3). A dead one is kept for the
 * evidence and never started again: it is gone when nothing of it runs. With a named volume a copy
 * waits until nothing of another runs, which may be the newer one where orders came late that take
 * a rollout back (rules 14).
 */
export const hasRival = ({ body }: AllocationMark, inventory: Inventory): boolean => {
  const { singleton, volumes } = body.spec;
  if (!singleton && volumes.length === 0) return false;
  for (const { allocation, body: other, deadAt } of inventory.marks.values()) {
    const sameSlot =
      other.namespace === body.namespace &&
      other.job === body.job &&
      other.group === body.group &&
      other.index === body.index;
    if (!sameSlot || allocation === body.allocation) continue;
    const isAlone = singleton && deadAt === null;
    if (isAlone && isNewer(other, body)) return true;
    if (isAlone ? hasContainer(other, inventory) : stillRuns(other, inventory)) return true;
  }
  return false;
};

/** By attempt; of two versions with the same one, by id, so that both see it the same way. */
const isNewer = (a: AllocationBody, b: AllocationBody): boolean =>
  a.attempt === b.attempt ? a.allocation > b.allocation : a.attempt > b.attempt;

const hasContainer = ({ allocation, spec }: AllocationBody, inventory: Inventory): boolean =>
  spec.tasks.some(({ name }) => {
    const id = containerId(allocation, name);
    return inventory.containers.has(id) || inventory.inFlight.has(containerKey(id));
  });

/** Its end is not seen yet, or something is being done to it. */
const stillRuns = ({ allocation, spec }: AllocationBody, inventory: Inventory): boolean =>
  spec.tasks.some(({ name }) => {
    const id = containerId(allocation, name);
    const task = inventory.containers.get(id)?.task;
    const runs = task === 'created' || task === 'running' || task === 'paused';
    return runs || inventory.inFlight.has(containerKey(id));
  });

/**
 * So long after the last contact nothing of the group runs any more: the whole stop is over, its
 * poststop tasks included. For a singleton it is 5 s less than lost_after at most (rules 9.3).
 */
export const goneAfterMs = ({
  stopAfterMs,
  shutdownDelayMs,
  tasks,
}: Pick<GroupSpec, 'stopAfterMs' | 'shutdownDelayMs' | 'tasks'>): Ms =>
  stopAfterMs + shutdownDelayMs + stopMs(tasks);

/** True when the group must not run now. */
export const mustStop = (stopAfterMs: Ms, contactAt: Ms | null, now: Ms): boolean => {
  const at = stopAfterAt(stopAfterMs, contactAt);
  return at !== null && now >= at;
};
