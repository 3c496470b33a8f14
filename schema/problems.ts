// A problem: a user's mistake in a file, as data (architecture, style 10).
// In: nothing. Out: the type. Not here: the table of codes (schema/problem-codes.ts), who finds
// them.

export interface Problem {
  /** Path in the repository, relative to the cluster's directory. */
  readonly file: string;
  /** 1-based; 1:1 when the whole file is meant. */
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** How to fix it. */
  readonly advice: string;
}
