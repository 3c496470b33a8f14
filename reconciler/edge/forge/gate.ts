// When GitHub may be asked, and how often it may be written to: its limits, kept on this side.
// In: a clock, what GitHub's headers say. Out: waiting, or an edge failure that says until when.
// Nothing is dropped: whoever is refused comes again with what is true then. Not here: requests.

import type { ClockPort } from '../../ports.ts';
import { createAway, type Away } from './away.ts';
import { ForgeFailure } from './failure.ts';
import { numberIn, resetIn, waitMs, waitReason, type HeardAnswer } from './wait.ts';

/** GitHub's secondary limits of requests that make content, for one installation or user. */
export const WRITES_A_MINUTE = 80;
export const WRITES_AN_HOUR = 500;
/**
 * Of these, what plans of pull requests leave for commits of the branch and answers to people: on a
 * public repository anybody may open as many as they like.
 */
export const KEPT_A_MINUTE = 20;
export const KEPT_AN_HOUR = 150;
/**
 * Of the rest, what plans that are made again, plans of forks, and comments leave for a plan that
 * somebody waits for: a push, a merge queue, `/purser plan`. A thousand that are told for the first
 * time, or again after a merge, use up the whole hour otherwise.
 */
export const PUSHES_A_MINUTE = 10;
export const PUSHES_AN_HOUR = 100;
/** Part of the hour's requests that reading for plans leaves: looks and commits need some too. */
const RATE_KEPT = 0.2;
/** A write waits so long for its turn; after that the loop looks again at what is to be said. */
export const WRITE_WAIT_MAX_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export interface Gate {
  /** Throws `retry` while GitHub asks to wait, and while it is away. */
  readonly enter: () => void;
  readonly away: Omit<Away, 'enter'>;
  /** Waits until a write fits the limits; throws `retry` where that takes too long. */
  readonly mayWrite: (of?: WriteOf) => Promise<void>;
  /**
   * From when on it fits the limits, of requests too where somebody can wait for it; not after now:
   * at once.
   */
  readonly roomAt: (of: WriteOf) => number;
  /** A write went out. */
  readonly wrote: () => void;
  /** Takes in what an answer's headers say of the rate; the instant until which to wait, or null. */
  readonly heard: (answer: HeardAnswer) => string | null;
  /** The primary limit as last told; null: nothing yet. */
  readonly rate: () => Rate | null;
  /** Writes in the last hour. */
  readonly writes: () => number;
}

/** Of a pull request's plan, of one that somebody waits for, or of what must not wait for those. */
export type WriteOf = 'plan' | 'push' | 'rest';

export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  readonly resetsInMs: number;
}

export const createGate = (clock: ClockPort): Gate => {
  let writes: number[] = [];
  let closedUntil = 0;
  let why = '';
  let rate: { limit: number; remaining: number; resetsAt: number } | null = null;

  const instant = instantOf(clock);
  const away = createAway(clock.now, instant);

  const fullUntil = (now: number, of: WriteOf = 'rest'): number => {
    writes = writes.filter((at) => at > now - HOUR_MS);
    return fullUntilBy(writes, now, of);
  };

  return {
    enter: () => {
      const now = clock.now();
      if (now < closedUntil) {
        const words = `GitHub asks to wait until ${instant(closedUntil)}: ${why}`;
        throw new ForgeFailure('retry', words);
      }
      away.enter();
    },
    away,
    mayWrite: async (of) => {
      while (true) {
        const now = clock.now();
        const until = fullUntil(now, of);
        if (until <= now) return;
        const isLong = until - now > WRITE_WAIT_MAX_MS;
        if (isLong) throw new ForgeFailure('retry', fullWords(instant(until), of));
        await clock.sleepUntil(until, new AbortController().signal);
      }
    },
    roomAt: (of) => {
      const writeAt = fullUntil(clock.now(), of);
      if (of !== 'plan' || rate === null || rate.remaining >= rate.limit * RATE_KEPT)
        return writeAt;
      return Math.max(writeAt, rate.resetsAt);
    },
    wrote: () => {
      writes.push(clock.now());
    },
    heard: ({ status, message, headers }) => {
      const now = clock.now();
      const remaining = numberIn(headers['x-ratelimit-remaining']);
      const resetsIn = resetIn(headers);
      if (remaining !== null && resetsIn !== null) {
        const limit = numberIn(headers['x-ratelimit-limit']) ?? remaining;
        rate = { limit, remaining, resetsAt: now + resetsIn };
      }
      if (status !== 403 && status !== 429 && status !== 503) return null;
      const wait = waitMs({ status, message, headers });
      if (wait === null) return null;
      closedUntil = Math.max(closedUntil, now + wait);
      why = waitReason(status);
      return instant(closedUntil);
    },
    rate: () => {
      if (rate === null) return null;
      const { limit, remaining, resetsAt } = rate;
      return { limit, remaining, resetsInMs: Math.max(0, resetsAt - clock.now()) };
    },
    writes: () => {
      fullUntil(clock.now());
      return writes.length;
    },
  };
};

const fullWords = (until: string, of: WriteOf = 'rest'): string => {
  const limits = `${WRITES_A_MINUTE} writes a minute and ${WRITES_AN_HOUR} an hour`;
  return of !== 'rest'
    ? `nothing more of pull requests is written to GitHub until ${until}: it takes ${limits}, of ` +
        'which some are kept for commits and answers'
    : `nothing more is written to GitHub until ${until}: it takes ${limits}`;
};

/** What each leaves to the others. */
const LEFT: Readonly<Record<WriteOf, { readonly aMinute: number; readonly anHour: number }>> = {
  plan: { aMinute: KEPT_A_MINUTE + PUSHES_A_MINUTE, anHour: KEPT_AN_HOUR + PUSHES_AN_HOUR },
  push: { aMinute: KEPT_A_MINUTE, anHour: KEPT_AN_HOUR },
  rest: { aMinute: 0, anHour: 0 },
};

/** Until when a further write would break a limit; 0: it may go now. */
const fullUntilBy = (writes: readonly number[], now: number, of: WriteOf): number => {
  const { aMinute, anHour } = LEFT[of];
  const inMinute = writes.filter((at) => at > now - MINUTE_MS);
  const minute = inMinute.at(aMinute - WRITES_A_MINUTE);
  const hour = writes.at(anHour - WRITES_AN_HOUR);
  return Math.max(
    minute === undefined ? 0 : minute + MINUTE_MS,
    hour === undefined ? 0 : hour + HOUR_MS,
  );
};

/** A time of the clock as people read it. */
const instantOf =
  (clock: ClockPort) =>
  (at: number): string => {
    const epoch = (clock.epochMs?.() ?? 0) + at - clock.now();
    return `${new Date(epoch).toISOString().slice(11, 19)} UTC`;
  };
