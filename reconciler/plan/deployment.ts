// How far a job is on its way to the wanted version: derived from what is there, in every cycle,
// never stored.
// In: JobView. Out: phase, evidence, and what the rollout may touch. Rules 2.4, 5.3 to 5.6, 6.1,
// 6.2.
// Not here: how many copies at once (budget), what follows from a failure (rollback).

import { failureWords } from '../../schema/copy-words.ts';
import type { Evidence } from '../../schema/ledger.ts';
import type { Ms } from '../../schema/spec.ts';
import { isLive, isThere, type Copy } from './classify.ts';
import type { Deadlines } from './deadlines.ts';
import { budgetOf } from './budget.ts';
import { evidence, seconds } from './evidence.ts';
import type { GroupView, JobView, SlotView } from './slots.ts';
import { unfetchedFailure } from './unfetched.ts';

export type Phase =
  | 'stopped' // stopped or removed: nothing is wanted
  | 'held'
  | 'failed'
  | 'paused'
  | 'done' // every slot holds the wanted version
  | 'stalled'
  | 'waiting' // for a place among max_deployments
  | 'canary'
  | 'rolling';

export interface Rollout {
  readonly phase: Phase;
  readonly reason: string | null;
  /** Every wanted slot holds what rules 2.4 ask for; the mark is to be written. */
  readonly settles: boolean;
  /** Known to have settled, by a mark or just now. */
  readonly settled: boolean;
  /** Failed now or by record; null: not failed. */
  readonly failed: Evidence | null;
  /** A settled version that served its purpose before and now does not (rules 2.4). */
  readonly degraded: string | null;
  /** Slots that the wanted version may be started in. */
  readonly opens: 'all' | 'canary' | 'given' | 'none';
  /** Canaries are out and healthy: a person, or nothing, is waited for. */
  readonly awaitsPromotion: boolean;
  readonly canaries: number;
  /** Counts towards max_deployments (rules 5.6). */
  readonly counts: boolean;
}

export const deriveRollout = (view: JobView, deadlines: Deadlines): Rollout => {
  const { job } = view;
  const groups = view.groups.filter((group) => group.frame.target !== null);
  const facts = factsOf(view, groups, deadlines);
  const canaries = canariesOf(view, groups);
  const awaitsPromotion = canaries > 0 && canariesHealthy(groups, canaries);
  const promoted = canaries === 0 || isPromoted(view, { groups, canaries, awaitsPromotion });
  // Where canaries fill every slot, the version waits for its promotion all the same (5.3).
  const settles = facts.settles && promoted;
  const settled = view.settled || settles;
  // A version that served before is never given up by the machine (2.4, 2.5): it stalls.
  const failed = settled || job.isRollback ? null : (job.failed?.evidence ?? facts.failure);
  const phase = phaseOf(view, { ...facts, settles, failed, promoted });
  const unproven = job.fallback === null;
  return {
    phase,
    reason: reasonOf(view, phase, { failed, stalledBy: facts.stalledBy }),
    settles: settles && isDue(view),
    settled,
    failed,
    degraded: settled && phase !== 'stopped' ? facts.stalledBy : null,
    opens: opensOf(phase, unproven),
    awaitsPromotion: phase === 'canary' && awaitsPromotion,
    canaries: promoted ? 0 : canaries,
    counts:
      (phase === 'rolling' || phase === 'stalled' || (phase === 'canary' && !awaitsPromotion)) &&
      !unproven &&
      !job.isRollback,
  };
};

/** No mark says of this deployment that it settled; of its version one may (rules 2.3, 2.5). */
const isDue = ({ job, settled }: JobView): boolean => !settled || job.isUnmarked === true;

/** The same rollout, put off until there is a place among max_deployments (rules 5.6). */
export const putOff = (rollout: Rollout, limit: number): Rollout => ({
  ...rollout,
  phase: 'waiting',
  reason: `${limit} other rollouts come first (max_deployments)`,
  opens: 'none',
});

