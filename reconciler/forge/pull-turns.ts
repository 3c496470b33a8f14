// Whose plan is made next where many pull requests are open, and how much time plans that are made
// again may take. In: what waits. Out: an order, instants. Not here: what is due (pulls), GitHub's
// limits on writes (edge/forge/gate).

import { compareText } from '../../schema/ids.ts';
import type { Ms } from '../../schema/spec.ts';

/** A plan that is due. */
export interface Waiting {
  /** `beyond`: it is only told that it is not planned. */
  readonly of: 'own' | 'fork' | 'beyond';
  /** Nobody has told the plan of its commit; else it is made again. */
  readonly isPush: boolean;
  /** A person asked for it or approved it, or a merge queue waits. */
  readonly isAsked: boolean;
  /** A push that stood there when the process began: nobody knows since when. */
  readonly isOld: boolean;
  /** Of a push when it was seen first, else when it was planned last. */
  readonly since: Ms;
  /** By the forge's clock; '' where nobody knows. */
  readonly updatedAt: string;
  readonly number: number;
}

/** Somebody looks at it now. */
export const isPressing = ({ isPush, isAsked, isOld, of }: Waiting): boolean =>
  isAsked || (isPush && !isOld && of !== 'beyond');

/**
 * What was asked for, then the repository's own, then forks; of each the newest push first, then
 * what was planned longest ago: so everything has its turn, and nobody who pushes waits for it.
 */
export const byTurn = (a: Waiting, b: Waiting): number =>
  rankOf(a) - rankOf(b) ||
  (a.isAsked ? 0 : a.isPush ? byPush(a, b) : a.since - b.since || newer(a, b));

const byPush = (a: Waiting, b: Waiting): number =>
  Number(a.isOld) - Number(b.isOld) ||
  b.since - a.since ||
  compareText(b.updatedAt, a.updatedAt) ||
  newer(a, b);

const newer = (a: Waiting, b: Waiting): number => b.number - a.number;

const RANKS = { own: 1, fork: 3, beyond: 5 } as const;

const rankOf = ({ isAsked, of, isPush }: Waiting): number =>
  isAsked ? 0 : RANKS[of] + (isPush ? 0 : 1);

/** With up to so many open ones plans are made again as fast as they are due. */
export const PULLS_AT_ONCE = 50;
/** Of more, the part of a thread's time that plans made again take: a merge is met in minutes. */
const AGAIN_SHARE = 1 / 4;
/** Time of theirs that may go in a row: some fifty plans. */
const AGAIN_AT_ONCE_MS = 15_000;

/** Time that was spent and is not made up for yet. */
export interface Spent {
  readonly ms: Ms;
  readonly at: Ms;
}

export const NOTHING_SPENT: Spent = { ms: 0, at: 0 };

export const spentMore = (before: Spent, tookMs: Ms, now: Ms): Spent => ({
  ms: Math.max(0, before.ms - (now - before.at) * AGAIN_SHARE) + tookMs,
  at: now,
});

/** From when on another plan may be made again. */
export const againAt = ({ ms, at }: Spent): Ms =>
  at + Math.max(0, ms - AGAIN_AT_ONCE_MS) / AGAIN_SHARE;
