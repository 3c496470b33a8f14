// How many copies a rollout may have under way at once.
// In: `max_parallel`, the group's count. Out: copies. Not here: which ones (reconciler/plan).

import type { Parallel } from './spec.ts';

/** A percentage rounds down, at least 1 (rules 5.1). Worked example: 30 % of 5 is 1.5, so 1. */
export const copiesAtOnce = (parallel: Parallel, count: number): number =>
  parallel.kind === 'count'
    ? Math.max(1, parallel.copies)
    : Math.max(1, Math.floor((count * parallel.percent) / 100));
