// The runner's clock: milliseconds since boot, time asleep counted, and the name of this boot
// (rules 9.4).
// In: /proc. Out: RunnerClock. Not here: the calendar; no age is ever computed from it.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { RunnerClock } from '../ports.ts';

/** Where the three sources are; tests give their own. */
export interface ClockSources {
  /** Seconds since boot with two decimals, suspend counted. */
  readonly uptimeMs: () => number;
  /** Fine, but stands still while the machine is suspended. */
  readonly monotonicMs: () => number;
  readonly bootId: () => string;
}

export const createClock = (sources: ClockSources = realSources): RunnerClock => {
  const { uptimeMs, monotonicMs } = sources;
  let offsetMs = uptimeMs() - monotonicMs();
  let lookedAt = monotonicMs();
  let lastMs = 0;
  const now = (): number => {
    const fine = monotonicMs();
    if (fine - lookedAt >= LOOK_EVERY_MS) {
      lookedAt = fine;
      const offset = uptimeMs() - fine;
      // /proc/uptime is cut to 10 ms: smaller differences are noise, larger ones are a suspend.
      if (Math.abs(offset - offsetMs) > SUSPEND_MS) offsetMs = offset;
    }
    lastMs = Math.max(lastMs, Math.floor(fine + offsetMs));
    return lastMs;
  };
  const sleepUntil = async (at: number, signal: AbortSignal): Promise<void> => {
    for (let left = at - now(); left > 0 && !signal.aborted; left = at - now())
      await sleep(Math.min(left, LONGEST_SLEEP_MS), undefined, { signal }).catch(() => undefined);
  };
  return { now, bootId: sources.bootId(), sleepUntil };
};

/** Reading /proc/uptime costs about 10 µs; a suspend may go unnoticed for this long. */
const LOOK_EVERY_MS = 100;
const SUSPEND_MS = 50;
/** Timers stand still during a suspend, so a long sleep looks at the clock in between. */
const LONGEST_SLEEP_MS = 5_000;

const realSources: ClockSources = {
  uptimeMs: () => Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1000,
  monotonicMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  bootId: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
};
