// What is thrown away when the disk fills up.
// In: images, who needs them, when they were last needed, free space. Out: the image to remove
// next. One at a time, oldest first, and only below the threshold: an image that is kept is a start
// that is fast. Not here: logs and files of stopped allocations, which go with them (stop.ts).

import { compareText } from '../../schema/ids.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import type { Inventory } from './inventory.ts';
import { imageName } from './inventory.ts';

/** Less than the reserve is free: nothing is pulled, and what nobody needs goes. */
export const diskIsFull = ({ disk, node }: Inventory): boolean =>
  disk !== null && disk.freeBytes < node.diskReserveBytes;

/**
 * Name of the image that nobody has needed for longest, null when all are needed or there is space.
 */
export const imageToRemove = (inventory: Inventory, orders: NodeOrders): string | null => {
  if (!diskIsFull(inventory)) return null;
  const needed = neededImages(inventory, orders);
  for (const { image } of inventory.containers.values()) needed.add(image);
  const free = [...inventory.images.keys()].filter((name) => !needed.has(name));
  const usedAt = (name: string): number => inventory.imagesUsed.get(name) ?? 0;
  const [oldest] = free.toSorted((a, b) => usedAt(a) - usedAt(b) || compareText(a, b));
  return oldest ?? null;
};

/** Images of everything ordered or remembered. */
export const neededImages = (
  inventory: Pick<Inventory, 'marks'>,
  orders: NodeOrders | null,
): Set<string> => {
  const bodies = [
    ...(orders?.items ?? []).flatMap((item) => (item.kind === 'run' ? [item.body] : [])),
    ...[...inventory.marks.values()].map(({ body }) => body),
  ];
  const next = (orders?.items ?? []).flatMap((item) =>
    item.kind === 'stop' ? (item.images ?? []) : [],
  );
  const images = bodies.flatMap(({ spec }) => spec.tasks.map(({ image }) => image));
  return new Set([...images, ...next, ...(orders?.fetch ?? [])].map(imageName));
};
