// Reports of one node, read and checked. What a node says of itself is byte for byte what it said
// before, in nearly all of them, and most say of its copies only what they use, or a few facts that
// changed: then no more of them is read than that.
// In: frames, as they came. Out: the same as values, or what is wrong with them. Not here: what must
// stand in them (schema/check-report.ts), what becomes of them (last-report.ts).

import {
  checkCopies,
  type CheckedReport,
  checkPatches,
  checkReport,
  checkStart,
  type ReportStart,
  type Sender,
} from '../../schema/check-report.ts';
import type { NodeReport } from '../../schema/orders.ts';
import { HELD_ALLOCATIONS, type ReportFrame } from '../../schema/wire.ts';
import type { Columns } from '../../schema/wire-columns.ts';
import { parseJson, parseText } from './json-values.ts';

/** Little happened to any copy; it is what `shortFrame` makes of it. */
export interface ShortReport {
  readonly head: Omit<NodeReport, 'allocations'>;
  /** null: nothing but use and ages. */
  readonly patches: Columns | null;
  /** JSON of the use, checked. */
  readonly usage: string;
}

export type ReadReport = (
  frame: Uint8Array,
) => CheckedReport | { readonly ok: true; readonly short: ShortReport };

/** The first half of a frame, without the comma after it. */
interface Known extends ReportStart {
  readonly bytes: Buffer;
}

/** Where runners begin the second half. In JSON it can stand nowhere inside a text. */
const SECOND_HALF = Buffer.from(',"bodies":');
/** That half, as they write it where no copy is told of as a whole. */
const SHORT = Buffer.from(',"bodies":[],"bodyHashes":[],"changed":[],"removed":[],"');
const PATCHES = 'patches":';
const USAGE_BEGINS = 'usage":';
/** Behind patches: as above, in no text. */
const USAGE_FOLLOWS = `,"${USAGE_BEGINS}`;
const COMMA = 0x2c;
/** Larger ones are first ones, or rare; and what is known of a node stays small. */
const HALVED_BYTES = 256 * 1024;

/** A part of what the form of a report lets through (schema/report-form.ts): as runners write it. */
const AMOUNT = '(?:0|[1-9][0-9]{0,15})(?:[.][0-9]{1,20})?';
/** Written out: a loop that counts takes twice as long. */
const HASH = '[0-9a-f]'.repeat(16);
const USE = `\\["${HASH}-[0-9]{1,9}-[0-9]{1,9}",${AMOUNT},${AMOUNT}\\]`;
const USAGE = new RegExp(`^\\[(?:${USE}(?:,${USE}){0,${HELD_ALLOCATIONS - 1}})?\\]$`);

export const reportReader = ({ cluster, node }: Omit<Sender, 'bytes'>): ReadReport => {
  let known: Known | null = null;
  return (frame) => {
    const bytes = Buffer.isBuffer(frame) ? frame : Buffer.from(frame);
    const from = { cluster, node, bytes: bytes.length };
    if (bytes.length <= HALVED_BYTES) {
      if (known === null || !begins(bytes, known)) known = startOf(bytes, from);
      const short = known && shortOf(bytes, known);
      if (short !== null) return { ok: true, short };
      const halves = known && inHalves(bytes, { known, from });
      if (halves !== null) return { ok: true, frame: halves };
    }
    // Written in another order, or wrong: read whole, it is known which, and why.
    return checkReport(parseJson(bytes), from);
  };
};

/** The frame that such a report is of. */
export const shortFrame = ({ head, patches, usage }: ShortReport): ReportFrame => ({
  whole: false,
  head,
  bodies: [],
  changed: [],
  removed: [],
  ...(patches && { patches }),
  usage: JSON.parse(usage),
});

const stands = (part: Buffer, bytes: Buffer, at: number): boolean =>
  at + part.length <= bytes.length &&
  bytes.compare(part, 0, part.length, at, at + part.length) === 0;

const begins = (bytes: Buffer, known: Known): boolean =>
  bytes[known.bytes.length] === COMMA && stands(known.bytes, bytes, 0);

const startOf = (bytes: Buffer, from: Sender): Known | null => {
  const length = bytes.indexOf(SECOND_HALF);
  if (length === -1) return null;
  const start = checkStart(parseText(`${bytes.toString('utf8', 0, length)}}`), from);
  // A copy: the bytes belong to a larger message.
  return start && { ...start, bytes: Buffer.from(bytes.subarray(0, length)) };
};

const shortOf = (bytes: Buffer, { whole, head, bytes: start }: Known): ShortReport | null => {
  if (whole || !stands(SHORT, bytes, start.length)) return null;
  const rest = bytes.toString('utf8', start.length + SHORT.length);
  if (!rest.endsWith('}')) return null;
  if (rest.startsWith(USAGE_BEGINS)) {
    const usage = rest.slice(USAGE_BEGINS.length, -1);
    return USAGE.test(usage) ? { head, patches: null, usage } : null;
  }
  const end = rest.indexOf(USAGE_FOLLOWS);
  if (!rest.startsWith(PATCHES) || end === -1) return null;
  const usage = rest.slice(end + USAGE_FOLLOWS.length, -1);
  const patches = USAGE.test(usage)
    ? checkPatches(parseText(rest.slice(PATCHES.length, end)))
    : null;
  return patches && { head, patches, usage };
};

const inHalves = (
  bytes: Buffer,
  { known: { whole, head, bytes: start }, from }: { readonly known: Known; readonly from: Sender },
): ReportFrame | null => {
  // An object without its end, a comma, and an object without its beginning: both are whole where
  // the frame is.
  const copies = checkCopies(parseText(`{${bytes.toString('utf8', start.length + 1)}`), from);
  // Of what is said twice the later counts.
  const isAnew = copies !== null && ('head' in copies || 'whole' in copies);
  return copies === null || isAnew ? null : { ...copies, whole, head };
};
