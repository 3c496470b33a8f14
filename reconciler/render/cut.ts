// What fits into a forge's limit: rows by importance, never a part of one, and what is left out is
// said.
// In: blocks in the order of reading, each with rows that stand or go as a whole. Out: one text of
// at most so many bytes. Not here: what a row looks like (markdown), how important it is.

import { utf8Bytes } from '../../schema/body-size.ts';
import { many } from './words.ts';

export interface Row {
  /** A function where there may be thousands: what has no room is never written. */
  readonly text: string | (() => string);
  /** 0 is the most important; of equals the first one wins. */
  readonly rank: number;
}

/** Rows with what must stand before and after them: a heading, the head of a table, a fold. */
export interface Block {
  readonly open: string;
  readonly rows: readonly Row[];
  readonly close: string;
  /** What one row is, where rows are left out: `job`. */
  readonly noun: string;
}

/** Ranks: what a reader must not miss comes first. */
export const RANK = { verdict: 0, harm: 1, change: 2, detail: 3, background: 4 } as const;

/** A block of one row that is not counted by name. */
export const paragraph = (text: string, rank: number): Block => ({
  open: '',
  rows: [{ text, rank }],
  close: '',
  noun: 'paragraph',
});

/** In bytes: ten digits, `… and`, `more` and line ends; without it a note could go over the limit. */
const NOTE_ROOM = 40;
const SEPARATOR = '\n\n';

export const cut = (blocks: readonly Block[], limit: number): string => {
  const some = blocks.filter(({ rows }) => rows.length > 0);
  const count = some.reduce((sum, { rows }) => sum + rows.length, 0);
  const texts = new Map<Row, string>();
  const all = choose(some, { room: limit, texts });
  if (all.size === count) return written(some, all);
  // Room for the notes: at most one a block, and all nouns in the last line.
  const notes = some.reduce((sum, { noun }) => sum + NOTE_ROOM + 2 * noun.length, NOTE_ROOM);
  const text = written(some, choose(some, { room: limit - notes, texts }));
  return utf8Bytes(text) <= limit ? text : '';
};

interface Room {
  readonly room: number;
  /** What was written already. */
  readonly texts: Map<Row, string>;
}

/**
 * Row → its text. Once a row has no room, none of its block that matters as little is taken: no
 * gaps.
 */
const choose = (
  blocks: readonly Block[],
  { room: limit, texts }: Room,
): ReadonlyMap<Row, string> => {
  const ordered = blocks
    .flatMap((block) => block.rows.map((one) => ({ block, one })))
    .toSorted((a, b) => a.one.rank - b.one.rank);
  const [begun, full] = [new Set<Block>(), new Set<Block>()];
  const chosen = new Map<Row, string>();
  let room = limit;
  for (const { block, one } of ordered) {
    if (full.has(block)) continue;
    const text = texts.get(one) ?? (typeof one.text === 'string' ? one.text : one.text());
    texts.set(one, text);
    const frame = begun.has(block)
      ? 0
      : utf8Bytes(block.open) + utf8Bytes(block.close) + 2 + SEPARATOR.length;
    const size = utf8Bytes(text) + 1 + frame;
    if (size > room) {
      full.add(block);
      continue;
    }
    room -= size;
    begun.add(block);
    chosen.set(one, text);
  }
  return chosen;
};

const written = (blocks: readonly Block[], texts: ReadonlyMap<Row, string>): string => {
  const missing: string[] = [];
  const parts = blocks.flatMap((block) => {
    const shown = block.rows.flatMap((one) => texts.get(one) ?? []);
    const left = block.rows.length - shown.length;
    if (shown.length === 0) missing.push(many(left, block.noun));
    return shown.length === 0 ? [] : [blockText(block, shown, left)];
  });
  if (missing.length > 0) parts.push(`_Left out for lack of room: ${missing.join(', ')}._`);
  return parts.join(SEPARATOR);
};

/** The count stands apart by an empty line, so that it is no row of a table. */
const blockText = ({ open, close, noun }: Block, shown: readonly string[], left: number): string =>
  [
    ...(open === '' ? [] : [open]),
    ...shown,
    ...(left === 0 ? [] : [`\n_… and ${left} more ${noun}${left === 1 ? '' : 's'}._`]),
    ...(close === '' ? [] : [close]),
  ].join('\n');
