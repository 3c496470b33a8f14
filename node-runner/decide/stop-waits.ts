// A stop that waits for what follows: a copy that serves is told to go when the images of the one
// that takes its place are here (rules 5.7). An image that cannot be had costs nobody a copy.
// In: orders and the inventory. Out: the allocations whose stops wait, and the pulls that they wait
// for. Not here: how a copy stops (stop.ts), which images they are (the planner says so), images
// that are fetched for what starts elsewhere or later (fetch.ts).

import type { NodeOrders, StopImage } from '../../schema/orders.ts';
import type { Intent } from './action.ts';
import { intent } from './action.ts';
import { noneRuns } from './advance.ts';
import type { Inventory } from './inventory.ts';
import { imageName } from './inventory.ts';

export interface WaitingStops {
  /** With the images that their orders name. */
  readonly allocations: ReadonlyMap<string, readonly StopImage[]>;
  readonly pulls: readonly Intent[];
}

/**
 * Only of what runs and is not on its way out yet. When what should follow has died of it, such as
 * for want of its image, the stop waits for orders that say what now.
 */
export const waitingStops = (
  orders: NodeOrders | null,
  { marks, images }: Pick<Inventory, 'marks' | 'images'>,
): WaitingStops => {
  const allocations = new Map<string, readonly StopImage[]>();
  const pulls = new Map<string, Intent>();
  for (const item of orders?.items ?? []) {
    if (item.kind !== 'stop' || item.images === undefined) continue;
    const mark = marks.get(item.allocation);
    if (mark === undefined || mark.stop !== null || mark.deadAt !== null || noneRuns(mark))
      continue;
    const missing = item.images.filter((image) => !images.has(imageName(image)));
    if (missing.length === 0 && !isFollowedByDead(item.allocation, orders, marks)) continue;
    allocations.set(item.allocation, item.images);
    for (const image of missing) {
      const name = imageName(image);
      pulls.set(name, intent({ kind: 'pull', name, ...image }));
    }
  }
  return { allocations, pulls: [...pulls.values()] };
};

/** All of it: one that died before stays in the orders beside the next attempt. */
const isFollowedByDead = (
  allocation: string,
  orders: NodeOrders | null,
  marks: Inventory['marks'],
): boolean => {
  const followers = (orders?.items ?? []).filter(
    (item) => item.kind === 'run' && item.after.includes(allocation),
  );
  const isDead = (id: string): boolean => (marks.get(id)?.deadAt ?? null) !== null;
  return followers.length > 0 && followers.every((item) => isDead(item.allocation));
};
