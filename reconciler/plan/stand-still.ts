// The plan while HEAD may not be acted on: the sets that the nodes have stay as they are (rules 1.3,
// 8.3, 12.1).
// In: what is wanted as far as it is known, and what lives. Out: a plan that starts nothing. The one
// thing that it does: a singleton's copy that came back with its node, and would begin with the set
// sent to it anew, does not begin beside another (rules 9.3). Not here: any other plan (plan.ts).

import type { DesiredState } from '../../schema/desired.ts';
import { slotName } from '../../schema/ids.ts';
import { listsOf } from '../../schema/lists.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Plan, Step } from '../../schema/plan.ts';
import type { NodeViews } from './nodes.ts';
import { killTimeoutOf } from './upkeep.ts';

export interface StandStill {
  readonly live: LiveState;
  readonly nodes: NodeViews;
  readonly why: string;
}

export const standStill = (desired: DesiredState, { live, nodes, why }: StandStill): Plan => ({
  commit: desired.commit.oid,
  steps: notBegun(live, nodes),
  blocked: desired.jobs.map((job) => ({
    kind: 'waiting',
    job: job.id,
    slot: null,
    why: 'stopped-sync',
    detail: why,
    remedy: null,
  })),
  proposals: [],
  deployments: [],
  problems: desired.problems,
  synced: false,
  guarded: [],
  wakeAt: null,
});

/**
 * Copies of singletons that do not run yet, where another one of the slot may run: it is reported,
 * or a node that was not heard from may have it. Of two that were not seen to run both end.
 */
const notBegun = (live: LiveState, { byName, unheard }: NodeViews): readonly Step[] => {
  const standing = (node: string) => byName.get(node)?.standing ?? 'unknown';
  const singles = live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body, phase, node }) => {
      return body.spec.singleton && phase !== 'dead' && standing(node) !== 'lost';
    });
  const bySlot = listsOf(singles, ({ body }) => slotName(body));
  return singles.flatMap((copy): readonly Step[] => {
    const alone = unheard.length === 0 && bySlot.get(slotName(copy.body))?.length === 1;
    const waits = copy.phase === 'pending' && !copy.stopping && standing(copy.node) === 'ready';
    return waits && !alone ? [stopOf(copy)] : [];
  });
};

const stopOf = ({ node, allocation, body }: LiveAllocation): Step => ({
  kind: 'stop',
  node,
  job: `${body.namespace}/${body.job}`,
  slot: slotName(body),
  allocation,
  reason: 'duplicate',
  killTimeoutMs: killTimeoutOf(body.spec),
});
