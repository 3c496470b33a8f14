// Slots that go because people said so: wanted at the last synced commit, wanted no more at HEAD,
// with a live copy (rules 8.1).
// In: a job, its copies. Out: its removals, and how many slots it had. Not here: which of them wait
// for a person (guard).

import type { DesiredJob, DesiredState, SyncedGroup } from '../../schema/desired.ts';
import { compareText, slotName } from '../../schema/ids.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { JobSpec } from '../../schema/spec.ts';
import { liveCount } from './slots.ts';

export interface Removal {
  readonly job: DesiredJob;
  readonly group: string;
  readonly index: number;
  readonly slot: string;
  readonly precious: boolean;
}

export interface Then {
  readonly live: readonly LiveAllocation[];
  /** null: nobody can say what was wanted, so whatever lives counts. */
  readonly groups: readonly SyncedGroup[] | null;
}

/** A job's copies, beside what the last synced commit wanted of it. */
export const thenOf = (
  { lastSynced, synced }: DesiredState,
  { id, spec }: DesiredJob,
  live: readonly LiveAllocation[],
): Then => {
  if (lastSynced === null) return { live, groups: null };
  const said = synced?.get(id);
  return { live, groups: said === undefined ? groupsOf(spec) : said };
};

/**
 * Sorted by slot. Those of a held job too: what its last valid content takes away waits all the
 * same.
 */
export const removalsOf = (job: DesiredJob, then: Then): readonly Removal[] => {
  if (job.spec.stopped) return [];
  const { namespace, job: name } = job.spec;
  const slots = new Map<string, Removal>();
  const ranges = new Map<string, Range>();
  for (const { body, phase, stopping } of then.live) {
    const { group, index } = body;
    const range = ranges.get(group) ?? rangeOf(job, group, then);
    ranges.set(group, range);
    if (phase === 'dead' || stopping || index < range.from || index >= range.to) continue;
    const slot = slotName({ namespace, job: name, group, index });
    const precious = body.spec.volumes.length > 0;
    slots.set(slot, { job, group, index, slot, precious });
  }
  return [...slots.values()].toSorted((a, b) => compareText(a.slot, b.slot));
};

/** Was this slot taken away, whether it still holds a copy or not? */
export const isRemoved = (
  job: DesiredJob,
  { group, index }: Pick<Removal, 'group' | 'index'>,
  then: Then,
): boolean => {
  if (job.spec.stopped) return false;
  const { from, to } = rangeOf(job, group, then);
  return index >= from && index < to;
};

/**
 * Jobs of which HEAD wants less than the last synced commit did. Whoever lives: copies may be on a
 * node that nobody has heard from.
 */
export const takenFrom = (desired: DesiredState): readonly DesiredJob[] =>
  desired.jobs.filter((job) => {
    const changed = job.standing.kind === 'removed' || desired.synced?.has(job.id) === true;
    if (!changed || job.spec.stopped) return false;
    const { groups } = thenOf(desired, job, []);
    if (groups === null) return true;
    // A machine's count that stands nowhere may have been as large as it may be.
    const most = groups.map((group) => ({ ...group, value: group.value ?? group.max }));
    return most.some(({ name }) => {
      const { from, to } = rangeOf(job, name, { live: [], groups: most });
      return from < to;
    });
  });

/** Slots that the job had, over all its groups: what a share of them is taken of. */
export const slotsThen = (then: Then): number => {
  const names = then.groups?.map(({ name }) => name) ?? then.live.map(({ body }) => body.group);
  return [...new Set(names)].reduce((sum, name) => sum + countThen(then, name), 0);
};

const groupsOf = ({ stopped, groups }: JobSpec): readonly SyncedGroup[] =>
  stopped
    ? []
    : groups.map(({ name, count, scale }) =>
        scale === null
          ? { name, min: count, max: count, value: count }
          : { name, min: scale.min, max: scale.max, value: scale.fromFile ? count : null },
      );

const countThen = ({ live, groups }: Then, name: string): number => {
  const there = slotsOf(live, name);
  if (groups === null) return there;
  const group = groups.find((one) => one.name === name);
  return group === undefined ? 0 : clamp(group.value ?? there, group);
};

/** A copy of each that is there, dead or alive: a machine's count that stands nowhere. */
const slotsOf = (live: readonly LiveAllocation[], name: string): number =>
  live.reduce(
    (most, { body, stopping }) =>
      stopping || body.group !== name ? most : Math.max(most, body.index + 1),
    0,
  );

interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * A machine's change between min and max is no removal: what it says now does not count, what
 * people said of its bounds does. A group that went is a removal from the start, though its copies
 * stay until the new version has settled: that is when it is too late to ask (rules 2.4).
 */
const rangeOf = (job: DesiredJob, name: string, then: Then): Range => {
  const to = countThen(then, name);
  if (job.standing.kind === 'removed') return { from: 0, to };
  const group = job.spec.groups.find((wanted) => wanted.name === name);
  if (group === undefined) return { from: 0, to };
  if (group.scale === null) return { from: group.count, to };
  const mine = then.live.filter(({ body }) => body.group === name);
  const was = then.groups?.find((one) => one.name === name)?.value ?? slotsOf(mine, name);
  return { from: Math.max(liveCount(group, mine), clamp(was, group.scale)), to };
};

const clamp = (value: number, { min, max }: { readonly min: number; readonly max: number }) =>
  Math.min(max, Math.max(min, value));
