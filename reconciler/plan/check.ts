// What must be true of any plan, checked apart from how the plan was made.
// In: a plan, what it was made from. Out: violations; none for a correct planner.
// Not here: reasons and repair. It reads the world in its own plain way, so that it can find the
// planner wrong.

import { copiesOf, unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { listsOf } from '../../schema/lists.ts';
import { fits } from '../../schema/fits.ts';
import type { LiveAllocation, LiveState } from '../../schema/live.ts';
import type { Plan, Step, Violation } from '../../schema/plan.ts';
import { silenceOf } from '../../schema/silence.ts';
import type { Ms, Parallel, Resources } from '../../schema/spec.ts';

/** Only steps can break a rule, so only nodes and jobs with steps are looked at. */
export const check = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => [
  ...(plan.steps.length === 0 ? [] : checkSteps(plan, live, desired)),
  ...reasonsAddUp(plan, desired),
];

const checkSteps = (plan: Plan, live: LiveState, desired: DesiredState): readonly Violation[] => {
  const ids = new Set(plan.steps.map(({ job }) => job));
  const jobs = jobsNamed(ids, desired);
  const copies = reachableCopies(ids, live, desired.cluster.lostAfterMs);
  return [
    ...capacityKept(plan, live),
    ...knownNodes(plan, live, desired),
    ...healthKept(plan, copies, jobs),
    ...stepsAreUnique(plan),
    ...dependenciesAreLocal(plan, live),
    ...slotsHoldFew(plan, copies),
    ...heldJobsStay(plan, jobs),
    ...commitIsAccepted(desired),
  ];
};

/** No order ever follows from a commit that the signature policy does not accept (rules 11). */
const commitIsAccepted = ({ commit, refused }: DesiredState): readonly Violation[] =>
  refused?.commits.includes(commit.oid) === true
    ? [
        {
          rule: 'accepted',
          subject: commit.oid,
          detail: 'the signature policy refuses it, and steps follow from it',
        },
      ]
    : [];

/** Jobs stand in the order of their ids. */
const jobsNamed = (ids: ReadonlySet<string>, { jobs }: DesiredState): readonly DesiredJob[] =>
  [...ids].toSorted(compareText).flatMap((id) => {
    let [low, high] = [0, jobs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareText(jobs[middle]?.id ?? id, id) < 0) low = middle + 1;
      else high = middle;
    }
    const job = jobs[low];
    return job?.id === id ? [job] : [];
  });

type Copies = ReadonlyMap<string, readonly LiveAllocation[]>;

/**
 * Copies of these jobs on nodes that are connected and not lost: a runner whose disk hangs keeps
 * its stream and reports nothing.
 */
const reachableCopies = (ids: ReadonlySet<string>, live: LiveState, lostAfterMs: Ms): Copies => {
  const nodes = live.nodes.filter((node) => node.connected && silenceOf(node, live) < lostAfterMs);
  return copiesOf({ ...live, nodes }, ids);
};

const NOTHING: Resources = { cpuMilli: 0, memoryBytes: 0 };

const plus = (a: Resources, b: Resources): Resources => ({
  cpuMilli: a.cpuMilli + b.cpuMilli,
  memoryBytes: a.memoryBytes + b.memoryBytes,
});

type Start = Extract<Step, { kind: 'start' }>;

const startsOf = (plan: Plan): readonly Start[] =>
  plan.steps.flatMap((step) => (step.kind === 'start' ? [step] : []));

/**
 * What is there and what is ordered, with what a start waits for taken off, fits on each node that
 * gets a start.
 */
