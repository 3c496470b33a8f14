// A document that keeps its last valid content when it is invalid at HEAD (rules 1.3): cluster,
// namespace, node, scale.
// In: kind, path, the tree. Out: the value that counts, and the history to ask for where it is
// needed.
// Not here: jobs, whose content is more than one file (job.ts), what a value means (cluster.ts).

import type { DocumentKind, Documents } from '../../schema/documents.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, History } from '../../schema/source.ts';
import type { Reader } from './read.ts';

export type HeldDocument<T> =
  /** Valid at HEAD. */
  | { readonly kind: 'head'; readonly value: T; readonly problems: readonly Problem[] }
  /** Invalid at HEAD; the value is the last valid one. */
  | { readonly kind: 'held'; readonly value: T; readonly problems: readonly Problem[] }
  /** Invalid at HEAD and never valid before: it does not exist. */
  | { readonly kind: 'never-valid'; readonly problems: readonly Problem[] }
  /** Invalid at HEAD, and the history is not read yet. */
  | { readonly kind: 'asked'; readonly problems: readonly Problem[] }
  | { readonly kind: 'absent' };

const ABSENT = { kind: 'absent' } as const;

export interface HeldInput {
  readonly files: Files;
  readonly histories: ReadonlyMap<string, History>;
  /** A missing file is invalid, not absent (rules 1.3: cluster.yaml). */
  readonly needed: boolean;
}

export const heldDocument = <K extends DocumentKind>(
  [kind, path]: readonly [K, string],
  { files, histories, needed }: HeldInput,
  read: Reader,
): HeldDocument<Documents[K]> => {
  const file = files.get(path);
  if (file === undefined && !needed) return ABSENT;
  const document = file && read(kind, path, file);
  const problems = document?.problems ?? [];
  if (document && document.value !== null) return { kind: 'head', value: document.value, problems };
  const history = histories.get(path);
  if (history === undefined) return { kind: 'asked', problems };
  for (const entry of history.entries) {
    const older = entry.files.get(path);
    // A file that was gone in between begins anew: what it said before is not its last content.
    if (older === undefined && !needed) break;
    const value = older && read(kind, path, older).value;
    if (value) return { kind: 'held', value, problems };
  }
  return { kind: 'never-valid', problems };
};
