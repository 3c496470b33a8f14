// A version whose image no registry has, where a stop waits for that image (rules 3, 5.7, 6.2).
// In: a job's view, its dead copies. Out: the evidence of the failure; null: none.
// Not here: what waits for images (images), other failures (deployment), tags (compile).

import type { Evidence } from '../../schema/ledger.ts';
import type { Copy } from './classify.ts';
import type { Deadlines } from './deadlines.ts';
import { evidence, seconds } from './evidence.ts';
import { diedWaiting } from './images.ts';
import type { GroupView, JobView } from './slots.ts';

/**
 * The stop of the old copy waits for an image that nobody has (5.7): an unknown manifest (3).
 * Nothing follows behind one that died of it, and nothing was started where a node fetches first.
 */
export const unfetchedFailure = (
  view: JobView,
  { dead, groups }: { readonly dead: readonly Copy[]; readonly groups: readonly GroupView[] },
  deadlines: Deadlines,
): Evidence | null => {
  const { healthyDeadlineMs } = view.job.spec.update;
  const reason = `its image cannot be had for ${seconds(healthyDeadlineMs)}`;
  const { unfetched } = view;
  if (unfetched !== null && deadlines.reached(unfetched.forMs, healthyDeadlineMs)) {
    return { reason: `${reason}: ${unfetched.message}`, allocations: [] };
  }
  const going = groups.flatMap(({ slots }) =>
    slots.flatMap((slot) => slot.going.map(({ allocation }) => allocation)),
  );
  const waited = dead.filter(
    ({ allocation }) =>
      diedWaiting(allocation, going) &&
      deadlines.reached(allocation.failure?.ageMs ?? null, healthyDeadlineMs),
  );
  return waited.length === 0 ? null : evidence(view, reason, waited);
};
