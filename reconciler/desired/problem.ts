// A problem of a job file, on the line that causes it.
// In: the file as read, the place of the value, the code. Out: the problem. Advice and severity
// come from the table of codes where the finder has none that is better. Not here: the table
// (schema/problem-codes.ts).

import type { DocumentKind } from '../../schema/documents.ts';
import { problemCodes, type ProblemCode } from '../../schema/problem-codes.ts';
import type { Problem } from '../../schema/problems.ts';
import type { ReadDocument } from './read.ts';

export interface Found {
  readonly code: ProblemCode;
  readonly message: string;
  readonly advice?: string;
}

/**
 * `pointer`: JSON pointer of the value; one that leads nowhere stands at the nearest value above
 * it.
 */
export const problemAt = (
  document: Pick<ReadDocument<DocumentKind>, 'path' | 'positions'>,
  pointer: string,
  found: Found,
): Problem => {
  const { line, column } = document.positions(pointer).value;
  return { file: document.path, line, column, ...told(found) };
};

/** A problem of a whole file. */
export const problemOf = (path: string, found: Found): Problem => ({
  file: path,
  line: 1,
  column: 1,
  ...told(found),
});

const told = ({ code, message, advice }: Found) => ({
  code,
  severity: problemCodes[code].severity,
  message,
  advice: advice ?? problemCodes[code].advice,
});
