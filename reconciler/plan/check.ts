// What must be true of any plan, checked apart from how the plan was made.
// In: a plan, what it was made from. Out: violations; none for a correct planner.
// Not here: reasons and repair. It reads the world in its own plain way, so that it can find the
// planner wrong.

import type { DesiredState } from '../../schema/desired.ts';
import { fits } from '../../schema/fits.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Plan, Step, Violation } from '../../schema/plan.ts';
import type { Parallel, Resources } from '../../schema/spec.ts';

export const check = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => {
  // Most passes change nothing: then the rules about steps have nothing to look at, and a large
  // cluster costs nothing.
  const bySteps = plan.steps.length === 0 ? [] : checkSteps(plan, live, desired);
  return [...bySteps, ...reasonsAddUp(plan, desired)];
};

const checkSteps = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => [
  ...capacityKept(plan, live),
  ...knownNodes(plan, live, desired),
  ...healthKept(plan, live, desired),
  ...stepsAreUnique(plan),
  ...dependenciesAreLocal(plan, live),
  ...slotsHoldFew(plan, live),
  ...heldJobsStay(plan, desired),
];

const sum = (asks: readonly Resources[]): Resources => ({
  cpuMilli: asks.reduce((total, ask) => total + ask.cpuMilli, 0),
  memoryBytes: asks.reduce((total, ask) => total + ask.memoryBytes, 0),
});

/** Values by key, so that each rule looks at every copy once, not once a job. */
const listsOf = <Value>(
  values: readonly Value[],
  keyOf: (value: Value) => string,
): ReadonlyMap<string, readonly Value[]> => {
  const lists = new Map<string, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [value]);
    else list.push(value);
  }
  return lists;
};

const groupOf = ({ body }: { readonly body: Start['body'] }): string =>
  `${body.namespace}/${body.job}/${body.group}`;

type Start = Extract<Step, { kind: 'start' }>;

const startsOf = (plan: Plan): readonly Start[] =>
  plan.steps.flatMap((step) => (step.kind === 'start' ? [step] : []));

/**
 * What is there and what is ordered, with what a start waits for taken off, fits on each node that
 * gets a start.
 */
const capacityKept = (plan: Plan, live: LiveState): readonly Violation[] => {
  const byNode = listsOf(startsOf(plan), ({ node }) => node);
  return live.nodes.flatMap((node) => {
    const starts = byNode.get(node.name) ?? [];
    if (starts.length === 0) return [];
    const freed = new Set(starts.flatMap((start) => start.after));
    const held = node.allocations.filter(
      ({ phase, allocation }) => phase !== 'dead' && !freed.has(allocation),
    );
    const ask = sum([...held, ...starts].map(({ body }) => body.spec.ask));
    const short = fits(node.capacity, ask);
    return short === null
      ? []
      : [
          {
            rule: 'capacity',
            subject: node.name,
            detail: `${short.short} ${short.resource} short`,
          },
        ];
  });
};

/**
 * Starts go to nodes in Git that answer and are not drained; other steps to nodes that answer
 * (rules 9.1).
 */
const knownNodes = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => {
  const open = new Set(desired.nodes.flatMap(({ name, drain }) => (drain === 'no' ? [name] : [])));
  const answering = new Set(live.nodes.flatMap(({ name, connected }) => (connected ? [name] : [])));
  return plan.steps.flatMap((step) =>
    answering.has(step.node) && (step.kind !== 'start' || open.has(step.node))
      ? []
      : [{ rule: 'node', subject: step.allocation, detail: `${step.kind} on ${step.node}` }],
  );
};

/**
 * Healthy copies less those that stop stay at count - maxUnavailable, unless fewer were healthy
 * before (5.1, 4.2).
 */
const healthKept = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => {
  const stopped = new Set(
    plan.steps.flatMap((step) => (step.kind === 'stop' ? [step.allocation] : [])),
  );
  if (stopped.size === 0) return [];
  const allocations = live.nodes.flatMap((node) => (node.connected ? node.allocations : []));
  const byGroup = listsOf(allocations, groupOf);
  return desired.jobs.flatMap(({ spec, standing }) => {
    if (spec.stopped || standing.kind === 'removed') return [];
    return spec.groups.flatMap((group) => {
      const healthy = (byGroup.get(`${spec.id}/${group.name}`) ?? []).filter(
        ({ health, healthyForMs, stopping }) =>
          health === 'healthy' && !stopping && (healthyForMs ?? -1) >= spec.update.minHealthyMs,
      );
      const stops = healthy.filter(({ allocation }) => stopped.has(allocation)).length;
      const least = Math.max(0, group.count - unavailable(spec.update.maxParallel, group.count));
      return stops > Math.max(0, healthy.length - least)
        ? [
            {
              rule: 'min-healthy',
              subject: `${spec.id}/${group.name}`,
              detail: `${stops} of ${healthy.length} healthy copies stop; ${least} must stay`,
            },
          ]
        : [];
    });
  });
};

