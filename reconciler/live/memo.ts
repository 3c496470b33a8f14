// What observe remembers from one call to the next: the facts of each node, as long as nothing new
// is heard of it.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long
// observe takes, and whether equal facts are the same object; a caller may throw it away at any
// time. Not here: what facts are (schema).

import type { Facts } from '../../schema/ageing.ts';
import type { HeardNode } from '../../schema/live.ts';

export interface ObserveMemo {
  /** By node. */
  nodes: Map<string, { readonly heard: HeardNode; readonly facts: Facts }>;
}

export const createObserveMemo = (): ObserveMemo => ({ nodes: new Map() });
