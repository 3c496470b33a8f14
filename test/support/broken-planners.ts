// Planners that are wrong in one way each: every law must catch the one that breaks it.
// In: the real planner. Out: broken ones, by law. Not here: the laws (test/property/laws.test.ts).

import { plan } from '../../reconciler/plan/plan.ts';
import type { DesiredState } from '../../schema/desired.ts';
import type { LiveState } from '../../schema/live.ts';
import type { Plan, Step } from '../../schema/plan.ts';

export type Planner = (desired: DesiredState, live: LiveState, now: number) => Plan;

/** Steps come in the order in which the nodes were handed in. */
const dependsOnInputOrder: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  const rank = new Map(live.nodes.map((node, i) => [node.name, i]));
  const steps = made.steps.toSorted((a, b) => (rank.get(a.node) ?? 0) - (rank.get(b.node) ?? 0));
  return { ...made, steps };
};

/** Restarts a copy that is as it should be. */
const neverRests: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  const idle = live.nodes.flatMap((node) => node.allocations)[0];
  if (made.steps.length > 0 || idle === undefined) return made;
  const step: Step = {
    kind: 'update',
    node: idle.node,
    job: `${idle.body.namespace}/${idle.body.job}`,
    slot: '',
    allocation: idle.allocation,
    changes: [],
    body: idle.body,
  };
  return { ...made, steps: [step] };
};

/** Stops every copy that it may replace at once. */
const ignoresHealth: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  const stopped = new Set(made.steps.map((step) => step.allocation));
  const stops = live.nodes
    .filter((node) => node.connected)
    .flatMap((node) => node.allocations)
    .filter(
      ({ health, stopping, allocation }) =>
        health === 'healthy' && !stopping && !stopped.has(allocation),
    )
    .map((copy): Step => ({
      kind: 'stop',
      node: copy.node,
      job: `${copy.body.namespace}/${copy.body.job}`,
      slot: '',
      allocation: copy.allocation,
      reason: 'rollout',
      killTimeoutMs: 0,
    }));
  return { ...made, steps: [...made.steps, ...stops] };
};

/** Believes that every node is a hundred times as large. */
const overcommits: Planner = (desired, live, now) =>
  plan(
    desired,
    {
      ...live,
      nodes: live.nodes.map((node) => ({
        ...node,
        capacity: {
          cpuMilli: node.capacity.cpuMilli * 100,
          memoryBytes: node.capacity.memoryBytes * 100,
        },
      })),
    },
    now,
  );

/** Takes a held job for one at HEAD. */
const rollsHeldJobs: Planner = (desired, live, now) =>
  plan(
    { ...desired, jobs: desired.jobs.map((job) => ({ ...job, standing: { kind: 'head' } })) },
    live,
    now,
  );

/** Forgets the last reason. */
const losesReasons: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  return {
    ...made,
    blocked: made.blocked.map((entry) =>
      entry.kind === 'no-node' ? { ...entry, nodes: entry.nodes.slice(1) } : entry,
    ),
  };
};

/** Loses heart in large clusters. */
const dislikesLargeClusters: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  return desired.nodes.length > 3 ? { ...made, steps: [] } : made;
};

/** Serves the first job only. */
const servesOneJob: Planner = (desired, live, now) => {
  const made = plan(desired, live, now);
  const first = desired.jobs.map((job) => job.id).toSorted()[0];
  return { ...made, steps: made.steps.filter((step) => step.job === first) };
};

/** Sleeps an hour whatever is to come. */
const oversleeps: Planner = (desired, live, now) => ({
  ...plan(desired, live, now),
  wakeAt: now + 3_600_000,
});

export const broken = {
  dependsOnInputOrder,
  neverRests,
  ignoresHealth,
  overcommits,
  rollsHeldJobs,
  losesReasons,
  dislikesLargeClusters,
  servesOneJob,
  oversleeps,
} as const;
