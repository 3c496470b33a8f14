// What all checks look at, and what they remember of a run.
// In: nothing. Out: types, and which nodes a reconciler sees. Not here: any check (check.ts,
// check-orders.ts).

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
  /** Copies of its job that no reconciler saw when an allocation first began, by allocation. */
  readonly unseen: Map<string, ReadonlySet<string>>;
  /** Allocations that were ordered to run before. */
  readonly ordered: Set<string>;
  /** Allocations whose newest order is to stop. */
  readonly stopped: Set<string>;
}

/** A node counts as reachable when its reports came without a gap for so long. */
const REACHABLE_MS: Ms = 30_000;

/** The reconciler that has seen the node without a gap for long enough; null: none has. */
export const seenBy = ({ truth, links, disturbances }: Context, node: string): string | null => {
  const now = truth.time.now();
  const calm = now - (disturbances.get(node) ?? Number.NEGATIVE_INFINITY) > REACHABLE_MS;
  const session = links.session(node);
  if (!calm || session === null || now - session.since < REACHABLE_MS) return null;
  return now - links.heardAt(node) < REACHABLE_MS ? session.with : null;
};
