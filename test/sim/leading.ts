// Which of several simulated reconcilers leads: it takes the lease where nobody has it, keeps it, and
// knows by its own clock until when that is certain.
// In: the lease, a clock. Out: the term that it leads by at this moment. One that leads no more dies,
// and its supervisor starts it again. Not here: the lease (fake/lease.ts), what a leader does.

import type { Ms } from '../../schema/spec.ts';
import { LEASE_MS, type SimLease } from './fake/lease.ts';
import type { Process } from './process.ts';

export interface Lead {
  /** The term that it leads by at this moment; null: it does not, or cannot be sure of it. */
  readonly term: () => number | null;
}

export interface Candidate {
  readonly process: Process;
  readonly lease: SimLease;
  readonly clock: {
    readonly now: () => Ms;
    readonly sleepUntil: (at: Ms, signal: AbortSignal) => Promise<void>;
  };
  readonly begin: (lead: Lead) => void;
}

/** What is left of the lease counts for nothing: clocks differ, and something is under way. */
const CERTAIN_MS: Ms = LEASE_MS * 0.8;
const LOOK_EVERY_MS: Ms = 500;

export const campaign = async ({ process, lease, clock, begin }: Candidate): Promise<void> => {
  const { signal } = new AbortController();
  let held: { readonly term: number; until: Ms } | null = null;
  const term = (): number | null => (held !== null && clock.now() < held.until ? held.term : null);
  /** False: it leads no more. */
  const look = async (asked: Ms): Promise<boolean> => {
    const until = asked + CERTAIN_MS;
    if (held !== null) {
      if (!(await lease.keep())) return false;
      held.until = until;
      return true;
    }
    const holder = (await lease.holder()) ?? (await lease.acquire());
    // Of an answer that was lost it is not known how long it lives: it is kept first.
    if (!holder.mine || !(await lease.keep())) return true;
    held = { term: holder.term, until };
    begin({ term });
    return true;
  };
  for (;;) {
    const isWell = await look(clock.now()).catch(() => true);
    if (!isWell || (held !== null && term() === null)) return process.kill();
    const { until } = held ?? { until: Number.POSITIVE_INFINITY };
    await clock.sleepUntil(Math.min(clock.now() + LOOK_EVERY_MS, until), signal);
  }
};
