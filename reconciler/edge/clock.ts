// The reconciler's clock: monotonic, so that a clock that is set changes nothing. Every wait, also
// one that is over before it begins, lets reports in and answers out.

import type { ClockPort } from '../ports.ts';

/** The longest wait that a Node timer holds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const createClock = (): ClockPort => ({
  now: () => performance.now(),
  epochMs: () => Date.now(),
  sleepUntil: (at, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        setImmediate(resolve);
        return;
      }
      const wait = Math.min(Math.max(0, at - performance.now()), LONGEST_TIMER_MS);
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, wait);
      signal.addEventListener('abort', end, { once: true });
    }),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
});
