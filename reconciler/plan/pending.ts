// Copies that were ordered and have not started: a registry or a disk that does not answer, a port
// that another program has (rules 6.1).
// In: a job's view. Out: reasons to show (invariant 7). They revert nothing, and nothing is done
// about them here: the runner goes on trying. Not here: copies that started and are not healthy
// (deployment).

import type { Blocked } from '../../schema/plan.ts';
import type { Deadlines } from './deadlines.ts';
import type { Copy } from './classify.ts';
import type { JobView } from './slots.ts';

/**
 * One reason for each copy that has waited for `healthy_deadline` without a start, and at once for
 * one whose runner says what is in its way: a person who looks is told more than "rolling out".
 */
export const pendingWaits = ({ job, groups }: JobView, deadlines: Deadlines): readonly Blocked[] =>
  groups.flatMap(({ slots }) =>
    slots.flatMap(({ name, target, other }) =>
      [target, other]
        .filter((copy) => copy !== null)
        .filter((copy) => isPending(copy))
        .filter(
          ({ allocation }) =>
            allocation.failure?.blame === 'platform' ||
            deadlines.reached(allocation.acceptedForMs, job.spec.update.healthyDeadlineMs),
        )
        .map((copy): Blocked => ({
          kind: 'waiting',
          job: job.id,
          slot: name,
          why: 'stalled',
          detail: describe(copy),
          remedy: null,
        })),
    ),
  );

const isPending = ({ class: kind, allocation }: Copy): boolean =>
  kind === 'kept' && allocation.phase === 'pending' && allocation.firstStartedForMs === null;

const describe = ({ allocation }: Copy): string => {
  const pulling = allocation.tasks.find(({ state }) => state === 'pulling');
  const what =
    allocation.failure?.message ??
    (pulling === undefined ? 'it waits for its node' : `the image of ${pulling.name} is pulled`);
  const { group, index } = allocation.body;
  return `${group}[${index}] has not started on ${allocation.node}: ${what}`;
};
