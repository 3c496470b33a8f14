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
  addColumns,
  agedColumns,
  type Columns,
  columnsOf,
  columnsProblem,
  type KnownCopy,
  knownCopy,
  type WritablePatch,
} from '../../schema/wire-columns.ts';
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

/** All that short reports said since the last one that was worked out, but for patches. */
interface Since extends Omit<ShortReport, 'patches'> {
  readonly receivedAt: Ms;
  readonly isPatched: boolean;
}

/** A copy, and all that was said of it since then, with ages as they were then. */
interface Patched extends KnownCopy {
  patch: WritablePatch | null;
}

type Listed = readonly (Patched | undefined)[];

export const createLastReport = (of: {
  readonly node: string;
  readonly cluster: string;
}): LastReport => {
  const read = reportReader(of);
  let isBegun = false;
  let said: Said | null = null;
  let since: Since | null = null;
  /** The copies of `said`, once a patch was looked at. */
  let copies: ReadonlyMap<string, Patched> | null = null;
  /** Those of them that a head lists. */
  let listed: { readonly head: ReportFrame['head']; readonly copies: Listed } | null = null;
  /** Of the last report, what is not of its copies. */
  let lastHead: ReportFrame['head'] | null = null;

  const settle = (): Said | null => {
    if (since === null || said === null) return said;
    const { receivedAt, isPatched } = since;
    const elapsed = receivedAt - said.receivedAt;
    const columns = isPatched && copies !== null ? takePatches(copies.values()) : null;
    const patches = columns && agedColumns(columns, elapsed);
    const frame = shortFrame({ ...since, patches });
    const applied = applyReport(said.report, elapsed, frame);
    // Each patch was looked at as it came.
    if (!applied.ok) throw new Error(applied.why);
    said = { report: applied.report, unchanged: unchangedFacts(said, frame), receivedAt };
    since = null;
    return said;
  };
  const listOf = (list: Columns['copies'], head: ReportFrame['head']): Listed => {
    const known = (copies ??= knownCopies(said?.report.allocations ?? []));
    if (list !== undefined) return list.map((allocation) => known.get(allocation));
    if (listed?.head !== head) {
      listed = { head, copies: head.accepted.map((allocation) => known.get(allocation)) };
    }
    return listed.copies;
  };
  const addShort = ({ head, patches, usage }: ShortReport, receivedAt: Ms): Taken => {
    if (patches !== null) {
      const list = listOf(patches.copies, head);
      const refused = columnsProblem(patches, list);
      if (refused !== null) return { refused };
      const elapsed = receivedAt - (said?.receivedAt ?? receivedAt);
      addColumns(agedColumns(patches, -elapsed), (place) => patchOf(list[place]));
    }
    const isPatched = patches !== null || since?.isPatched === true;
    since = { head, usage, receivedAt, isPatched };
    return { isNews: isNewHead(head) || patches !== null };
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
    listed = null;
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

const knownCopies = (copies: readonly AllocationReport[]): ReadonlyMap<string, Patched> =>
  new Map(copies.map((copy) => [copy.allocation, { ...knownCopy(copy), patch: null }] as const));

/** All that was said of a copy. */
const patchOf = (copy: Patched | undefined): WritablePatch | undefined =>
  copy && (copy.patch ??= { allocation: copy.allocation });

/** All that was said of all copies, which is kept no longer. */
const takePatches = (copies: Iterable<Patched>): Columns => {
  const patches: WritablePatch[] = [];
  for (const copy of copies) {
    if (copy.patch !== null) patches.push(copy.patch);
    copy.patch = null;
  }
  return columnsOf(patches, []);
};
