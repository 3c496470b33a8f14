// Ages of what a node reports grow by themselves, at both ends of the link.
// In: an allocation, how long ago it was told. Out: the same, older. Not here: frames (wire.ts).

import type { AllocationReport } from './orders.ts';
import type { Ms } from './spec.ts';

const add = (age: Ms | null, elapsed: Ms): Ms | null => (age === null ? null : age + elapsed);

/** The same allocation, `elapsed` milliseconds later, with what it uses then. */
export const aged = <A extends AllocationReport>(
  allocation: A,
  elapsed: Ms,
  usage: AllocationReport['usage'] = allocation.usage,
): A => ({
  ...allocation,
  usage,
  acceptedForMs: allocation.acceptedForMs + elapsed,
  firstStartedForMs: add(allocation.firstStartedForMs, elapsed),
  runningForMs: add(allocation.runningForMs, elapsed),
  healthyForMs: add(allocation.healthyForMs, elapsed),
  firstHealthyForMs: add(allocation.firstHealthyForMs, elapsed),
  deadForMs: add(allocation.deadForMs, elapsed),
  failure: allocation.failure && {
    ...allocation.failure,
    ageMs: allocation.failure.ageMs + elapsed,
  },
});
