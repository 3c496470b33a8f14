// Copies of jobs that Git no longer speaks of: stopped, unless something could not be read.
// In: desired state, copies of those jobs, nodes. Out: stop steps, and what is kept with its
// reason.
// Not here: jobs that vanished since the last synced commit (they are in DesiredState as removed).

import type { DesiredState } from '../../schema/desired.ts';
import { compareText, slotName } from '../../schema/ids.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Blocked, Plan, Step } from '../../schema/plan.ts';
import { approvedSlots } from './approvals.ts';
import type { NodeViews } from './nodes.ts';
import { killTimeoutOf } from './upkeep.ts';

export interface Strays {
  readonly steps: readonly Step[];
  readonly waits: readonly Blocked[];
  /** Removals that a person may approve. */
  readonly guarded: Plan['guarded'];
  /** Slots that hold a copy of a job that Git no longer speaks of. */
  readonly slots: readonly string[];
}

/** `copies`: by the ids of those jobs, sorted. */
export const strays = (
  desired: DesiredState,
  copies: ReadonlyMap<string, readonly LiveAllocation[]>,
  nodes: NodeViews,
): Strays => {
  const approved = copies.size === 0 ? new Set<string>() : approvedSlots(desired);
  const found = [...copies].map(([id, live]) => strayJob(desired, id, { live, nodes, approved }));
  return {
    steps: found.flatMap((stray) => stray.steps),
    waits: found.flatMap((stray) => stray.waits),
    guarded: found.flatMap((stray) => stray.guarded),
    slots: found.flatMap((stray) => stray.slots),
  };
};

const strayJob = (
  desired: DesiredState,
  id: string,
  scene: {
    readonly live: readonly LiveAllocation[];
    readonly nodes: NodeViews;
    readonly approved: ReadonlySet<string>;
  },
): Strays => {
  const { live, nodes, approved } = scene;
  const kept = keptBecause(desired, id);
  const there = live.filter(({ stopping }) => !stopping);
  const open = there.filter((one) => kept === null || (kept.mayGo && approved.has(slotOf(one))));
  const steps = open
    .filter(({ node }) => nodes.byName.get(node)?.standing === 'ready')
    .map((allocation): Step => ({
      kind: 'stop',
      node: allocation.node,
      job: id,
      slot: slotOf(allocation),
      allocation: allocation.allocation,
      reason: 'job-removed',
      killTimeoutMs: killTimeoutOf(allocation.body.spec),
    }));
  const waiting = unique(there.filter((one) => !open.includes(one)).map(slotOf));
  const detail = kept?.why ?? '';
  const wait = {
    kind: 'waiting',
    job: id,
    slot: null,
    why: 'guard',
    detail,
    remedy: null,
  } as const;
  return {
    steps,
    waits: waiting.length === 0 ? [] : [wait],
    guarded:
      kept?.mayGo !== true || waiting.length === 0
        ? []
        : [{ job: id, slots: waiting, why: detail }],
    slots: unique(there.map(slotOf)),
  };
};

const slotOf = ({ body }: LiveAllocation): string => slotName(body);

const unique = (slots: readonly string[]): readonly string[] =>
  [...new Set(slots)].toSorted(compareText);

/**
 * Never valid while copies live: kept by their accepted bodies (1.3). A ledger that is gone proves
 * nothing (11).
 */
const keptBecause = (
  desired: DesiredState,
  id: string,
): { readonly why: string; readonly mayGo: boolean } | null => {
  const file = `jobs/${id}.yaml`;
  const unreadable = desired.problems.some(
    (problem) => problem.severity === 'error' && problem.file === file,
  );
  if (unreadable) {
    return { why: `${file} cannot be read; its copies stay as they are`, mayGo: false };
  }
  if (desired.unknownJobs?.includes(id) === true) {
    const why =
      `${file} was never valid, as far as its history is read, and is gone; nobody can say what ` +
      'goes with it';
    return { why, mayGo: true };
  }
  if (desired.lastSynced === null) {
    const why = `no commit was synced yet, so nobody can say whether ${id} was removed`;
    return { why, mayGo: true };
  }
  return null;
};