/** The loosest reading: what stop-first allows. Start-first allows less. */
const unavailable = (parallel: Parallel, count: number): number =>
  parallel.kind === 'count'
    ? parallel.copies
    : Math.max(1, Math.floor((count * parallel.percent) / 100));

const stepsAreUnique = (plan: Plan): readonly Violation[] => {
  const seen = new Set<string>();
  return plan.steps.flatMap(({ allocation }) => {
    if (seen.has(allocation)) {
      return [{ rule: 'one-step', subject: allocation, detail: 'has two steps' }];
    }
    seen.add(allocation);
    return [];
  });
};

/** `after` names allocations on the same node that stop in this plan (rules 10.1). */
const dependenciesAreLocal = (plan: Plan, live: LiveState): readonly Violation[] => {
  const starts = startsOf(plan).filter(({ after }) => after.length > 0);
  if (starts.length === 0) return [];
  const nodeOf = new Map<string, LiveAllocation>(
    live.nodes.flatMap((node) =>
      node.allocations.map((allocation) => [allocation.allocation, allocation] as const),
    ),
  );
  const stopped = new Set(
    plan.steps.flatMap((step) => (step.kind === 'stop' ? [step.allocation] : [])),
  );
  return starts.flatMap((start) =>
    start.after
      .filter((id) => nodeOf.get(id)?.node !== start.node || !stopped.has(id))
      .map((id) => ({ rule: 'after', subject: start.allocation, detail: `waits for ${id}` })),
  );
};

/**
 * A slot holds two copies at most, one where the group is a singleton or has named volumes (rules
 * 9.3, 14).
 */
const slotsHoldFew = (plan: Plan, live: LiveState): readonly Violation[] => {
  const starts = startsOf(plan);
  if (starts.length === 0) return [];
  const there = live.nodes.flatMap((node) => (node.connected ? node.allocations : []));
  const byGroup = listsOf(there, groupOf);
  const slotOf = ({ body }: { readonly body: Start['body'] }): string =>
    `${body.namespace}/${body.job}/${body.group}[${body.index}]`;
  return starts.flatMap((start) => {
    const before = (byGroup.get(groupOf(start)) ?? []).filter(
      (copy) =>
        slotOf(copy) === start.slot &&
        copy.phase !== 'dead' &&
        !start.after.includes(copy.allocation),
    );
    const most = start.body.spec.singleton || start.body.spec.volumes.length > 0 ? 0 : 1;
    return before.length <= most
      ? []
      : [{ rule: 'slot', subject: start.slot, detail: `it holds ${before.length} copies already` }];
  });
};

/**
 * A job held at its last valid content gets no removal and no other version (rules 1.3). Where that
 * content says `stopped`, stopping is what it wants.
 */
const heldJobsStay = (plan: Plan, desired: DesiredState): readonly Violation[] => {
  const byJob = listsOf(plan.steps, ({ job }) => job);
  return desired.jobs
    .filter(({ standing }) => standing.kind === 'held')
    .flatMap(({ id, spec }) =>
      (byJob.get(id) ?? [])
        .filter(
          (step) =>
            (step.kind === 'start' && (step.reason === 'rollout' || step.reason === 'canary')) ||
            (step.kind === 'stop' &&
              REMOVALS.has(step.reason) &&
              !(step.reason === 'job-stopped' && spec.stopped)),
        )
        .map((step) => ({
          rule: 'held',
          subject: step.slot,
          detail: `${step.kind} of a held job`,
        })),
    );
};

const REMOVALS: ReadonlySet<string> = new Set(['rollout', 'job-removed', 'job-stopped']);

const reasonsAddUp = (plan: Plan, desired: DesiredState): readonly Violation[] =>
  plan.blocked.flatMap((entry) => {
    if (entry.kind !== 'no-node') return [];
    const total = entry.nodes.reduce((counted, { count }) => counted + count, 0);
    return total === desired.nodes.length
      ? []
      : [{ rule: 'reasons', subject: entry.slot, detail: `${total} of ${desired.nodes.length}` }];
  });
