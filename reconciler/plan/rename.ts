// A job that vanishes while one of the same version appears was renamed (rules 8.1).
// In: desired state, allocations by job. Out: old id → new id for those that still wait, in words.
// Not here: the guard (a rename may trip it as well).

import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Blocked } from '../../schema/plan.ts';
import type { Held } from './slots.ts';

/** The old copies stay and are healed until the new ones have settled. */
export const RENAMED: Held = { why: 'it was renamed', removal: true, counts: new Map() };

/** `stuck`: jobs that find no place beside the old copies; for them the old ones go at once. */
export const renamesOf = (
  desired: DesiredState,
  byJob: ReadonlyMap<string, readonly LiveAllocation[]>,
  stuck: ReadonlySet<string>,
): ReadonlyMap<string, string> => {
  const appeared = new Map(
    desired.jobs
      .filter(({ id, standing, settled }) => standing.kind === 'head' && !settled && !stuck.has(id))
      .toSorted((a, b) => compareText(b.id, a.id))
      .map((job) => [job.spec.specHash, job.id]),
  );
  return new Map(
    desired.jobs
      .filter(({ id, standing }) => standing.kind === 'removed' && (byJob.get(id) ?? []).length > 0)
      .toSorted((a, b) => compareText(a.id, b.id))
      .flatMap((job) => {
        const id = appeared.get(job.spec.specHash);
        return id === undefined ? [] : [[job.id, id] as const];
      }),
  );
};

export const renameWait = ([from, to]: readonly [string, string]): Blocked => ({
  kind: 'waiting',
  job: from,
  slot: null,
  why: 'rename',
  detail: `renamed to ${to}; it stops when ${to} has settled. Copies and volumes do not move along`,
  remedy: null,
});