interface Facts {
  /** No other version is left, and nothing is missing but what a settled version heals. */
  readonly complete: boolean;
  readonly settles: boolean;
  readonly failure: Evidence | null;
  readonly stalledBy: string | null;
}

const factsOf = (view: JobView, groups: readonly GroupView[], deadlines: Deadlines): Facts => {
  const copies = groups.flatMap((group) => newCopies(view, group));
  const failing = copies.filter((copy) => failedNow(copy) && !recovered(copy, groups));
  return {
    complete: groups.every((group) =>
      group.slots.every((slot) => slot.other === null && (slot.target !== null || view.settled)),
    ),
    settles: settlesNow(view, groups, deadlines),
    failure: failureOf(view, { copies, groups }, deadlines),
    stalledBy: failing[0] === undefined ? null : stallOf(view, failing[0], copies),
  };
};

/** Rules 6.1: where settled copies fail together with it, that is said. */
const stallOf = (view: JobView, failing: Copy, copies: readonly Copy[]): string => {
  const settled = view.settled ? null : failsAsWell(view, copies);
  return settled === null
    ? describe(failing)
    : `${describe(failing)}; a settled copy fails as well (${describe(settled)}), so it is not ` +
        'taken for the fault of the version';
};

/**
 * Copies of the wanted version, dead ones of this deployment included: failures match by
 * deployment (rules 2.3).
 */
const newCopies = (view: JobView, group: GroupView): readonly Copy[] =>
  group.copies.filter(
    (copy) =>
      copy.version === 'target' &&
      copy.class !== 'lost' &&
      (isThere(copy) || copy.allocation.body.deployment === view.job.deployment),
  );

/** The version's own failure (rules 6.1), and not healthy again since. */
const failedNow = (copy: Copy): boolean =>
  copy.allocation.failure?.blame === 'version' && !copy.healthy;

/**
 * A dead allocation counts no more for stalling once its slot holds a healthy copy of the same
 * version.
 */
const recovered = (copy: Copy, groups: readonly GroupView[]): boolean => {
  if (copy.class !== 'dead') return false;
  const { group, index } = copy.allocation.body;
  const view = groups.find(({ name }) => name === group);
  const slot = view?.slots[index];
  return slot === undefined || slot.target?.healthy === true;
};

/**
 * Rules 2.4: every wanted slot was once healthy for long enough, and no group is below minHealthy.
 */
const settlesNow = (view: JobView, groups: readonly GroupView[], deadlines: Deadlines): boolean => {
  const { job } = view;
  if (!isDue(view) || job.failed !== null || job.standing.kind !== 'head' || job.spec.stopped) {
    return false;
  }
  const slots = groups.flatMap((group) => group.slots);
  if (slots.length === 0) return false;
  const missing = slots.filter((slot) => slot.target?.everHealthy !== true);
  const enough = groups.every(
    (group) =>
      group.slots.filter((slot) => slot.target?.healthy === true).length >=
      budgetOf(group).minHealthy,
  );
  if (missing.length === 0) return enough;
  return (
    missing.every(isPlatformGap) &&
    groups.every((group) => group.slots.some((slot) => slot.target?.everHealthy === true)) &&
    deadlines.reached(progressAge(view, groups), job.spec.update.progressDeadlineMs)
  );
};

/** Empty, and no death of the version in it: blocked, or lost with its node. */
const isPlatformGap = (slot: SlotView): boolean =>
  slot.target === null &&
  slot.other === null &&
  !slot.dead.some((copy) => copy.allocation.failure?.blame === 'version');

/**
 * Rules 5.4: the smallest age since a slot's first start or a copy's first health in this
 * deployment. Restarts and reschedules are no progress, so of each slot only the oldest start
 * counts. null: nothing was ever started.
 */
