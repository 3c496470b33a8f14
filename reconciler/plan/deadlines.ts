// Every comparison of an age with a limit goes through here, so that the plan knows when its answer
// could change.
// In: now, ages and limits. Out: reached or not; the earliest instant at which one of them will be.
// Not here: what follows from an age. The recorder is filled while one plan is made and then read
// once.

import type { Ms } from '../../schema/spec.ts';

export interface Deadlines {
  /**
   * Is the age at least the limit? A null age (the thing has not happened) never is, and is not
   * waited for.
   */
  readonly reached: (ageMs: Ms | null, limitMs: Ms) => boolean;
  /**
   * The earliest instant, on the clock of `now`, at which an answer given as "no" becomes "yes";
   * null: none.
   */
  readonly wakeAt: () => Ms | null;
}

export const createDeadlines = (now: Ms): Deadlines => {
  let earliest: Ms | null = null;
  return {
    reached: (ageMs, limitMs) => {
      if (ageMs === null) return false;
      if (ageMs >= limitMs) return true;
      const at = now + limitMs - ageMs;
      earliest = earliest === null ? at : Math.min(earliest, at);
      return false;
    },
    wakeAt: () => earliest,
  };
};
