// The reconciler's clock: monotonic, and begun anew with every process.
// In: virtual time, a process, how fast it runs (1 is right). Out: what it reads, and sleep by it.
// Not here: the clocks of nodes (node.ts), which run fast or slow and outlive a runner; the calendar
// (world.ts), which people set.

import type { ClockPort } from '../../../reconciler/ports.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';

/** A sleeper never wakes a rounding error too early, or it would sleep again for no time at all. */
export const ROUND_UP_MS: Ms = 0.01;

/** What the clock shows as its process is born: a computer is never that young. */
const BIRTH_MS: Ms = 1_000;

export const createReconcilerClock = (
  time: SimTime,
  process: Process,
  rate = 1,
): Pick<ClockPort, 'now' | 'sleepUntil'> => {
  const zero = time.now();
  const shown = (worldTime: Ms): Ms => (worldTime - zero) * rate + BIRTH_MS;
  const worldTime = (at: Ms): Ms => {
    const due = (at - BIRTH_MS) / rate + zero;
    return shown(due) < at ? due + ROUND_UP_MS : due;
  };
  return {
    now: () => shown(time.now()),
    sleepUntil: (at, signal) => process.sleepUntil(worldTime(at), signal),
  };
};