const progressAge = (view: JobView, groups: readonly GroupView[]): Ms | null => {
  const ages: Ms[] = [];
  for (const group of groups) {
    const first = new Map<number, Ms>();
    for (const { allocation } of newCopies(view, group)) {
      if (allocation.firstStartedForMs !== null) {
        const { index } = allocation.body;
        first.set(index, Math.max(first.get(index) ?? 0, allocation.firstStartedForMs));
      }
      if (allocation.firstHealthyForMs !== null) ages.push(allocation.firstHealthyForMs);
    }
    ages.push(...first.values());
  }
  return ages.length === 0 ? null : Math.min(...ages);
};

interface Scene {
  readonly copies: readonly Copy[];
  readonly groups: readonly GroupView[];
}

/** Rules 6.2, *failed*. Not while paused, held, or when the platform is to blame (rules 6.1). */
const failureOf = (view: JobView, scene: Scene, deadlines: Deadlines): Evidence | null => {
  const { update } = view.job.spec;
  const unresolved = unresolvedFailure(view, deadlines);
  if (unresolved !== null) return unresolved;
  if (update.paused || view.job.standing.kind !== 'head') return null;
  if (failsAsWell(view, scene.copies) !== null) return null;
  const dead = scene.copies.filter((copy) => copy.class === 'dead' && failedNow(copy));
  if (dead.length >= update.maxFailures) {
    return evidence(view, `${dead.length} of its allocations died`, dead);
  }
  const unfetched = unfetchedFailure(view, { ...scene, dead }, deadlines);
  if (unfetched !== null) return unfetched;
  const waiting = scene.copies.filter(
    (copy) => isLive(copy) && copy.class !== 'unknown' && !copy.everHealthy && !platform(copy),
  );
  const late = waiting.filter((copy) =>
    deadlines.reached(copy.allocation.firstStartedForMs, update.healthyDeadlineMs),
  );
  if (late.length > 0) {
    const reason = `not healthy ${seconds(update.healthyDeadlineMs)} after its first start`;
    return evidence(view, reason, late);
  }
  // A dead one holds its slot up too, also where `reschedule` has no attempt left for it.
  const stuck = [
    ...waiting.filter((copy) => copy.allocation.firstStartedForMs !== null),
    ...dead.filter((copy) => !recovered(copy, scene.groups)),
  ];
  const age = progressAge(view, scene.groups);
  if (stuck.length > 0 && deadlines.reached(age, update.progressDeadlineMs)) {
    return evidence(view, `no progress for ${seconds(update.progressDeadlineMs)}`, stuck);
  }
  return null;
};

const platform = (copy: Copy): boolean => copy.allocation.failure?.blame === 'platform';

/** Rules 3: a manifest that stays unknown is the version's failure. */
const unresolvedFailure = (view: JobView, deadlines: Deadlines): Evidence | null => {
  const { unresolved, spec } = view.job;
  if (unresolved === null || unresolved.blame !== 'version') return null;
  if (!deadlines.reached(unresolved.sinceMs, spec.update.healthyDeadlineMs)) return null;
  return { reason: unresolved.message, allocations: [] };
};

/**
 * Rules 6.1, last sentence: a settled copy that was healthy and turned unhealthy within
 * `healthy_deadline` of the new version's failure says that something else is broken. null: none.
 */
const failsAsWell = (view: JobView, copies: readonly Copy[]): Copy | null => {
  const newest = copies
    .flatMap(({ allocation }) =>
      allocation.failure?.blame === 'version' ? [allocation.failure.ageMs] : [],
    )
    .toSorted((a, b) => a - b)[0];
  if (newest === undefined) return null;
  const isIll = ({ allocation, version, everHealthy, class: kind }: Copy): boolean =>
    version === 'fallback' &&
    everHealthy &&
    kind !== 'lost' &&
    kind !== 'going' &&
    allocation.health === 'unhealthy' &&
    allocation.failure !== null &&
    Math.abs(allocation.failure.ageMs - newest) <= view.job.spec.update.healthyDeadlineMs;
  return view.groups.flatMap(({ copies: all }) => all).find(isIll) ?? null;
};

const describe = ({ allocation }: Copy): string =>
  `${allocation.body.group}[${allocation.body.index}] on ${allocation.node}: ` +
  (failureWords(allocation) ?? 'not healthy');

