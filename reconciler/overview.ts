// A view as `purser status` shows it: a small answer from a large cluster.
// In: a view. Out: the overview of all jobs, without specs and bodies. The whole view of 10,000 jobs has tens of
// megabytes as text; this has three.
// Not here: the screen (cli), transport (edge/control).

import { unaged } from '../schema/ageing.ts';
import type { NodeOverview, OverviewAnswer } from '../schema/control.ts';
import type { LiveNode } from '../schema/live.ts';
import type { View } from './cycle.ts';

export const overviewOf = (
  { desired, live, plan }: View,
  ageMs: number,
): NonNullable<OverviewAnswer['view']> => ({
  desired: { commit: desired.commit, standing: desired.standing, nodes: desired.nodes },
  live: { nodes: live.nodes.map(nodeOverview) },
  plan: { deployments: plan.deployments, blocked: plan.blocked, problems: plan.problems },
  ageMs,
});

const nodeOverview = (node: LiveNode): NodeOverview => {
  const { name, connected, silentForMs, capacity, conditions } = node;
  let [copies, cpuMilli, memoryBytes] = [0, 0, 0];
  for (const { phase, body } of unaged(node)) {
    if (phase === 'dead') continue;
    copies += 1;
    cpuMilli += body.spec.ask.cpuMilli;
    memoryBytes += body.spec.ask.memoryBytes;
  }
  return {
    name,
    connected,
    silentForMs,
    capacity,
    conditions,
    copies,
    used: { cpuMilli, memoryBytes },
  };
};
