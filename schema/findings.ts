// A finding: a problem before it has a line. Checks speak of JSON pointers, people read lines and
// columns.
// In: findings, positions of the file. Out: problems, sorted as they stand in the file.
// Not here: who finds what (schema/parse.ts, schema/check-job.ts), the table of codes
// (schema/problem-codes.ts).

import { compareText } from './ids.ts';
import type { Positions } from './places.ts';
import { shortened } from './plain.ts';
import { problemCodes, type ProblemCode } from './problem-codes.ts';
import type { Problem } from './problems.ts';

export interface Finding {
  /** JSON pointer of the value that is wrong. */
  readonly pointer: string;
  /** Point at the key that was written, or at its value. */
  readonly at: 'key' | 'value';
  /** Lines further down, in a text of several lines; absent: none. */
  readonly below?: number;
  readonly code: ProblemCode;
  readonly message: string;
  /** Absent: the table's general advice. */
  readonly advice?: string;
}

/** Most problems that one file reports: behind the first hundred nobody reads on. */
const MAX_PROBLEMS = 100;

/** A message quotes what was written: a key of a megabyte is not said again. */
const MESSAGE_CHARACTERS = 500;
const QUOTED_CHARACTERS = 80;

/** Findings of one file → problems with lines, sorted by place, at most a hundred. */
export const toProblems = (
  file: string,
  positions: Positions,
  findings: readonly Finding[],
): readonly Problem[] =>
  findings
    .map((finding) => toProblem(file, positions, finding))
    .toSorted((a, b) => a.line - b.line || a.column - b.column || compareText(a.message, b.message))
    .slice(0, MAX_PROBLEMS);

const toProblem = (file: string, positions: Positions, finding: Finding): Problem => {
  const place = positions(finding.pointer)[finding.at];
  const { severity, advice } = problemCodes[finding.code];
  return {
    file,
    line: place.line + (finding.below ?? 0),
    column: finding.below === undefined ? place.column : 1,
    code: finding.code,
    severity,
    message: told(finding.message),
    advice: told(finding.advice ?? advice),
  };
};

const told = (text: string): string => {
  if (text.length <= MESSAGE_CHARACTERS) return text;
  const quoted = text.split('`').map((part) => shortened(part, QUOTED_CHARACTERS));
  return shortened(quoted.join('`'), MESSAGE_CHARACTERS);
};
