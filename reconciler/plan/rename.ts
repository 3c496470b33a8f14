// A job that vanishes while one of the same version appears was renamed (rules 8.1).
// In: desired state, jobs that are gone and have copies. Out: old id → new id for those that still
// wait, in words.
// Not here: the guard (a rename may trip it as well).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { Blocked } from '../../schema/plan.ts';
import type { Held } from './slots.ts';

/** The old copies stay and are healed until the new ones have settled. */
export const RENAMED: Held = { why: 'it was renamed', removal: true, counts: new Map() };

/**
 * `vanished`: removed jobs that still have copies. `stuck`: jobs that find no place beside the old
 * copies; for them the old ones go at once.
 */
export const renamesOf = (
  desired: DesiredState,
  vanished: readonly DesiredJob[],
  stuck: ReadonlySet<string>,
): ReadonlyMap<string, string> => {
  if (vanished.length === 0) return NONE;
  const appeared = new Map(
    desired.jobs
      .filter(({ id, standing, settled }) => standing.kind === 'head' && !settled && !stuck.has(id))
      .toSorted((a, b) => compareText(b.id, a.id))
      .map((job) => [job.spec.specHash, job.id]),
  );
  return new Map(
    vanished
      .toSorted((a, b) => compareText(a.id, b.id))
      .flatMap((job) => {
        const id = appeared.get(job.spec.specHash);
        return id === undefined ? [] : [[job.id, id] as const];
      }),
  );
};

const NONE: ReadonlyMap<string, string> = new Map();

export const renameWait = ([from, to]: readonly [string, string]): Blocked => ({
  kind: 'waiting',
  job: from,
  slot: null,
  why: 'rename',
  detail: `renamed to ${to}; it stops when ${to} has settled. Copies and volumes do not move along`,
  remedy: null,
});
