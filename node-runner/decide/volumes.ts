// Folders of named volumes that go (rules 14).
// In: the orders, the inventory. Out: folders to remove now, one piece of work each. Not here: why a
// volume was ended (the ledger), which says so in the orders.

import type { NodeOrders } from '../../schema/orders.ts';
import { intent, type Intent } from './action.ts';
import { noneRuns } from './advance.ts';
import { volumesOf } from './files.ts';
import type { AllocationMark, Inventory } from './inventory.ts';

/**
 * Data cannot be had back, so only what the orders name goes, and only while no order and no copy
 * of this node uses it. A copy that is dead for good uses nothing.
 */
export const removalSteps = (orders: NodeOrders, inventory: Inventory): readonly Intent[] => {
  const asked = (orders.removeVolumes ?? []).filter((name) => inventory.volumes?.has(name));
  if (asked.length === 0) return [];
  const used = new Set([
    ...orders.items.flatMap((item) => (item.kind === 'run' ? usedBy(item.body, inventory) : [])),
    ...[...inventory.marks.values()].flatMap(({ body }) => usedBy(body, inventory)),
  ]);
  return asked
    .filter((name) => !used.has(name))
    .map((volume) => intent({ kind: 'remove-volume', volume }));
};

const usedBy = (body: AllocationMark['body'], { marks }: Inventory): readonly string[] => {
  const mark = marks.get(body.allocation);
  const isDead = mark !== undefined && mark.deadAt !== null && noneRuns(mark);
  return isDead ? [] : volumesOf(body);
};
