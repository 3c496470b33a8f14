// Copies of jobs that Git no longer speaks of: stopped, unless something could not be read.
// In: desired state, the copies of those jobs, nodes. Out: stop steps, and what is kept with its reason.
// Not here: jobs that vanished since the last synced commit (they are in DesiredState as removed).

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Blocked, Step } from '../../schema/plan.ts';
import type { NodeViews } from './nodes.ts';
import { killTimeoutOf } from './upkeep.ts';

export interface Strays {
  readonly steps: readonly Step[];
  readonly waits: readonly Blocked[];
}

/** `copies`: by the ids of those jobs, sorted. */
export const strays = (
  desired: DesiredState,
  copies: ReadonlyMap<string, readonly LiveAllocation[]>,
  nodes: NodeViews,
): Strays => {
  const found = [...copies].map(([id, live]) => strayJob(desired, id, { live, nodes }));
  return {
    steps: found.flatMap((stray) => stray.steps),
    waits: found.flatMap((stray) => stray.waits),
  };
};

const strayJob = (
  desired: DesiredState,
  id: string,
  { live, nodes }: { readonly live: readonly LiveAllocation[]; readonly nodes: NodeViews },
): Strays => {
  const why = keptBecause(desired, id);
  if (why !== null) {
    return {
      steps: [],
      waits: [{ kind: 'waiting', job: id, slot: null, why: 'guard', detail: why, remedy: null }],
    };
  }
  const steps = live
    .filter(
      (allocation) =>
        !allocation.stopping &&
        allocation.standing === 'reported' &&
        nodes.byName.get(allocation.node)?.standing === 'ready',
    )
    .map((allocation): Step => ({
      kind: 'stop',
      node: allocation.node,
      job: id,
      slot: `${id}/${allocation.body.group}[${allocation.body.index}]`,
      allocation: allocation.allocation,
      reason: 'job-removed',
      killTimeoutMs: killTimeoutOf(allocation.body.spec),
    }));
  return { steps, waits: [] };
};

/**
 * Never valid while copies live: kept by their accepted bodies (1.3). A ledger that is gone proves
 * nothing (11).
 */
const keptBecause = (desired: DesiredState, id: string): string | null => {
  const file = `jobs/${id}.yaml`;
  const unreadable = desired.problems.some(
    (problem) => problem.severity === 'error' && problem.file === file,
  );
  if (unreadable) return `${file} cannot be read; its copies stay as they are`;
  if (desired.lastSynced === null) {
    return `no commit was synced yet, so nobody can say whether ${id} was removed`;
  }
  return null;
};
