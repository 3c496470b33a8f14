// Images that the orders name and nothing here needs yet: what is to follow a copy that serves on
// another node, or that must be gone first (rules 5.7).
// In: orders and the inventory. Out: the pulls, and what became of each image.
// Not here: who waits for them (the planner does), stops that wait here (stop-waits.ts).

import type { FetchReport, NodeOrders } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { RuntimeFailure } from '../ports.ts';
import type { Intent, Work } from './action.ts';
import { imageKey, intent } from './action.ts';
import { diskIsFull } from './gc.ts';
import type { Inventory } from './inventory.ts';
import { imageName } from './inventory.ts';
import { retryKey } from './retry.ts';

export const fetchSteps = (
  { fetch = [] }: Pick<NodeOrders, 'fetch'>,
  { images }: Pick<Inventory, 'images'>,
): readonly Intent[] =>
  fetch.flatMap((image) => {
    const name = imageName(image);
    return images.has(name) ? [] : [intent({ kind: 'pull', name, ...image })];
  });

/** Of those that are here, or that cannot be had so far. */
export const fetchReports = (
  { fetch = [] }: Pick<NodeOrders, 'fetch'>,
  inventory: Inventory,
  now: Ms,
): readonly FetchReport[] =>
  fetch.flatMap((image): readonly FetchReport[] => {
    const name = imageName(image);
    if (inventory.images.has(name)) return [{ ...image, failure: null }];
    if (diskIsFull(inventory)) return [{ ...image, failure: FULL }];
    const retry = inventory.retries.get(retryKey('pull', imageKey(name)));
    if (retry?.failure === undefined) return [];
    const { since, ...failure } = retry.failure;
    return [{ ...image, failure: { ...failure, forMs: Math.max(0, now - since) } }];
  });

const FULL = {
  blame: 'platform',
  message: 'the image is not pulled: the disk of this node is almost full',
  forMs: 0,
} as const;

/** The end of such a pull is told by the next report, since somebody waits for it. */
export const isFetched = (orders: Pick<NodeOrders, 'fetch'> | null, work: Work): boolean =>
  work.kind === 'pull' && (orders?.fetch ?? []).some((image) => imageName(image) === work.name);

/**
 * What is tried again later by itself: failures of the platform, and fetches, since no allocation
 * of its own says when a fetch is tried again.
 */
export const isRetried = (
  orders: Pick<NodeOrders, 'fetch'> | null,
  work: Work,
  { blame, consequence }: Pick<RuntimeFailure, 'blame' | 'consequence'>,
): boolean => blame === 'platform' || consequence === 'stale' || isFetched(orders, work);

/** Retries of pulls that are ordered anew: what failed for an earlier order says nothing of it. */
export const retriesToForget = (
  before: Pick<NodeOrders, 'fetch'> | null,
  { fetch = [] }: Pick<NodeOrders, 'fetch'>,
): readonly string[] => {
  const known = new Set((before?.fetch ?? []).map(imageName));
  const names = fetch.map(imageName).filter((name) => !known.has(name));
  return names.map((name) => retryKey('pull', imageKey(name)));
};
