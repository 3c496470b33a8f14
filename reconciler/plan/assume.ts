// The world if every step of a plan works and has had time to be healthy: what forecasts are made
// of.
// In: live state, a plan. Out: the live state after it. Not here: failures, and time beyond what
// health needs.

import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { Plan } from '../../schema/plan.ts';
import type { Ms } from '../../schema/spec.ts';

/**
 * Stops are done, starts run and are healthy for longer than any group asks, dead allocations stay
 * dead.
 */
export const assume = (live: LiveState, plan: Plan): LiveState => {
  const passedMs = longestWait(live, plan);
  return {
    upForMs: live.upForMs + passedMs,
    nodes: live.nodes.map((node) =>
      assumeNode(
        node,
        { ...plan, steps: plan.steps.filter((step) => step.node === node.name) },
        passedMs,
      ),
    ),
  };
};

/**
 * At least as long as the longest min_healthy_time and reschedule delay in play, so that nothing
 * waits for age.
 */
const longestWait = (live: LiveState, plan: Plan): Ms =>
  Math.max(
    1,
    ...live.nodes.flatMap((node) => node.allocations.map(({ body }) => waitOf(body))),
    ...plan.steps.map((step) => (step.kind === 'stop' ? 0 : waitOf(step.body))),
  );

const waitOf = ({ minHealthyMs, spec }: AllocationBody): Ms =>
  Math.max(minHealthyMs, spec.reschedule.maxDelayMs, spec.reschedule.delayMs);

const assumeNode = (
  node: LiveNode,
  { steps, fetches }: Pick<Plan, 'steps' | 'fetches'>,
  passedMs: Ms,
): LiveNode => {
  const answers = node.connected;
  const byId = new Map(steps.map((step) => [step.allocation, step]));
  const stay = node.allocations.flatMap((allocation) => {
    if (!answers) return [allocation];
    const step = byId.get(allocation.allocation);
    if (step?.kind === 'stop' || (allocation.stopping && step?.kind !== 'update')) return [];
    const body = step?.kind === 'update' ? step.body : allocation.body;
    return [allocation.phase === 'dead' ? dead(allocation, passedMs) : healthy(body, allocation)];
  });
  const started = steps.flatMap((step) =>
    step.kind === 'start' ? [healthy(step.body, null)] : [],
  );
  const asked = fetches?.find((one) => one.node === node.name)?.images ?? [];
  return {
    ...node,
    fetched: asked.map((image) => ({ ...image, failure: null })),
    sent: null,
    generation: node.generation + (steps.length > 0 ? 1 : 0),
    allocations: [...stay, ...started].toSorted((a, b) => compareText(a.allocation, b.allocation)),
  };
};

const dead = (allocation: LiveAllocation, passedMs: Ms): LiveAllocation => ({
  ...allocation,
  deadForMs: (allocation.deadForMs ?? 0) + passedMs,
});

const healthy = (body: AllocationBody, was: LiveAllocation | null): LiveAllocation => {
  const age = (ageMs: Ms | null | undefined): Ms => Math.max(ageMs ?? 0, body.minHealthyMs);
  return {
    allocation: body.allocation,
    body,
    phase: 'running',
    health: 'healthy',
    everHealthy: true,
    tasks: body.spec.tasks.map(({ name }) => ({
      name,
      state: 'running',
      restarts: 0,
      health: 'healthy',
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
