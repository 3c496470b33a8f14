// What plan remembers from one call to the next: the part of each job that no other job has a hand
// in.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long plan
// takes and nothing else; a caller may throw it away at any time. Not here: when something is
// forgotten (recall), which parts may be kept at all (part).

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Room } from '../place/place.ts';
import { createLine, type Line } from './line.ts';
import type { NodeViews } from './nodes.ts';

/** What all that is remembered was made under. */
export interface World {
  readonly now: Ms;
  readonly cluster: string;
  readonly maxDeployments: number;
  /** Some commit was synced before (rules 8.1). */
  readonly everSynced: boolean;
  readonly synced: DesiredState['synced'];
  readonly scaleFiles: DesiredState['scaleFiles'];
  readonly nodes: NodeViews;
  /** Jobs with copies that Git does not speak of, sorted. */
  readonly strays: readonly string[];
}

export interface PlanMemo {
  readonly line: Line;
  world: World | null;
  /** What the copies of a node take, by these copies. */
  readonly rooms: WeakMap<readonly LiveAllocation[], Room>;
}

export const createPlanMemo = (): PlanMemo => ({
  line: createLine(),
  world: null,
  rooms: new WeakMap(),
});
