// Ages of what a node reports grow by themselves, at both ends of the link.
// In: an allocation, how long ago it was told. Out: the same, older. Not here: frames (wire.ts).

import type { AllocationReport } from './orders.ts';
import type { Ms } from './spec.ts';

export type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

/**
 * A copy with this body and this use. Written out: where something is spread and changed, the
 * engine makes a shape for every object, which takes longer than all that is done with it later.
 */
export const copyOf = (
  facts: Omit<AllocationReport, 'body' | 'usage'>,
  { body, usage }: Pick<AllocationReport, 'body' | 'usage'>,
): Writable<AllocationReport> => {
  const copy: Writable<AllocationReport> = {
    allocation: facts.allocation,
    body,
    phase: facts.phase,
    health: facts.health,
    everHealthy: facts.everHealthy,
    tasks: facts.tasks,
    failure: facts.failure,
    ports: facts.ports,
    address: facts.address,
    usage,
    acceptedForMs: facts.acceptedForMs,
    firstStartedForMs: facts.firstStartedForMs,
    runningForMs: facts.runningForMs,
    healthyForMs: facts.healthyForMs,
    firstHealthyForMs: facts.firstHealthyForMs,
    deadForMs: facts.deadForMs,
  };
  if (facts.wasHealthy !== undefined) copy.wasHealthy = facts.wasHealthy;
  if (facts.stopWaits !== undefined) copy.stopWaits = facts.stopWaits;
  return copy;
};

const add = (age: Ms | null, elapsed: Ms): Ms | null => (age === null ? null : age + elapsed);

/** The same allocation, `elapsed` milliseconds later, with what it uses then. */
export const aged = (
  allocation: AllocationReport,
  elapsed: Ms,
  usage: AllocationReport['usage'] = allocation.usage,
): AllocationReport => {
  const { body, failure } = allocation;
  const older = copyOf(allocation, { body, usage });
  older.acceptedForMs += elapsed;
  older.firstStartedForMs = add(older.firstStartedForMs, elapsed);
  older.runningForMs = add(older.runningForMs, elapsed);
  older.healthyForMs = add(older.healthyForMs, elapsed);
  older.firstHealthyForMs = add(older.firstHealthyForMs, elapsed);
  older.deadForMs = add(older.deadForMs, elapsed);
  older.failure = failure && { ...failure, ageMs: failure.ageMs + elapsed };
  return older;
};
