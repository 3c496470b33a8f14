// Columns for a terminal, as kubectl and docker print them: no lines, two spaces between.
// In: rows of text. Out: text that fits the terminal: first the columns that matter least go, then
// the widest are cut.
// Colour codes count as nothing wide. Without a terminal (infinite columns) nothing is cut.

import { stripVTControlCharacters } from 'node:util';

export const width = (text: string): number => Array.from(stripVTControlCharacters(text)).length;

export interface TableOptions {
  readonly columns: number;
  /** Heads of columns that go first when it is too narrow, the least important first. */
  readonly droppable?: readonly string[];
}

const GAP = 2;

/** No column is cut to less. */
const LEAST_WIDTH = 6;

/** The first row is the head. */
export const table = (
  rows: readonly (readonly string[])[],
  { columns, droppable = [] }: TableOptions,
): string => {
  const kept = dropped(rows.map(inOneLine), columns, droppable);
  const widths = shrunk(widthsOf(kept), columns);
  return kept
    .map((row) =>
      row
        .map((cell, column) => padded(cut(cell, widths[column] ?? 0), widths[column] ?? 0))
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .join('\n');
};

/** A cell that brought its own lines could pass for rows. */
const inOneLine = (row: readonly string[]): readonly string[] =>
  row.map((cell) => cell.replaceAll(/[\r\n\t]+/g, ' '));

const padded = (cell: string, to: number): string =>
  cell + ' '.repeat(Math.max(0, to - width(cell)));

const widthsOf = (rows: readonly (readonly string[])[]): readonly number[] => {
  const count = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => width(row[column] ?? ''))),
  );
};

const total = (widths: readonly number[]): number =>
  widths.reduce((sum, one) => sum + one, 0) + GAP * Math.max(0, widths.length - 1);

const dropped = (
  rows: readonly (readonly string[])[],
  columns: number,
  droppable: readonly string[],
): readonly (readonly string[])[] => {
  let kept = rows;
  for (const head of droppable) {
    if (total(widthsOf(kept)) <= columns) return kept;
    const at = kept[0]?.indexOf(head) ?? -1;
    if (at >= 0) kept = kept.map((row) => row.toSpliced(at, 1));
  }
  return kept;
};

/** Takes from the widest column, cell by cell, until it fits or nothing is left to take. */
const shrunk = (widths: readonly number[], columns: number): readonly number[] => {
  const left = [...widths];
  while (total(left) > columns) {
    const most = Math.max(...left);
    if (most <= LEAST_WIDTH) break;
    left[left.lastIndexOf(most)] = most - 1;
  }
  return left;
};

/** A colour code, or one character. */
// oxlint-disable-next-line no-control-regex
const PIECE = /\u001B\[[0-9;]*m|./gsu;

/** The text in at most so many columns, with `…` where something is missing; colours are closed. */
export const cut = (text: string, columns: number): string => {
  if (width(text) <= columns) return text;
  let [result, room] = ['', Math.max(0, columns - 1)];
  for (const [piece] of text.matchAll(PIECE)) {
    if (piece.startsWith('\u001B')) result += piece;
    else if (room > 0) {
      result += piece;
      room -= 1;
    }
  }
  return columns > 0 ? `${result}…` : '';
};
