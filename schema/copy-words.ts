// What people are told of one copy: which of its tasks failed, and who waits for whom.
// In: a copy as reported. Out: phrases, in the words of the tasks' kinds. Not here: where they are
// shown, failures of a version (reconciler/render).

import { isPoststop, kindOf, orderOf, runsToEnd, waitsFor } from './lifecycle.ts';
import type { AllocationReport } from './orders.ts';

type Copy = Pick<AllocationReport, 'body' | 'failure' | 'tasks'>;

/** The failure, with the name of its task where there are several; null: there is none. */
export const failureWords = ({ body, failure }: Pick<Copy, 'body' | 'failure'>): string | null =>
  failure === null || failure.task === null || body.spec.tasks.length < 2
    ? (failure?.message ?? null)
    : `${failure.task}: ${failure.message}`;

/**
 * Where the tasks of a copy stand in their order, a phrase for each that is on its way or waits:
 * `init: prestart task, has not ended yet`, `web: waits for init`. Empty where all has come about.
 */
export const orderWords = ({ body, tasks }: Pick<Copy, 'body' | 'tasks'>): readonly string[] => {
  const specs = body.spec.tasks;
  if (orderOf(specs) === null) return [];
  return specs.flatMap((spec): readonly string[] => {
    const task = tasks.find(({ name }) => name === spec.name);
    if (task === undefined) return [];
    if (task.state === 'running' && runsToEnd(spec)) {
      return [`${spec.name}: ${kindOf(spec)} task, has not ended yet`];
    }
    if (task.state !== 'pending' || isPoststop(spec)) return [];
    const names = waitsFor(specs, spec.name, tasks);
    return names.length === 0 ? [] : [`${spec.name}: waits for ${names.join(', ')}`];
  });
};

/** The task that keeps a copy which never failed from being healthy; null: none that waits says so. */
export const holdingTask = (copy: Pick<Copy, 'body' | 'tasks'>): string | null =>
  copy.body.spec.tasks.find(
    (spec) =>
      runsToEnd(spec) &&
      copy.tasks.some(({ name, state }) => name === spec.name && state === 'running'),
  )?.name ?? null;
