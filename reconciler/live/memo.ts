// What observe remembers from one call to the next: what is known of each node, and of each of its
// allocations, as long as nothing new is heard of it.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long
// observe takes, and whether equal facts are the same object; a caller may throw it away at any
// time. Not here: what facts are (schema).

import type { Fact, Facts } from '../../schema/ageing.ts';
import type { HeardNode } from '../../schema/live.ts';
import type { AllocationBody, AllocationReport } from '../../schema/orders.ts';

/** A fact with what it was made of. */
export interface KnownFact {
  readonly fact: Fact;
  /** null: ordered, and not reported yet. */
  readonly report: AllocationReport | null;
  readonly body: AllocationBody;
  readonly stopping: boolean;
}

export interface KnownNode {
  readonly heard: HeardNode;
  readonly facts: Facts;
  /** By allocation. */
  readonly known: ReadonlyMap<string, KnownFact>;
}

export interface ObserveMemo {
  /** By node. */
  nodes: ReadonlyMap<string, KnownNode>;
}

export const createObserveMemo = (): ObserveMemo => ({ nodes: new Map() });
