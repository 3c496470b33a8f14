// The world if every step of a plan works and has had time to be healthy: what forecasts are made
// of.
// In: live state, a plan. Out: the live state after it. Not here: failures, and time beyond what
// health needs.

import {
  agedBy,
  ageingNode,
  apartFromCopies,
  factsOf,
  freshFacts,
  unaged,
} from '../../schema/ageing.ts';
import type { Fact, Facts } from '../../schema/ageing.ts';
import { compareText } from '../../schema/ids.ts';
import { isPoststop, runsToEnd, stopMs } from '../../schema/lifecycle.ts';
import { listsOf } from '../../schema/lists.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { AllocationBody, StopImage } from '../../schema/orders.ts';
import type { Plan, Step } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';

/**
 * Stops are done, starts run and are healthy for longer than any group asks, dead allocations stay
 * dead. Copies to which nothing happens stay the same facts, so the next plan passes over them.
 */
export const assume = (live: LiveState, plan: Plan): LiveState => {
  const passedMs = longestWait(live, plan);
  const steps = listsOf(plan.steps, (step) => step.node);
  return {
    upForMs: live.upForMs + passedMs,
    nodes: live.nodes.map((node) => {
      const asked = plan.fetches?.find((one) => one.node === node.name)?.images ?? [];
      return assumeNode(node, { steps: steps.get(node.name) ?? [], asked }, passedMs);
    }),
  };
};

/**
 * At least as long as the longest min_healthy_time and reschedule delay in play, so that nothing
 * waits for age.
 */
const longestWait = (live: LiveState, plan: Plan): Ms => {
  let longest = 1;
  for (const node of live.nodes) longest = Math.max(longest, waitAmong(unaged(node)));
  for (const step of plan.steps) {
    if (step.kind !== 'stop') longest = Math.max(longest, waitOf(step.body));
  }
  return longest;
};

const waits = new WeakMap<readonly LiveAllocation[], Ms>();

/** Worked out once for a list: most nodes have the same copies wave after wave. */
const waitAmong = (copies: readonly LiveAllocation[]): Ms => {
  const known = waits.get(copies);
  if (known !== undefined) return known;
  let longest = 0;
  for (const { body } of copies) longest = Math.max(longest, waitOf(body));
  waits.set(copies, longest);
  return longest;
};

const waitOf = ({ minHealthyMs, spec }: AllocationBody): Ms =>
  Math.max(
    minHealthyMs,
    spec.reschedule.maxDelayMs,
    spec.reschedule.delayMs,
    spec.shutdownDelayMs + stopMs(spec.tasks),
  );

/** What a plan has a node do. */
interface Done {
  readonly steps: readonly Step[];
  /** Images that it fetches. */
  readonly asked: readonly StopImage[];
}

/** Nothing happens, and no time passes, on a node that does not answer. */
const assumeNode = (node: LiveNode, done: Done, passedMs: Ms): LiveNode => {
  const { steps } = done;
  if (!node.connected) return node;
  const { silentForMs } = node;
  const known = factsOf(node) ?? factsNow(node);
  const heardAt = known.heardAt + passedMs;
  if (steps.length === 0 && restedAt(known.facts) < known.heardAt + silentForMs - ROUNDING_MS) {
    return ageingNode({ ...known, heardAt, connected: true }, answered(node, done));
  }
  /** Its ages are of this very moment. */
  const made = (allocation: LiveAllocation): Fact => ({
    allocation,
    since: heardAt + silentForMs,
    usage: allocation.usage,
  });
  const byId = new Map(steps.map((step) => [step.allocation, step]));
  const stay = known.facts.flatMap((fact): readonly Fact[] => {
    const { allocation } = fact;
    const step = byId.get(allocation.allocation);
    if (step?.kind === 'stop' || (allocation.stopping && step?.kind !== 'update')) return [];
    if (step === undefined && isAtRest(fact, known, silentForMs)) return [fact];
    const now = agedBy(fact, known, silentForMs);
    const body = step?.kind === 'update' ? step.body : allocation.body;
    return [made(now.phase === 'dead' ? dead(now, passedMs) : healthy(body, now))];
  });
  const started = steps.flatMap((step) =>
    step.kind === 'start' ? [made(healthy(step.body, null))] : [],
  );
  const isSame =
    started.length === 0 &&
    stay.length === known.facts.length &&
    stay.every((fact, at) => fact === known.facts[at]);
  const facts = isSame ? known.facts : [...stay, ...started].toSorted(byAllocation);
  const allocations = isSame ? known.allocations : facts.map(({ allocation }) => allocation);
  return ageingNode({ facts, allocations, heardAt, connected: true }, answered(node, done));
};

