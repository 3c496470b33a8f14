// A report in which nothing happened since the one before: nearly all are. Its copies are those of the
// report before, older and with another use, worked out where somebody looks; most are overtaken by the
// next one before anybody does.
// In: a report, a frame without news. Out: a report. Not here: frames with news (wire.ts).

import type { AllocationReport, NodeReport } from './orders.ts';
import type { Ms } from './spec.ts';
import { aged } from './wire-ages.ts';

/** `[allocation, cpuMilli, memoryBytes]`, as a frame has it. */
type Usage = readonly (readonly [string, number, number])[];

interface Older {
  /** Of the last report with news. */
  readonly base: readonly AllocationReport[];
  /** Since that. */
  readonly elapsed: Ms;
  readonly usage: Usage;
}

const parts = new WeakMap<NodeReport, Older>();
const worked = new WeakMap<NodeReport, readonly AllocationReport[]>();

/** One getter for all: with its own for each, the engine would make a shape for every report. */
const AGED = {
  enumerable: true,
  get(this: NodeReport): readonly AllocationReport[] {
    const known = worked.get(this);
    if (known !== undefined) return known;
    const { base = [], elapsed = 0, usage = [] } = parts.get(this) ?? {};
    const now = base.length === 0 ? base : agedAll(base, elapsed, usage);
    worked.set(this, now);
    return now;
  },
};

const agedAll = (base: readonly AllocationReport[], elapsed: Ms, usage: Usage) => {
  const used = new Map(
    usage.map(([id, cpuMilli, memoryBytes]) => [id, { cpuMilli, memoryBytes }] as const),
  );
  return base.map((one) => aged(one, elapsed, used.get(one.allocation) ?? null));
};

export const olderReport = (
  before: NodeReport,
  elapsed: Ms,
  { head, usage }: { readonly head: Omit<NodeReport, 'allocations'>; readonly usage: Usage },
): NodeReport => {
  const known = parts.get(before);
  const report = Object.defineProperty({ ...head }, 'allocations', AGED) as NodeReport;
  parts.set(report, {
    base: known?.base ?? before.allocations,
    elapsed: (known?.elapsed ?? 0) + elapsed,
    usage,
  });
  return report;
};

/** Nothing happened between this report and the one before it. */
export const isOlderReport = (report: NodeReport): boolean => parts.has(report);
