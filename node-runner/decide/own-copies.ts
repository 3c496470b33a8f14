// Which of this node's own copies may be named to others now, whatever the catalogue still says.
// In: the inventory. Out: yes or no for an allocation; all that are in, to see that they changed. A
// copy that died is out before the reconciler has heard of it, and also while none answers. Not here:
// which copies are in (the reconciler).

import { containerId } from '../../schema/ids.ts';
import { isPoststop, runsToEnd } from '../../schema/lifecycle.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import { markHealth } from './advance.ts';
import type { Inventory } from './inventory.ts';

export interface OwnCopies extends Pick<Inventory, 'marks' | 'containers'> {
  /** Those accepted last; null: none yet, so that nothing is known. */
  readonly orders: NodeOrders | null;
}

/**
 * Not here, being stopped, not running, or not healthy since it last was not. A runner that began
 * a moment ago has asked nobody yet: then a copy that was healthy before stays in.
 */
export const isOwnOut = (allocation: string, { orders, marks, containers }: OwnCopies): boolean => {
  if (orders === null) return false;
  const mark = marks.get(allocation);
  if (mark === undefined || mark.stop !== null || mark.healthySince === null) return true;
  if (markHealth(mark) === 'unhealthy') return true;
  return mark.body.spec.tasks.some((spec) => {
    if (runsToEnd(spec) || isPoststop(spec)) return false;
    const runs = mark.tasks.find(({ name }) => name === spec.name)?.run === 'open';
    return !runs || containers.get(containerId(allocation, spec.name))?.task === 'stopped';
  });
};

/** Those with services that may be named, as text: another one is news that clients wait for. */
export const namedCopies = (own: OwnCopies): string =>
  [...own.marks.values()]
    .flatMap(({ allocation, body }) =>
      (body.spec.services ?? []).length > 0 && !isOwnOut(allocation, own) ? [allocation] : [],
    )
    .join();
