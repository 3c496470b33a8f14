// Seeds in which jobs have services, and runners are told where they answer (rules 16).
// In: a seed, a scenario. Out: whether it is such a seed, the scenario with services. Not here: what
// must hold of them (check-services.ts).

import { SHUTDOWN_DELAY_MS } from './drafts.ts';
import { isParted } from './parted.ts';
import type { Scenario } from './world.ts';

/** None of the seeds that are kept for what they once showed before there were such seeds. */
const RESIDUES: ReadonlySet<number> = new Set([3, 12, 16, 18, 25, 28, 37]);

export const isServed = (seed: number): boolean => isParted(seed) || RESIDUES.has(seed % 50);

/** A singleton has no time to spare (parted.ts). */
export const withServices = (scenario: Scenario): Scenario => {
  const jobs = [...scenario.first.jobs].map(([id, draft]) => {
    const shutdownDelayMs = draft.singleton ? 0 : SHUTDOWN_DELAY_MS;
    return [id, { ...draft, isService: true, shutdownDelayMs }] as const;
  });
  return { ...scenario, served: true, first: { ...scenario.first, jobs: new Map(jobs) } };
};
