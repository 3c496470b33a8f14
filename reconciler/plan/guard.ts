// Large or precious removals wait for a person (rules 8).
// In: desired state, removals by job. Out: what is held back, for Plan.guarded and for the view of
// each job.
// Not here: how an approval is given (the ledger), replacements and moves (they are not removals).

import { unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText, slotName } from '../../schema/ids.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Plan } from '../../schema/plan.ts';
import { approvedSlots, ownApproved } from './approvals.ts';
import { hasSettled } from './lost-ledger.ts';
import type { Held } from './slots.ts';

/** More than 20 % of a namespace's slots and at least 3 (rules 8.1). */
const GUARD_PERCENT = 20;
const GUARD_LEAST = 3;

export interface Guard {
  readonly held: ReadonlyMap<string, Held>;
  readonly guarded: Plan['guarded'];
  /** All removals that HEAD asks for and that have a live copy, held back or not. */
  readonly removals: ReadonlySet<string>;
}

export interface Removal {
  readonly job: DesiredJob;
  readonly group: string;
  readonly index: number;
  readonly slot: string;
  readonly precious: boolean;
}

export interface GuardInput {
  /** Of the jobs that have any. */
  readonly removals: ReadonlyMap<string, readonly Removal[]>;
  readonly live: LiveState;
}

export const guardRemovals = (desired: DesiredState, { removals, live }: GuardInput): Guard => {
  const held = new Map<string, Held>();
  const guarded: Plan['guarded'][number][] = [];
  const all = new Set([...removals.values()].flatMap((some) => some.map(({ slot }) => slot)));
  if (all.size === 0) return { held, guarded, removals: all };
  const approved = approvedSlots(desired);
  const own = ownApproved(desired);
  const gone = desired.lastSynced === null && hasSettled(live.nodes.flatMap(unaged));
  for (const [namespace, jobs] of namespacesOf(desired, removals)) {
    const found = jobs.flatMap(({ id }) => removals.get(id) ?? []);
    const why = tripped(desired, { namespace, jobs, removals: found, gone });
    if (why === null) continue;
    const waiting = found.filter(({ slot }) => !approved.has(slot));
    for (const job of jobs) {
      const mine = waiting.filter((removal) => removal.job === job);
      if (mine.length === 0) continue;
      held.set(job.id, holdOf(job, mine));
      const slots = mine.map(({ slot }) => slot);
      const isOwn = slots.some((slot) => own.has(slot));
      guarded.push({ job: job.id, slots, why: isOwn ? `${why}; ${OWN}` : why });
    }
  }
  guarded.sort((a, b) => compareText(a.job, b.job));
  return { held, guarded, removals: all };
};

const OWN = 'the approval by the author of the commit does not count (guards.own_approval is off)';

/** Namespaces in which something would go, each with all its jobs; the rest need no guard. */
const namespacesOf = (
  desired: DesiredState,
  removals: ReadonlyMap<string, readonly Removal[]>,
): ReadonlyMap<string, readonly DesiredJob[]> => {
  const found = new Map<string, DesiredJob[]>();
  if (removals.size === 0) return found;
  for (const { id, spec } of desired.jobs) if (removals.has(id)) found.set(spec.namespace, []);
  for (const job of desired.jobs) found.get(job.spec.namespace)?.push(job);
  return found;
};

/**
 * Slots wanted at the last synced commit, wanted no more at HEAD, with a live copy. Those of a held
 * job too: what its last valid content takes away waits all the same.
 */
export const removalsOf = (
  job: DesiredJob,
  live: readonly LiveAllocation[],
): readonly Removal[] => {
  if (job.spec.stopped) return [];
  const slots = new Map<string, Removal>();
  for (const { body, phase, stopping } of live) {
    if (phase === 'dead' || stopping || !isRemoved(job, body.group, body.index)) continue;
    const { namespace, job: name } = job.spec;
    const slot = slotName({ namespace, job: name, group: body.group, index: body.index });
    const precious = body.spec.volumes.length > 0;
    slots.set(slot, { job, group: body.group, index: body.index, slot, precious });
  }
  return [...slots.values()].toSorted((a, b) => compareText(a.slot, b.slot));
};

/**
 * A machine's changes between min and max are no removals; a group that went is held back while it
 * may return.
 */
const isRemoved = (job: DesiredJob, name: string, index: number): boolean => {
  if (job.standing.kind === 'removed') return true;
  const group = job.spec.groups.find((wanted) => wanted.name === name);
  if (group === undefined) {
    const mayReturn = job.fallback?.spec.groups.some((was) => was.name === name) ?? false;
    return job.settled || !mayReturn;
  }
  if (group.scale !== null) return index >= group.scale.max;
  return index >= group.count;
};

const tripped = (
  desired: DesiredState,
  scene: {
    readonly namespace: string;
    readonly jobs: readonly DesiredJob[];
    readonly removals: readonly Removal[];
    readonly gone: boolean;
  },
): string | null => {
  const { namespace, jobs, removals } = scene;
  if (removals.length === 0) return null;
  if (scene.gone) return 'the ledger is gone, so nobody can say what was wanted before';
  const spec = desired.namespaces.find(({ name }) => name === namespace);
  if (spec?.protected === true) return `namespace ${namespace} is protected`;
  const precious = removals.find((removal) => removal.precious);
  if (precious !== undefined) return `${precious.slot} has a named volume`;
  const wanted = jobs
    .filter((job) => job.standing.kind !== 'removed')
    .flatMap((job) => job.spec.groups.map((group) => group.count))
    .reduce((sum, count) => sum + count, 0);
  const all = wanted + removals.length;
  if (removals.length < GUARD_LEAST || removals.length * 100 <= all * GUARD_PERCENT) return null;
  return `${removals.length} of ${all} slots of namespace ${namespace} would go`;
};

const holdOf = (job: DesiredJob, removals: readonly Removal[]): Held => {
  const counts = new Map<string, number>();
  for (const { group, index } of removals) {
    counts.set(group, Math.max(counts.get(group) ?? 0, index + 1));
  }
  const why = 'its removal waits for approval';
  return { why, removal: job.standing.kind === 'removed', counts };
};