const capacityKept = (plan: Plan, live: LiveState): readonly Violation[] => {
  const byNode = listsOf(startsOf(plan), ({ node }) => node);
  const nodes = live.nodes.filter(({ name }) => byNode.has(name));
  return nodes.flatMap((node) => {
    const starts = byNode.get(node.name) ?? [];
    const freed = new Set(starts.flatMap((start) => start.after));
    let ask = NOTHING;
    for (const { phase, allocation, body } of unaged(node)) {
      if (phase !== 'dead' && !freed.has(allocation)) ask = plus(ask, body.spec.ask);
    }
    for (const { body } of starts) ask = plus(ask, body.spec.ask);
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
const healthKept = (
  plan: Plan,
  copies: Copies,
  jobs: readonly DesiredJob[],
): readonly Violation[] => {
  const stops = plan.steps.filter(({ kind }) => kind === 'stop');
  const stopped = new Set(stops.map(({ allocation }) => allocation));
  return jobs.flatMap(({ id, spec, standing }) => {
    if (spec.stopped || standing.kind === 'removed') return [];
    return spec.groups.flatMap((group) => {
      const healthy = (copies.get(id) ?? []).filter(
        (copy) =>
          copy.body.group === group.name &&
          copy.health === 'healthy' &&
          !copy.stopping &&
          (copy.healthyForMs ?? -1) >= spec.update.minHealthyMs,
      );
      const ends = healthy.filter(({ allocation }) => stopped.has(allocation)).length;
      const least = Math.max(0, group.count - unavailable(spec.update.maxParallel, group.count));
      return ends > Math.max(0, healthy.length - least)
        ? [
            {
              rule: 'min-healthy',
              subject: `${spec.id}/${group.name}`,
              detail: `${ends} of ${healthy.length} healthy copies stop; ${least} must stay`,
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
  const waiting = startsOf(plan).filter(({ after }) => after.length > 0);
  if (waiting.length === 0) return [];
  const stopped = new Set(
    plan.steps.flatMap((step) => (step.kind === 'stop' ? [step.allocation] : [])),
  );
  const byNode = listsOf(waiting, ({ node }) => node);
  return [...byNode].flatMap(([name, starts]) => {
    const node = live.nodes.find((one) => one.name === name);
    const here = new Set(node && unaged(node).map(({ allocation }) => allocation));
    return starts.flatMap((start) =>
      start.after
        .filter((id) => !here.has(id) || !stopped.has(id))
        .map((id) => ({ rule: 'after', subject: start.allocation, detail: `waits for ${id}` })),
    );
  });
};

/**
 * A slot holds two copies at most, one where the group is a singleton or has named volumes (rules
 * 9.3, 14).
 */
const slotsHoldFew = (plan: Plan, copies: Copies): readonly Violation[] =>
  startsOf(plan).flatMap((start) => {
    const { group, index } = start.body;
    const before = (copies.get(start.job) ?? []).filter(
      ({ body, phase, allocation }) =>
        body.group === group &&
        body.index === index &&
        phase !== 'dead' &&
        !start.after.includes(allocation),
    );
    const most = start.body.spec.singleton || start.body.spec.volumes.length > 0 ? 0 : 1;
    return before.length <= most
      ? []
      : [{ rule: 'slot', subject: start.slot, detail: `it holds ${before.length} copies already` }];
  });

/**
 * A job held at its last valid content gets no removal and no other version (rules 1.3). Where that
 * content says `stopped`, stopping is what it wants.
 */
const heldJobsStay = (plan: Plan, jobs: readonly DesiredJob[]): readonly Violation[] => {
  const held = new Map(
    jobs.flatMap(({ id, standing, spec }) =>
      standing.kind === 'held' ? [[id, spec.stopped] as const] : [],
    ),
  );
  return plan.steps
    .filter((step) => {
      const stopped = held.get(step.job);
      if (stopped === undefined) return false;
      if (step.kind === 'start') return step.reason === 'rollout' || step.reason === 'canary';
      return (
        step.kind === 'stop' &&
        REMOVALS.has(step.reason) &&
        !(step.reason === 'job-stopped' && stopped)
      );
    })
    .map((step) => ({ rule: 'held', subject: step.slot, detail: `${step.kind} of a held job` }));
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
