// Wake-ups of the loop, each counted once, and when each kind is due.
// In: rings, the beginning and end of passes. Out: when to look, a signal that ends a sleep. A ring
// carries no data but its kind (invariant 4): a commit is due at once; what many nodes report waits
// until passes have left the others time; reports that say nothing new wait longest. Not here: what a
// pass does (cycle).

import type { Ms } from '../schema/spec.ts';
import { QUIET_MS, QUIET_TIMES, REST_MAX_MS, REST_TIMES, WOKEN } from './config.ts';

/**
 * `other`: the branch, an answer, a write. `report`: something happened on a node. `quiet`: a node
 * said that nothing did.
 */
export type Ring = 'other' | 'report' | 'quiet';

export interface Bell {
  readonly ring: (what: Ring) => () => void;
  /** A pass begins. */
  readonly begin: () => void;
  /** It asks for reports: one that came before is in its plan, and needs no second pass. */
  readonly take: () => void;
  /** It is over; its planning held everything up for so long. */
  readonly end: (now: Ms, tookMs: Ms) => void;
  /** When what rang is due; infinity where nothing did. */
  readonly dueAt: () => Ms;
  /** Aborted when something rings that had not rung yet, as the one before is no more. */
  readonly woken: () => AbortController;
}

const NOTHING = { report: false, other: false, quiet: false };

export const createBell = (): Bell => {
  let woken = new AbortController();
  let due = { ...NOTHING };
  let asked = false;
  let last: { readonly at: Ms; readonly tookMs: Ms } = { at: -Infinity, tookMs: 0 };
  const dueAt = (what: Ring): Ms => {
    const { at, tookMs } = last;
    switch (what) {
      case 'other':
        return at;
      case 'report':
        return at + Math.min(REST_TIMES * tookMs, REST_MAX_MS);
      case 'quiet':
        return at + Math.max(QUIET_TIMES * tookMs, QUIET_MS);
    }
  };
  return {
    ring: (what) => () => {
      if (due[what]) return;
      due[what] = true;
      woken.abort(WOKEN);
    },
    begin: () => {
      due = { ...NOTHING };
      asked = false;
    },
    take: () => {
      if (!asked) due = { ...due, report: false, quiet: false };
      asked = true;
    },
    end: (at, tookMs) => {
      last = { at, tookMs };
    },
    dueAt: () =>
      Math.min(
        due.other ? dueAt('other') : Infinity,
        due.report ? dueAt('report') : Infinity,
        due.quiet ? dueAt('quiet') : Infinity,
      ),
    woken: () => {
      woken = new AbortController();
      return woken;
    },
  };
};
