// What copies are promised before and after a plan: of the cluster, and of namespaces with a quota.
// In: live state, the steps of all waves. Out: sums of CPU and memory. Not here: what fits
// (reconciler/place), words (plan-words).

import { unaged } from '../../schema/ageing.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveState } from '../../schema/live.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import type { Step } from '../../schema/plan.ts';
import type { Preview } from '../../schema/preview.ts';
import type { Resources } from '../../schema/spec.ts';
import type { Summary } from '../../schema/summary.ts';

export const capacityOf = (live: LiveState, steps: readonly Step[]): Summary['capacity'] => {
  const { before, after } = promised(live, steps);
  const connected = live.nodes.filter((node) => node.connected);
  const all = total(connected.map(({ capacity }) => capacity));
  return { before: total(asksOf(before)), after: total(asksOf(after)), total: all };
};

/** Of namespaces with a quota in which the plan starts or stops something. */
export const quotasOf = (
  { change, live }: Preview,
  steps: readonly Step[],
): Summary['quotas'] & {} => {
  const touched = new Set(steps.map(({ job }) => job.slice(0, job.indexOf('/'))));
  const limited = change.desired.namespaces.filter(
    ({ name, quota }) => quota !== null && touched.has(name),
  );
  if (limited.length === 0) return [];
  const { before, after } = promised(live, steps);
  const of = (bodies: readonly AllocationBody[], name: string): Resources =>
    total(asksOf(bodies.filter(({ namespace }) => namespace === name)));
  return limited
    .flatMap(({ name, quota }) =>
      quota === null
        ? []
        : [{ namespace: name, before: of(before, name), after: of(after, name), quota }],
    )
    .toSorted((a, b) => compareText(a.namespace, b.namespace));
};

const promised = (live: LiveState, steps: readonly Step[]) => {
  const bodies = new Map(
    live.nodes.flatMap((node) =>
      unaged(node)
        .filter(({ phase }) => phase !== 'dead')
        .map(({ allocation, body }): readonly [string, AllocationBody] => [allocation, body]),
    ),
  );
  const before = [...bodies.values()];
  for (const step of steps) {
    if (step.kind === 'stop') bodies.delete(step.allocation);
    else bodies.set(step.allocation, step.body);
  }
  return { before, after: [...bodies.values()] };
};

const asksOf = (bodies: readonly AllocationBody[]): readonly Resources[] =>
  bodies.map(({ spec }) => spec.ask);

const total = (all: readonly Resources[]): Resources => ({
  cpuMilli: all.reduce((sum, one) => sum + one.cpuMilli, 0),
  memoryBytes: all.reduce((sum, one) => sum + one.memoryBytes, 0),
});
