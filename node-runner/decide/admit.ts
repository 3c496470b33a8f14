// Whether an allocation may begin on this node, and with which host ports.
// In: its body, what the others hold, the node. Out: a port choice, or why it must wait.
// The planner has counted already; this is the node's own last look, so that capacity is never
// exceeded even when orders cross. Not here: waiting for what must be gone first (decide.ts).

import { fits } from '../../schema/fits.ts';
import type { FailureRecord } from '../../schema/orders.ts';
import type { Resources } from '../../schema/spec.ts';
import type { AllocationMark, Inventory, PortChoice } from './inventory.ts';
import { noneRuns } from './advance.ts';
import { choosePorts } from './ports.ts';
import { sizeText } from './words.ts';

/**
 * What admitted allocations hold. Grows in place as more are admitted in one look, like the
 * planner's capacity table: a copy for each of 2,000 would cost 200 ms.
 */
export interface Held {
  resources: Resources;
  readonly ports: Set<number>;
  /** Of ports that are not ours. */
  readonly holders: ReadonlyMap<number, string>;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly ports: readonly PortChoice[] }
  | { readonly kind: 'refused'; readonly failure: Omit<FailureRecord, 'ageMs'> };

export const heldBy = (inventory: Inventory): Held => {
  const ports = new Set(inventory.portsTaken);
  let resources: Resources = { cpuMilli: 0, memoryBytes: 0 };
  for (const mark of inventory.marks.values()) {
    if (mark.ports === null || isShell(mark, inventory)) continue;
    for (const { host } of mark.ports) ports.add(host);
    resources = plus(resources, mark.body.spec.ask);
  }
  return { resources, ports, holders: inventory.portHolders };
};

/** Dead, nothing runs, nothing is mapped: its containers are kept as evidence and hold nothing. */
export const isShell = (mark: AllocationMark, inventory: Inventory): boolean =>
  mark.deadAt !== null && noneRuns(mark) && !inventory.networks.has(mark.allocation);

const plus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli + b.cpuMilli,
  memoryBytes: a.memoryBytes + b.memoryBytes,
});

export const admit = (mark: AllocationMark, held: Held, capacity: Resources): Admission => {
  const { ask } = mark.body.spec;
  const free = {
    cpuMilli: capacity.cpuMilli - held.resources.cpuMilli,
    memoryBytes: capacity.memoryBytes - held.resources.memoryBytes,
  };
  const shortfall = fits(free, ask);
  if (shortfall !== null) {
    const short = shortfall.resource === 'cpu' ? `${shortfall.short}m` : sizeText(shortfall.short);
    const message = `no room on this node yet: ${short} of ${shortfall.resource} short`;
    return refused('runtime', message);
  }
  const answer = choosePorts(mark.allocation, mark.body.spec, held);
  if (answer.kind === 'taken') return refused('port-taken', answer.message);
  return { kind: 'admitted', ports: answer.ports };
};

const refused = (kind: FailureRecord['kind'], message: string): Admission => ({
  kind: 'refused',
  failure: { blame: 'platform', kind, task: null, message },
});

export const hold = (held: Held, mark: AllocationMark): void => {
  held.resources = plus(held.resources, mark.body.spec.ask);
  for (const { host } of mark.ports ?? []) held.ports.add(host);
};
