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
  /** Once somebody looked. */
  allocations: readonly AllocationReport[] | null;
}

/** Where a report keeps what it is made of: a map beside it would cost more than the report. */
const PARTS = Symbol('older report');

interface OlderReport extends NodeReport {
  readonly [PARTS]?: Older;
}

/** One getter for all: with its own for each, the engine would make a shape for every report. */
const AGED = {
  enumerable: true,
  get(this: OlderReport): readonly AllocationReport[] {
    const parts = this[PARTS];
    if (parts === undefined) return [];
    parts.allocations ??= agedAll(parts);
    return parts.allocations;
  },
};

const agedAll = ({ base, elapsed, usage }: Older) => {
  const used = new Map(
    usage.map(([id, cpuMilli, memoryBytes]) => [id, { cpuMilli, memoryBytes }] as const),
  );
  return base.map((one) => aged(one, elapsed, used.get(one.allocation) ?? null));
};

export const olderReport = (
  before: OlderReport,
  elapsed: Ms,
  { head, usage }: { readonly head: Omit<NodeReport, 'allocations'>; readonly usage: Usage },
): NodeReport => {
  const known = before[PARTS];
  const parts: Older = {
    base: known?.base ?? before.allocations,
    elapsed: (known?.elapsed ?? 0) + elapsed,
    usage,
    allocations: null,
  };
  // Not seen by whoever copies or compares reports.
  const report = Object.defineProperty({ ...head }, PARTS, { value: parts });
  return Object.defineProperty(report, 'allocations', AGED) as OlderReport;
};

/** Nothing happened between this report and the one before it. */
export const isOlderReport = (report: OlderReport): boolean => report[PARTS] !== undefined;
