// A tree, parsed with what is known of a similar one: of a folder of 10,000 files with one changed,
// one entry is parsed. In: bytes, and perhaps a similar tree. Out: entries, the unchanged ones as
// the same objects, and how many of them stand at both ends. Not here: reading the bytes (folders).

import type { TreeEntry } from './format.ts';
import { parseTree } from './format.ts';

export interface ParsedTree {
  readonly oid: string;
  readonly entries: readonly TreeEntry[];
  readonly raw: Buffer;
}

export interface Likeness {
  /** Entries at the start, and at the end, that both trees share. */
  readonly head: number;
  readonly tail: number;
}

/** Throws Error when the bytes are no tree. */
export const parseLike = (oid: string, raw: Buffer, like: ParsedTree | null): ParsedTree => {
  if (like === null) return { oid, raw, entries: parseTree(raw) };
  const { head, headBytes } = sharedHead(raw, like);
  const { tail, tailBytes } = sharedTail(raw, like, { head, headBytes });
  const middle = parseTree(raw.subarray(headBytes, raw.length - tailBytes));
  const entries = [
    ...like.entries.slice(0, head),
    ...middle,
    ...like.entries.slice(like.entries.length - tail),
  ];
  return { oid, raw, entries };
};

/**
 * How two parsed trees agree at both ends; entries that were parsed once are compared by identity.
 */
export const likeness = (a: readonly TreeEntry[], b: readonly TreeEntry[]): Likeness => {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && isSame(a[head], b[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && isSame(a[a.length - 1 - tail], b[b.length - 1 - tail])) tail += 1;
  return { head, tail };
};

const isSame = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a === b || (a?.oid === b?.oid && a?.name === b?.name && a?.mode === b?.mode);

/** Bytes compared at once by the runtime's own comparison, before single bytes are looked at. */
const BLOCK = 4096;
/** Mode, blank, zero byte and id around a name of one byte. */
const entryBytes = (entry: TreeEntry): number =>
  entry.mode.length + Buffer.byteLength(entry.name) + 22;

const sharedHead = (
  raw: Buffer,
  like: ParsedTree,
): { readonly head: number; readonly headBytes: number } => {
  const limit = Math.min(raw.length, like.raw.length);
  let same = 0;
  while (same + BLOCK <= limit && equal(raw, same, like.raw, same)) same += BLOCK;
  while (same < limit && raw[same] === like.raw[same]) same += 1;
  let head = 0;
  let headBytes = 0;
  for (const entry of like.entries) {
    const next = headBytes + entryBytes(entry);
    if (next > same) break;
    headBytes = next;
    head += 1;
  }
  return { head, headBytes };
};

const sharedTail = (
  raw: Buffer,
  like: ParsedTree,
  { head, headBytes }: { readonly head: number; readonly headBytes: number },
): { readonly tail: number; readonly tailBytes: number } => {
  const limit = Math.min(raw.length, like.raw.length) - headBytes;
  let same = 0;
  while (
    same + BLOCK <= limit &&
    equal(raw, raw.length - same - BLOCK, like.raw, like.raw.length - same - BLOCK)
  ) {
    same += BLOCK;
  }
  while (same < limit && raw[raw.length - 1 - same] === like.raw[like.raw.length - 1 - same]) {
    same += 1;
  }
  let tail = 0;
  let tailBytes = 0;
  while (tail < like.entries.length - head) {
    const entry = like.entries[like.entries.length - 1 - tail];
    if (entry === undefined) break;
    const next = tailBytes + entryBytes(entry);
    if (next > same) break;
    tailBytes = next;
    tail += 1;
  }
  return { tail, tailBytes };
};

const equal = (a: Buffer, aAt: number, b: Buffer, bAt: number): boolean =>
  a.compare(b, bAt, bAt + BLOCK, aAt, aAt + BLOCK) === 0;