/**
 * Canaries before promotion; none without a settled version, none for a rollback or a settled one
 * (rules 2.5, 5.5).
 */
const canariesOf = ({ job, settled }: JobView, groups: readonly GroupView[]): number => {
  if (job.fallback === null || job.isRollback || settled) return 0;
  const { canary } = job.spec.update;
  return groups.some((group) => canarySlots(group, canary).length > 0) ? canary : 0;
};

/** Slots of a group in which canaries go, before promotion. */
export const canarySlots = (group: GroupView, canaries: number): readonly SlotView[] =>
  isChanged(group) ? group.slots.slice(0, canaries) : [];

/** A group whose copies are of the wanted version already needs no canary. */
const isChanged = ({ frame }: GroupView): boolean =>
  frame.target !== null && frame.target.hash !== frame.fallback?.hash && !isSingle(frame.target);

const isSingle = (group: { readonly singleton: boolean }): boolean => group.singleton;

const canariesHealthy = (groups: readonly GroupView[], canaries: number): boolean => {
  const slots = groups.flatMap((group) => canarySlots(group, canaries));
  return slots.every((slot) => slot.target?.healthy === true);
};

/** By a person, or by health; and once the rollout went beyond the canaries it stays promoted. */
const isPromoted = (
  view: JobView,
  scene: {
    readonly groups: readonly GroupView[];
    readonly canaries: number;
    readonly awaitsPromotion: boolean;
  },
): boolean => {
  const { update, specHash } = view.job.spec;
  if (update.promote === specHash.slice(0, PROMOTE_LENGTH)) return true;
  if (!update.autoPromote) return false;
  return (
    scene.awaitsPromotion ||
    scene.groups.some(
      (group) =>
        isChanged(group) && group.slots.slice(scene.canaries).some((slot) => slot.target !== null),
    )
  );
};

/** `update.promote` names the first 12 characters of the spec hash (rules 5.3). */
const PROMOTE_LENGTH = 12;

interface PhaseInput extends Facts {
  readonly failed: Evidence | null;
  readonly promoted: boolean;
}

/** Ordered: the first that holds. */
const phaseOf = ({ job, settled }: JobView, input: PhaseInput): Phase => {
  if (job.spec.stopped || job.standing.kind === 'removed') return 'stopped';
  if (input.failed !== null) return 'failed';
  if (job.standing.kind === 'held') return 'held';
  if (job.spec.update.paused) return input.complete ? 'done' : 'paused';
  if (input.complete && (settled || input.settles || input.stalledBy === null)) return 'done';
  if (input.stalledBy !== null) return 'stalled';
  if (!input.promoted) return 'canary';
  return 'rolling';
};

/**
 * Without a settled version there is nothing to protect and nothing to go back to: its copies go
 * on trying (6.2).
 */
const opensOf = (phase: Phase, unproven: boolean): Rollout['opens'] => {
  switch (phase) {
    case 'rolling':
    case 'done':
      return 'all';
    case 'canary':
      return 'canary';
    case 'stalled':
      return unproven ? 'all' : 'given';
    case 'failed':
      return unproven ? 'all' : 'none';
    case 'held':
    case 'paused':
    case 'waiting':
    case 'stopped':
      return 'none';
  }
};

const reasonOf = (
  { job }: JobView,
  phase: Phase,
  why: { readonly failed: Evidence | null; readonly stalledBy: string | null },
): string | null => {
  switch (phase) {
    case 'held':
      return job.standing.kind === 'held' ? job.standing.why : null;
    case 'failed':
      return why.failed?.reason ?? null;
    case 'stalled':
      return why.stalledBy;
    case 'paused':
      return 'update.paused is true';
    case 'canary':
      return `set update.promote to ${job.spec.specHash.slice(0, PROMOTE_LENGTH)} to go on`;
    case 'stopped':
    case 'done':
    case 'waiting':
    case 'rolling':
      return null;
  }
};
