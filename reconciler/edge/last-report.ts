// What a node said last. A report in which nothing happened to any copy is worked out where somebody
// asks: most are overtaken before.
// In: frames of its sessions, as they came. Out: what is wrong with one, or whether it is news; and
// the report. Not here: sessions (nodes.ts), how frames are read (report-reader.ts).

import type { UnchangedFacts } from '../../schema/live.ts';
import { olderReport } from '../../schema/older-report.ts';
import type { NodeReport } from '../../schema/orders.ts';
import { isSameJson } from '../../schema/same-json.ts';
import type { Ms } from '../../schema/spec.ts';
import {
  applyReport,
  HELD_ALLOCATIONS,
  isQuiet,
  type ReportFrame,
  unchangedFacts,
} from '../../schema/wire.ts';
import { quietFrame, type QuietReport, reportReader } from './report-reader.ts';

export interface Said {
  readonly report: NodeReport;
  readonly unchanged: UnchangedFacts;
  readonly receivedAt: Ms;
}

/** `isNews`: it says more than that what was reported before grew older. */
export type Taken = { readonly isNews: boolean } | { readonly refused: string };

export interface LastReport {
  /** The next report is the first of a session: it must be whole. */
  readonly begin: () => void;
  /** It was, and was taken in. */
  readonly isBegun: () => boolean;
  /** Takes one report in, or says what is wrong with it. */
  readonly take: (frame: Uint8Array, now: Ms) => Taken;
  /** null: nothing was taken in. */
  readonly said: () => Said | null;
}

export const createLastReport = (of: {
  readonly node: string;
  readonly cluster: string;
}): LastReport => {
  const read = reportReader(of);
  let isBegun = false;
  let said: Said | null = null;
  /** Since that, nothing happened. */
  let quiet: (QuietReport & { readonly receivedAt: Ms }) | null = null;
  /** Of the last report, what is not of its copies. */
  let lastHead: ReportFrame['head'] | null = null;

  const settle = (): Said | null => {
    if (quiet === null || said === null) return said;
    const frame = quietFrame(quiet);
    const { receivedAt } = quiet;
    const report = olderReport(said.report, receivedAt - said.receivedAt, frame);
    said = { report, unchanged: unchangedFacts(said, frame), receivedAt };
    quiet = null;
    return said;
  };
  const isNewHead = (head: ReportFrame['head']): boolean => {
    const isNew = !isSameJson(head, lastHead);
    lastHead = head;
    return isNew;
  };
  const merge = (frame: ReportFrame, receivedAt: Ms): Taken => {
    const before = isBegun ? settle() : null;
    const elapsed = before === null ? 0 : receivedAt - before.receivedAt;
    const applied = applyReport(before?.report ?? null, elapsed, frame);
    if (!applied.ok) return { refused: applied.why };
    const { report } = applied;
    const length = isQuiet(frame) ? 0 : report.allocations.length;
    if (length > HELD_ALLOCATIONS) {
      return { refused: `${length} allocations, more than ${HELD_ALLOCATIONS}` };
    }
    said = { report, unchanged: unchangedFacts(before, frame), receivedAt };
    quiet = null;
    isBegun = true;
    return { isNews: isNewHead(frame.head) || !isQuiet(frame) };
  };

  return {
    begin: () => {
      isBegun = false;
    },
    isBegun: () => isBegun,
    take: (bytes, now) => {
      const checked = read(bytes);
      if (!checked.ok) return { refused: checked.why };
      if ('frame' in checked) return merge(checked.frame, now);
      if (!isBegun) return merge(quietFrame(checked.quiet), now);
      const { head, usage } = checked.quiet;
      quiet = { head, usage, receivedAt: now };
      return { isNews: isNewHead(head) };
    },
    said: settle,
  };
};
