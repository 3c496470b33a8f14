// A file that was read and checked, as plain data: what a program keeps from one start to the next.
// In: a parsed file and its text. Out: the same as JSON can hold it, and back. Places that were
// asked are kept; any other is looked up in the text again, so none is ever wrong or missing.
// Not here: where it is kept, and for how long (reconciler/keeping, its edge).

import type { DocumentKind, Documents } from './documents.ts';
import { positionsIn, type Parsed } from './parse.ts';
import type { Places, Positions } from './places.ts';
import type { Problem } from './problems.ts';

/** A JSON pointer; line and column of its key, then of its value. */
export type KeptPlace = readonly [
  pointer: string,
  keyLine: number,
  keyColumn: number,
  valueLine: number,
  valueColumn: number,
];

export interface KeptDocument {
  readonly path: string;
  readonly blob: string;
  /** As `Parsed` has it. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly places: readonly KeptPlace[];
}

/** What a program keeps: rows of files, and files as they were read. */
export interface Kept {
  /** Blob id → text. */
  readonly texts: ReadonlyMap<string, string>;
  readonly documents: readonly KeptDocument[];
}

export const NOTHING_KEPT: Kept = { texts: new Map(), documents: [] };

/** Positions that remember what they were asked. */
export interface AskedPositions {
  readonly positions: Positions;
  readonly asked: ReadonlyMap<string, Places>;
}

/** `known`: what was asked before. */
export const askedPositions = (
  positions: Positions,
  known: readonly (readonly [string, Places])[] = [],
): AskedPositions => {
  const asked = new Map(known);
  return {
    asked,
    positions: (pointer) => {
      const before = asked.get(pointer);
      if (before !== undefined) return before;
      const places = positions(pointer);
      asked.set(pointer, places);
      return places;
    },
  };
};

/** null: JSON would not give it back as it is. */
export const keptDocument = <K extends DocumentKind>(
  where: { readonly path: string; readonly blob: string },
  { value, problems, asked }: Parsed<K> & AskedPositions,
): KeptDocument | null =>
  survivesJson(value)
    ? { ...where, value, problems, places: [...asked].map(([pointer, at]) => placed(pointer, at)) }
    : null;

const placed = (pointer: string, { key, value }: Places): KeptPlace => [
  pointer,
  key.line,
  key.column,
  value.line,
  value.column,
];

/** The same document; `text` is that of its blob. */
export const parsedFrom = <K extends DocumentKind>(
  { value, problems, places }: KeptDocument,
  text: string,
): Parsed<K> & AskedPositions => {
  let read: Positions | null = null;
  const known = places.map(([pointer, keyLine, keyColumn, valueLine, valueColumn]) => {
    const key = { line: keyLine, column: keyColumn };
    return [pointer, { key, value: { line: valueLine, column: valueColumn } }] as const;
  });
  return {
    // It was of this kind when it was kept: the path says the kind (rules 1.2).
    value: value as Documents[K] | null,
    problems,
    ...askedPositions((pointer) => (read ??= positionsIn(text))(pointer), known),
  };
};

/** Numbers that YAML can write and JSON cannot: infinities, not-a-number, minus zero. */
const survivesJson = (value: unknown): boolean => {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(survivesJson);
};
