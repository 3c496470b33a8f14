// What a node said last. A report in which little happened to any copy is worked out where somebody
// asks: most are overtaken before.
// In: frames of its sessions, as they came. Out: what is wrong with one, or whether it is news; and
// the report. Not here: sessions (nodes.ts), how frames are read (report-reader.ts).

import type { UnchangedFacts } from '../../schema/live.ts';
import type { AllocationReport, NodeReport } from '../../schema/orders.ts';
import { isSameJson } from '../../schema/same-json.ts';
import type { Ms } from '../../schema/spec.ts';
import {
  applyReport,
  HELD_ALLOCATIONS,
  isQuiet,
  type ReportFrame,
  unchangedFacts,
} from '../../schema/wire.ts';
import {
  agedPatch,
  type AllocationPatch,
  laterPatch,
  patchProblem,
} from '../../schema/wire-patch.ts';
import { reportReader, shortFrame, type ShortReport } from './report-reader.ts';

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

/** All that short reports said since the last one that was worked out. */
interface Since extends Omit<ShortReport, 'patches'> {
  readonly receivedAt: Ms;
  /** Reports with patches that were put together. */
  readonly count: number;
  readonly patches: Map<string, Patched>;
}

interface Patched {
  readonly patch: AllocationPatch;
  /** Its ages are those of then. */
  readonly at: Ms;
}

/** So many are put together and no more: what nobody knows of a patch is kept until then. */
const TOGETHER = 16;

export const createLastReport = (of: {
  readonly node: string;
  readonly cluster: string;
}): LastReport => {
  const read = reportReader(of);
  let isBegun = false;
  let said: Said | null = null;
  let since: Since | null = null;
  /** Those of `said`, once a patch was looked at. */
  let copies: ReadonlyMap<string, Pick<AllocationReport, 'tasks'>> | null = null;
  /** Of the last report, what is not of its copies. */
  let lastHead: ReportFrame['head'] | null = null;

  const settle = (): Said | null => {
    if (since === null || said === null) return said;
    const frame = frameOf(since);
    const { receivedAt } = since;
    const elapsed = receivedAt - said.receivedAt;
    const applied = applyReport(said.report, elapsed, frame);
    // Each patch was looked at as it came.
    if (!applied.ok) throw new Error(applied.why);
    said = { report: applied.report, unchanged: unchangedFacts(said, frame), receivedAt };
    since = null;
    return said;
  };
  const problemOf = (patch: AllocationPatch): string | null => {
    copies ??= new Map(said?.report.allocations.map((copy) => [copy.allocation, copy]));
    return patchProblem(patch, copies.get(patch.allocation));
  };
  const addShort = ({ head, patches, usage }: ShortReport, receivedAt: Ms): Taken => {
    for (const patch of patches) {
      const refused = problemOf(patch);
      if (refused !== null) return { refused };
    }
    if (since !== null && since.count >= TOGETHER) settle();
    const known: Since['patches'] = since?.patches ?? new Map();
    for (const patch of patches) addPatch(known, patch, receivedAt);
    const count = (since?.count ?? 0) + (patches.length > 0 ? 1 : 0);
    since = { head, usage, receivedAt, count, patches: known };
    return { isNews: isNewHead(head) || patches.length > 0 };
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
    since = null;
    copies = null;
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
      return isBegun ? addShort(checked.short, now) : merge(shortFrame(checked.short), now);
    },
    said: settle,
  };
};

/** Adds it to those that are known. */
const addPatch = (known: Since['patches'], patch: AllocationPatch, at: Ms): void => {
  const { allocation } = patch;
  const first = known.get(allocation);
  const both = first === undefined ? patch : laterPatch(first.patch, at - first.at, patch);
  known.set(allocation, { patch: both, at });
};

const frameOf = ({ head, usage, patches, receivedAt }: Since): ReportFrame => {
  const aged = [...patches.values()].map(({ patch, at }) => agedPatch(patch, receivedAt - at));
  return shortFrame({ head, usage, patches: aged });
};
