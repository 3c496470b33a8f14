// The reconciler's clock: monotonic, so that a clock that is set changes nothing. Every wait, also
// one that is over before it begins, lets reports in and answers out.

import { uptime } from 'node:os';
import type { ClockPort } from '../ports.ts';

/** The longest wait that a Node timer holds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** By another source of milliseconds that never goes back, where one is given. */
export const createClock = (now: () => number = () => performance.now()): ClockPort => ({
  now,
  epochMs: () => Date.now(),
  sleepUntil: (at, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        setImmediate(resolve);
        return;
      }
      const wait = Math.min(Math.max(0, at - now()), LONGEST_TIMER_MS);
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

/** Milliseconds since boot, those included in which the machine was suspended; to 10 ms. */
export const sinceBoot = (): number => uptime() * 1000;
