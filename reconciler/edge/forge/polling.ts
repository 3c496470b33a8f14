// How often GitHub is asked when nothing tells that something changed.
// In: what the rate allows. Out: an interval; calls by a timer; calls drawn together. Not here: what
// is asked.

import type { ClockPort } from '../../ports.ts';
import type { Rate } from './gate.ts';

/** With webhooks a look only finds what was lost. */
const WITH_WEBHOOK_MS = 60_000;
const WITHOUT_WEBHOOK_MS = 10_000;
const LONGEST_MS = 300_000;
/** Requests of one look beside the pages of open pull requests, should everything have changed. */
const LOOK_COST = 7;
/** Part of what is left of the rate that looks may use: the rest is for telling. */
const LOOK_SHARE = 0.3;

export const intervalMs = (hasWebhook: boolean, rate: Rate | null, pages = 1): number => {
  const base = hasWebhook ? WITH_WEBHOOK_MS : WITHOUT_WEBHOOK_MS;
  if (rate === null) return base;
  const needed = ((LOOK_COST + pages) * rate.resetsInMs) / Math.max(1, rate.remaining * LOOK_SHARE);
  return Math.min(LONGEST_MS, Math.max(base, needed));
};

/**
 * The first of many calls is passed on at once, the others together. A look is some six requests,
 * and GitHub takes 900 a minute: while calls go on they are passed on half as often each time.
 */
const TOGETHER_MS = 250;
const TOGETHER_LONGEST_MS = 4000;

export interface Bell {
  readonly ring: () => void;
  readonly listen: (wake: () => void) => () => void;
  readonly close: () => void;
}

/** Rings by itself after `interval`, whenever nobody has rung since; null: never by itself. */
export const createBell = (clock: ClockPort, interval: (() => number) | null): Bell => {
  const listeners = new Set<() => void>();
  const ended = new AbortController();
  let rungAt = Number.NEGATIVE_INFINITY;
  let togetherMs = TOGETHER_MS;
  let waiting: NodeJS.Timeout | null = null;
  let isTicking = false;

  const ring = () => {
    rungAt = clock.now();
    for (const wake of listeners) wake();
  };

  const tick = async (every: () => number): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleepUntil(clock.now() + every(), ended.signal);
      if (!ended.signal.aborted) ring();
    }
  };

  return {
    ring: () => {
      const since = clock.now() - rungAt;
      if (waiting !== null || ended.signal.aborted) return;
      if (since >= 2 * togetherMs) togetherMs = TOGETHER_MS;
      if (since >= togetherMs) {
        ring();
        return;
      }
      const waitMs = togetherMs - since;
      togetherMs = Math.min(2 * togetherMs, TOGETHER_LONGEST_MS);
      waiting = setTimeout(() => {
        waiting = null;
        ring();
      }, waitMs);
      waiting.unref();
    },
    listen: (wake) => {
      listeners.add(wake);
      if (!isTicking && interval !== null) {
        isTicking = true;
        void tick(interval);
      }
      return () => void listeners.delete(wake);
    },
    close: () => {
      ended.abort();
      if (waiting !== null) clearTimeout(waiting);
      listeners.clear();
    },
  };
};
