// What plan remembers from one call to the next: the part of each job that no other job has a hand
// in.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long plan
// takes and nothing else; a caller may throw it away at any time. Not here: when something is
// forgotten (recall), which parts may be kept at all (part).

import type { DesiredState } from '../../schema/desired.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Holding, Room } from '../place/place.ts';
import { copyLine, createLine, type Line } from './line.ts';
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
  readonly openScaleFiles: DesiredState['openScaleFiles'];
  readonly volumes: DesiredState['volumes'];
  readonly nodes: NodeViews;
  /** Jobs with copies that Git does not speak of, sorted. */
  readonly strays: readonly string[];
}

/** What copies take: all on a node together, and each. */
export interface Rooms {
  readonly byNode: WeakMap<readonly LiveAllocation[], Room>;
  readonly byCopy: WeakMap<LiveAllocation, Holding>;
}

export interface PlanMemo {
  readonly line: Line;
  world: World | null;
  readonly rooms: Rooms;
}

export const createPlanMemo = (): PlanMemo => ({
  line: createLine(),
  world: null,
  rooms: { byNode: new WeakMap(), byCopy: new WeakMap() },
});

/** For a world that may not come to be: the memo itself stays with the one that is. */
export const copyPlanMemo = ({ line, world, rooms }: PlanMemo): PlanMemo => ({
  line: copyLine(line),
  world,
  rooms,
});
