// How many copies of a group may stop and start at once: the arithmetic of a rollout, from live
// counts alone.
// In: GroupView. Out: the budget. One place for all stops, whatever their cause (architecture, the
// budget formula).
// Not here: which copies (group).

import { copiesAtOnce } from '../../schema/parallel.ts';
import { isLive, isThere, type Copy } from './classify.ts';
import type { GroupView } from './slots.ts';

export interface Budget {
  readonly order: 'stop-first' | 'start-first';
  /** Copies that may be stopped or not yet healthy at once (rules 5.1). */
  readonly parallel: number;
  readonly minHealthy: number;
  /** Healthy for min_healthy_time, of any version. */
  readonly healthy: number;
  /** Healthy copies that may stop now. */
  readonly mayStop: number;
  /** Without canaries. */
  readonly maxTotal: number;
  /** Copies that are there, stopping ones included. */
  readonly total: number;
  readonly newLive: number;
  readonly newNotYetHealthy: number;
}

/**
 * minHealthy = count - maxUnavailable, maxTotal = count + maxSurge, mayStop = max(0, healthy -
 * minHealthy). Worked example: count 4, stop-first, max_parallel 25 %: one may be missing,
 * minHealthy 3; with 4 healthy one stops.
 */
export const budgetOf = (group: GroupView, pinned = false): Budget => {
  const { count, job } = group.frame;
  const parallel = copiesAtOnce(job.spec.update.maxParallel, count);
  const order = orderOf(group, pinned);
  // A stop that is taken back may yet have been begun: it counts once its runner says otherwise.
  const healthy = group.copies.filter(
    (copy) => isLive(copy) && copy.healthy && !copy.allocation.stopping,
  ).length;
  const minHealthy = Math.max(0, count - (order === 'stop-first' ? parallel : 0));
  const fresh = group.copies.filter((copy) => isLive(copy) && copy.version === 'target');
  return {
    order,
    parallel,
    minHealthy,
    healthy,
    mayStop: Math.max(0, healthy - minHealthy),
    maxTotal: count + (order === 'start-first' ? parallel : 0),
    total: group.copies.filter(isThere).length,
    newLive: new Set(fresh.map((copy) => copy.allocation.body.index)).size,
    newNotYetHealthy: fresh.filter((copy) => !copy.healthy).length,
  };
};

/**
 * One copy at a time in a slot, whatever is written: singletons, named volumes, scarce pinned
 * ports (9.3, 14, 5.2).
 */
const orderOf = (group: GroupView, pinned: boolean): Budget['order'] => {
  const spec = group.frame.target ?? group.frame.fallback;
  if (spec === null || spec.singleton || spec.volumes.length > 0 || pinned) return 'stop-first';
  return group.frame.job.spec.update.order;
};

/**
 * Stops that wait for an image (rules 5.7) were granted when enough others were healthy. Those that
 * would leave too few now, sorted by allocation: they are taken back, and asked for again later.
 * What waits was granted as stop-first, also in a group that starts first and lacks pinned ports
 * (5.2): it is weighed as that, or it would be granted and taken back in turns.
 */
export const overdrawn = (group: GroupView): readonly string[] => {
  const waiting = group.copies.flatMap(({ class: kind, costs, allocation }) =>
    kind === 'going' && costs && allocation.stopWaits !== undefined ? [allocation.allocation] : [],
  );
  if (waiting.length === 0 || group.frame.count === 0) return [];
  const { healthy, minHealthy } = budgetOf(group, true);
  return waiting.slice(0, Math.max(0, minHealthy - healthy));
};

export interface StopAsk {
  readonly copy: Copy;
}

/**
 * Grants stops in the order given: what costs no health always, the rest while the budget lasts
 * (rules 4.2). Every stop of a group that is not tied to a placement passes through here; those
 * that are draw what is left.
 */
export const grantStops = <Ask extends StopAsk>(
  asks: readonly Ask[],
  mayStop: number,
): {
  readonly granted: readonly Ask[];
  readonly refused: readonly Ask[];
  readonly left: number;
} => {
  const free = asks.filter(({ copy }) => !draws(copy));
  const costly = asks.filter(({ copy }) => draws(copy));
  return {
    granted: [...free, ...costly.slice(0, mayStop)],
    refused: costly.slice(mayStop),
    left: Math.max(0, mayStop - costly.length),
  };
};

/** A copy whose stop is ordered already is not among the healthy ones: it is paid for. */
const draws = ({ costs, allocation }: Copy): boolean => costs && !allocation.stopping;
