// How the loop sleeps: until an instant, or until something rings.
// In: the clock. Out: ring, wait. Ringing carries no data: it only says "look again" (invariant 4).
// Rings between two looks are one. Not here: who rings.

import { abortWith } from '../schema/abort-with.ts';
import type { Ms } from '../schema/spec.ts';
import type { RunnerClock } from './ports.ts';

export interface Bell {
  readonly ring: () => void;
  /** Rings unless the present wait ends by that instant anyway. */
  readonly ringBy: (at: Ms) => void;
  /**
   * Forgets rings so far: called just before looking, so that what rings while looking is not lost.
   */
  readonly clear: () => void;
  readonly wait: (until: Ms, signal: AbortSignal) => Promise<void>;
}

/** Given as the reason, so that no error with a stack is made for each ring. */
const RUNG = 'rung';

export const createBell = (clock: Pick<RunnerClock, 'sleepUntil'>): Bell => {
  let rung = false;
  let nap: { readonly end: AbortController; readonly until: Ms } | null = null;
  const ring = (): void => {
    rung = true;
    nap?.end.abort(RUNG);
  };
  const wait = async (until: Ms, signal: AbortSignal): Promise<void> => {
    if (rung || signal.aborted) return;
    const own = new AbortController();
    nap = { end: own, until };
    const apart = abortWith(signal, own);
    try {
      await clock.sleepUntil(until, own.signal);
    } catch {
      // A sleep that is cut short may reject: that it ended is all that matters.
    } finally {
      apart();
      nap = null;
    }
  };
  return {
    ring,
    ringBy: (at) => {
      if (nap === null || at < nap.until) ring();
    },
    wait,
    clear: () => {
      rung = false;
    },
  };
};
