// Reports of one node, read and checked. What a node says of itself is byte for byte what it said
// before, in nearly all of them: then only the half that is of its copies is read.
// In: frames, as they came. Out: the same as values, or what is wrong with them. Not here: what must
// stand in them (schema/check-report.ts), the session (nodes.ts).

import {
  checkCopies,
  type CheckedReport,
  checkReport,
  checkStart,
  type ReportStart,
  type Sender,
} from '../../schema/check-report.ts';
import type { ReportFrame } from '../../schema/wire.ts';
import { parseJson, parseText } from './json-values.ts';

/** The first half of a frame, without the comma after it. */
interface Known {
  readonly bytes: Buffer;
  readonly start: ReportStart;
}

/** Where runners begin the second half. In JSON it can stand nowhere inside a text. */
const SECOND_HALF = Buffer.from(',"bodies":');
const COMMA = ','.codePointAt(0);
/** Larger ones are first ones, or rare; and what is known of a node stays small. */
const HALVED_BYTES = 256 * 1024;

export type ReadReport = (frame: Uint8Array) => CheckedReport;

export const reportReader = (speaker: Omit<Sender, 'bytes'>): ReadReport => {
  let known: Known | null = null;
  const inHalves = (bytes: Buffer, from: Sender): ReportFrame | null => {
    if (known === null || !beginsWith(bytes, known.bytes)) known = startOf(bytes, from);
    if (known === null) return null;
    // An object without its end, a comma, and an object without its beginning: both are whole where
    // the frame is.
    const second = parseText(`{${bytes.toString('utf8', known.bytes.length + 1)}`);
    const copies = checkCopies(second, from);
    // Of what is said twice the later counts.
    const isAnew = copies !== null && ('head' in copies || 'whole' in copies);
    return copies === null || isAnew ? null : { ...copies, ...known.start };
  };
  return (frame) => {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
    const from = { ...speaker, bytes: bytes.length };
    const halves = bytes.length > HALVED_BYTES ? null : inHalves(bytes, from);
    // Written in another order, or wrong: read whole, it is known which, and why.
    return halves === null ? checkReport(parseJson(bytes), from) : { ok: true, frame: halves };
  };
};

const beginsWith = (bytes: Buffer, start: Buffer): boolean =>
  bytes[start.length] === COMMA && bytes.compare(start, 0, start.length, 0, start.length) === 0;

const startOf = (bytes: Buffer, from: Sender): Known | null => {
  const length = bytes.indexOf(SECOND_HALF);
  if (length === -1) return null;
  const start = checkStart(parseText(`${bytes.toString('utf8', 0, length)}}`), from);
  // A copy: the bytes belong to a larger message.
  return start && { bytes: Buffer.from(bytes.subarray(0, length)), start };
};
