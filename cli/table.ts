// Columns for a terminal, as kubectl and docker print them: no lines, two spaces between.
// In: rows of text. Out: text. Colour codes count as nothing wide.

import { stripVTControlCharacters } from 'node:util';

const width = (text: string): number => Array.from(stripVTControlCharacters(text)).length;

/** The first row is the head. The last column is not padded and is cut at the terminal's edge. */
export const table = (rows: readonly (readonly string[])[], columns: number): string => {
  const count = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => width(row[column] ?? ''))),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === count - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - width(cell)),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) =>
      width(line) > columns && line === stripVTControlCharacters(line)
        ? `${line.slice(0, columns - 1)}…`
        : line,
    )
    .join('\n');
};