const answered = (node: LiveNode, { steps, asked }: Done): Omit<LiveNode, 'allocations'> => ({
  ...apartFromCopies(node),
  generation: node.generation + (steps.length > 0 ? 1 : 0),
  sent: null,
  fetched: asked.map((image) => ({ ...image, failure: null })),
});

const byAllocation = (a: Fact, b: Fact): number =>
  compareText(a.allocation.allocation, b.allocation.allocation);

const factsNow = (node: LiveNode): Facts => {
  const { connected, silentForMs, allocations } = node;
  const fresh = freshFacts(allocations, { heardAt: 0, connected });
  return { ...fresh, facts: fresh.facts.map((fact) => ({ ...fact, since: silentForMs })) };
};

const rests = new WeakMap<Facts['facts'], Ms>();

/**
 * From when on all of them are at rest, which they then stay; infinite: not by growing older. On
 * the clock of `now`, up to rounding.
 */
const restedAt = (facts: Facts['facts']): Ms => {
  const known = rests.get(facts);
  if (known !== undefined) return known;
  let rested = -Infinity;
  for (const { allocation, since } of facts) {
    const { healthyForMs, body } = allocation;
    const at = isProven(allocation) ? since + body.minHealthyMs - (healthyForMs ?? 0) : Infinity;
    rested = Math.max(rested, at);
  }
  rests.set(facts, rested);
  return rested;
};

/** It runs, is proven, and only grows older. */
const isAtRest = ({ allocation, since }: Fact, { heardAt }: Facts, silentForMs: Ms): boolean =>
  isProven(allocation) &&
  (allocation.healthyForMs ?? 0) + heardAt - since + silentForMs >= allocation.body.minHealthyMs;

const isProven = (allocation: LiveAllocation): boolean => {
  const { phase, health, everHealthy, failure, standing, stopping, healthyForMs } = allocation;
  return (
    phase === 'running' &&
    health === 'healthy' &&
    everHealthy &&
    failure === null &&
    standing === 'reported' &&
    !stopping &&
    healthyForMs !== null
  );
};

const dead = (allocation: LiveAllocation, passedMs: Ms): LiveAllocation => ({
  ...allocation,
  deadForMs: (allocation.deadForMs ?? 0) + passedMs,
});

/**
 * Instants are fractions of milliseconds, and an age that is worked out from three of them may come
 * out a hair short of the time that is asked for: the forecast would end there.
 */
const ROUNDING_MS = 1;

const healthy = (body: AllocationBody, was: LiveAllocation | null): LiveAllocation => {
  const enough = body.minHealthyMs + ROUNDING_MS;
  const age = (ageMs: Ms | null | undefined): Ms => Math.max(ageMs ?? 0, enough);
  return {
    allocation: body.allocation,
    body,
    phase: 'running',
    health: 'healthy',
    everHealthy: true,
    tasks: body.spec.tasks.map((task) => ({
      name: task.name,
      state: isPoststop(task) ? 'pending' : runsToEnd(task) ? 'completed' : 'running',
      restarts: 0,
      health: isPoststop(task) ? 'unproven' : 'healthy',
      lastCheck: null,
      exit: null,
      pid: null,
    })),
    failure: null,
    ports: was?.ports ?? [],
    address: was?.address ?? null,
    usage: was?.usage ?? null,
    acceptedForMs: age(was?.acceptedForMs),
    firstStartedForMs: age(was?.firstStartedForMs),
    runningForMs: age(was?.runningForMs),
    healthyForMs: age(was?.healthyForMs),
    firstHealthyForMs: was?.firstHealthyForMs ?? 0,
    deadForMs: null,
    node: body.node,
    standing: 'reported',
    stopping: false,
  };
};
