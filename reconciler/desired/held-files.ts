// A tree in which held files stand as refused, so that their last content that counts is kept as
// that of an invalid file is (rules 1.3, 8.2).
// In: files or histories as read, which files are held. Out: the same with those refused. Content
// decides: where a file differs from what is held, it is not. Not here: what is held (judge.ts).

import { sha256 } from '../../schema/hash.ts';
import { heldWords } from '../../schema/held-words.ts';
import { compareText } from '../../schema/ids.ts';
import type { HeldFile, PassedContents } from '../../schema/ledger.ts';
import type { Files, History, HistoryEntry, SourceFile } from '../../schema/source.ts';

const blobIn = (files: Files, path: string): string | null => files.get(path)?.blob ?? null;

/** Of these files those that are held as they stand there. */
export const heldIn = (files: Files, held: readonly HeldFile[]): readonly HeldFile[] =>
  held.filter(({ path, blob }) => blobIn(files, path) === blob);

/** The same object where nothing of it is held. */
export const withHeld = (files: Files, held: readonly HeldFile[]): Files => {
  const here = heldIn(files, held);
  if (here.length === 0) return files;
  const made = new Map(files);
  for (const one of here) made.set(one.path, refused(one));
  const isNew = here.some(({ path }) => !files.has(path));
  return isNew ? new Map([...made].toSorted(([a], [b]) => compareText(a, b))) : made;
};

const refused = (held: HeldFile): SourceFile => refusal(held.blob, heldWords(held));

const refusal = (content: string | null, message: string): SourceFile => {
  const blob = `held-${sha256(`${content ?? ''} ${message}`).slice(0, 40)}`;
  return { kind: 'refused', blob, why: 'owners', size: null, message };
};

const neverCounted = ({ path }: PassedContents): SourceFile =>
  refusal(path, `${path} waited for its owners, and none of them let this content through`);

/** What no owner let through: the files that wait, and the contents that waited once. */
export interface Kept {
  readonly held: readonly HeldFile[];
  readonly passed: readonly PassedContents[];
}

/**
 * Contents of held files are skipped, from HEAD back to the commit with which the wait began; those
 * that waited once, from the one after them on.
 */
export const historyWithHeld = (history: History, { held, passed }: Kept): History => {
  const { entries } = history;
  const placeOf = (oid: string): number => entries.findIndex(({ commit }) => commit.oid === oid);
  const isAsked = ({ path }: { readonly path: string }): boolean =>
    path === history.path || entries.some(({ files }) => files.has(path));
  const skips = [
    ...held.filter(isAsked).map((one) => ({ ...one, after: -1, as: refused(one) })),
    // Content that counts since a commit that is on the line no more is not in this history.
    ...passed
      .filter((one) => isAsked(one) && placeOf(one.until) >= 0)
      .map((one) => ({ ...one, after: placeOf(one.until), as: neverCounted(one) })),
  ];
  if (skips.length === 0) return history;
  const skipped = entries.map((entry, at) => {
    const waiting = skips.filter(({ path, since, accepted, after }) => {
      const began = placeOf(since);
      // A branch that was led past what counts may be back on its line: that is where it stands.
      const counts = at === began && blobIn(entry.files, path) === accepted;
      return at > after && (began < 0 || (at <= began && !counts));
    });
    if (waiting.length === 0) return entry;
    const files = new Map(entry.files);
    for (const { path, as } of waiting) files.set(path, as);
    return { ...entry, files };
  });
  return { ...history, entries: skipped };
};

/** What counts instead, as it stood in a commit beside the line; of these paths. */
export const entryWithHeld = (
  { commit, files }: HistoryEntry,
  held: readonly HeldFile[],
  paths: readonly string[],
): HistoryEntry => {
  const waits = new Map(held.map((one) => [one.path, one]));
  const made = paths.flatMap((path): readonly (readonly [string, SourceFile])[] => {
    const [file, one] = [files.get(path), waits.get(path)];
    if (one !== undefined && one.accepted !== (file?.blob ?? null)) return [[path, refused(one)]];
    return file === undefined ? [] : [[path, file]];
  });
  return { commit, files: new Map(made) };
};
