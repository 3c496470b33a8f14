// What all checks look at, and what they remember of a run.
// In: nothing. Out: types. Not here: any check (check.ts, check-orders.ts).

import type { Ms } from '../../schema/spec.ts';
import type { Links } from './fake/link.ts';
import type { Human } from './human.ts';
import type { Truth } from './truth.ts';

export interface CheckOptions {
  readonly truth: Truth;
  readonly human: Human;
  readonly links: Links;
}

/** What checks look at. */
export interface Context extends CheckOptions {
  readonly fail: (rule: string, detail: string) => void;
  /** When a fault last hit a node. */
  readonly disturbances: ReadonlyMap<string, Ms>;
  readonly starts: Map<string, Ms[]>;
  readonly reverted: Set<string>;
  /** The commit that each reconciler followed last, by its name. */
  readonly followed: Map<string, string>;
  /** When a deployment was recorded as failed. */
  readonly failedAt: Map<string, Ms>;
  /** Allocations that were ordered to run before. */
  readonly ordered: Set<string>;
  /** Allocations whose newest order is to stop. */
  readonly stopped: Set<string>;
}
