// Whether GitHub is there at all: while it is not, one request now and then finds out, and all others
// are refused here. In: requests that got no answer or a server's error, and those that got one.
// Out: an edge failure that says why, and when it is asked again. Not here: its limits (gate).

import { ForgeFailure } from './failure.ts';

/** So many requests in a row without a good answer: a single one that fails may be its own fault. */
export const AWAY_AFTER = 3;
/** The longest time between two requests then: 120 an hour. */
export const AWAY_LONGEST_MS = 30_000;
/** The first; each is twice as long as the one before. */
export const AWAY_FIRST_MS = 500;

export interface Away {
  /** Throws `retry` while it is away, but for one request now and then. */
  readonly enter: () => void;
  /** A request got no answer, or a server's error: in words. */
  readonly missed: (words: string) => void;
  /** Whatever GitHub says, it is there. */
  readonly answered: () => void;
  /** What goes out now only finds out whether it is back. */
  readonly isAway: () => boolean;
}

/** @param instant a time of the clock as people read it */
export const createAway = (now: () => number, instant: (at: number) => string): Away => {
  let missed = 0;
  let until = 0;
  let why = '';
  return {
    enter: () => {
      if (missed < AWAY_AFTER) return;
      if (now() < until) {
        throw new ForgeFailure('retry', `${why}; it is asked again at ${instant(until)}`);
      }
      // Of all that come now this one goes: if it gets no answer, the others would get none.
      until = now() + waitMs(missed);
    },
    missed: (words) => {
      missed += 1;
      why = words;
      until = now() + waitMs(missed);
    },
    answered: () => {
      missed = 0;
    },
    isAway: () => missed >= AWAY_AFTER,
  };
};

const waitMs = (missed: number): number =>
  Math.min(AWAY_FIRST_MS * 2 ** Math.max(0, missed - AWAY_AFTER), AWAY_LONGEST_MS);
