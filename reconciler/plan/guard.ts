// Large or precious removals wait for a person (rules 8).
// In: desired state, removals by job. Out: what is held back, for Plan.guarded and for the view of
// each job.
// Not here: how an approval is given (the ledger), replacements and moves (they are not removals).

import { copiesOf, unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveState } from '../../schema/live.ts';
import { REMOVAL_WAITS, type Plan } from '../../schema/plan.ts';
import { approvedSlots, ownApproved, parseSlot } from './approvals.ts';
import { hasSettled } from './lost-ledger.ts';
import { mayHideLoss, neverSpoke, unseenRemedy, type NodeViews } from './nodes.ts';
import { isRemoved, slotsThen, thenOf, type Removal, type Then } from './removals.ts';
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

export interface GuardInput {
  /** Of the jobs that have any. */
  readonly removals: ReadonlyMap<string, readonly Removal[]>;
  readonly live: LiveState;
  readonly nodes: NodeViews;
}

export const guardRemovals = (desired: DesiredState, input: GuardInput): Guard => {
  const { removals, live, nodes } = input;
  const held = new Map<string, Held>();
  const guarded: Plan['guarded'][number][] = [];
  const all = new Set([...removals.values()].flatMap((some) => some.map(({ slot }) => slot)));
  if (all.size === 0) return { held, guarded, removals: all };
  const approved = approvedSlots(desired);
  const own = ownApproved(desired);
  const everSynced = desired.lastSynced !== null;
  const gone = !everSynced && hasSettled(live.nodes.flatMap(unaged));
  // Nothing was ever wanted before, and no ledger is gone: there is nothing to lose (8.1).
  if (!everSynced && !gone) return { held, guarded, removals: all };
  for (const [namespace, jobs] of namespacesOf(desired, removals)) {
    const found = jobs.flatMap(({ id }) => removals.get(id) ?? []);
    const why = tripped(desired, { namespace, jobs, removals: found, live, nodes });
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

const OWN = 'the approval by the author of the removal does not count (guards.own_approval is off)';

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

const tripped = (
  desired: DesiredState,
  scene: {
    readonly namespace: string;
    readonly jobs: readonly DesiredJob[];
    readonly removals: readonly Removal[];
    readonly live: LiveState;
    readonly nodes: NodeViews;
  },
): string | null => {
  const { namespace, jobs, removals, nodes } = scene;
  if (removals.length === 0) return null;
  if (mayHideLoss(desired, nodes)) {
    const why = `nobody can say what was wanted before: ${neverSpoke(nodes)}, so no commit is synced`;
    return `${why}; ${unseenRemedy(nodes)}`;
  }
  if (desired.lastSynced === null) {
    return 'the ledger is gone, so nobody can say what was wanted before';
  }
  const spec = desired.namespaces.find(({ name }) => name === namespace);
  if (spec?.protected === true) return `namespace ${namespace} is protected`;
  if (spec?.wasProtected === true) return `namespace ${namespace} was protected until now`;
  const precious = removals.find((removal) => removal.precious);
  if (precious !== undefined) return `${precious.slot} has a named volume`;
  const copies = copiesOf(scene.live, new Set(jobs.map(({ id }) => id)));
  const then = (job: DesiredJob): Then => thenOf(desired, job, copies.get(job.id) ?? []);
  const count = removals.length + goneWithLeave(desired, { ...scene, thenOf: then });
  if (count < GUARD_LEAST) return null;
  const all = jobs.reduce((sum, job) => sum + slotsThen(then(job)), 0);
  if (count * 100 <= all * GUARD_PERCENT) return null;
  return `${count} of ${all} slots of namespace ${namespace} would go`;
};

/**
 * Slots of the same change that a person has let go of and that are gone already: else the first
 * half of a large removal, approved, would make the second half a small one.
 */
const goneWithLeave = (
  { approvals, usedSlots }: DesiredState,
  scene: {
    readonly jobs: readonly DesiredJob[];
    readonly removals: readonly Removal[];
    readonly thenOf: (job: DesiredJob) => Then;
  },
): number => {
  const live = new Set(scene.removals.map(({ slot }) => slot));
  const named = new Set([...(usedSlots ?? []), ...approvals.flatMap(({ slots }) => slots)]);
  return [...named].filter((slot) => {
    const place = live.has(slot) ? null : parseSlot(slot);
    const job = place && scene.jobs.find(({ id }) => id === place.job);
    return place && job ? isRemoved(job, place, scene.thenOf(job)) : false;
  }).length;
};

const holdOf = (job: DesiredJob, removals: readonly Removal[]): Held => {
  const counts = new Map<string, number>();
  for (const { group, index } of removals) {
    counts.set(group, Math.max(counts.get(group) ?? 0, index + 1));
  }
  return { why: REMOVAL_WAITS, removal: job.standing.kind === 'removed', counts };
};
