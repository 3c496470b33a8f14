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

/** Contents of held files are skipped, from HEAD back to the commit with which the wait began. */
export const historyWithHeld = (history: History, held: readonly HeldFile[]): History => {
  const skips = held.map((one) => ({ ...one, after: -1, as: refused(one) }));
  const entries = skipping(history, skips);
  return entries === history.entries ? history : { ...history, entries };
};

/** Those that waited once, from the one after them on: only where one asks what counted. */
export const historyWithPassed = (history: History, passed: readonly PassedContents[]): History => {
  const { entries } = history;
  const skips = passed.flatMap((one) => {
    const after = entries.findIndex(({ commit }) => commit.oid === one.until);
    const as = refusal(
      one.path,
      `${one.path} waited for its owners, who let something else through`,
    );
    // What was followed on another line is not in this history.
    return after < 0 ? [] : [{ ...one, after, as }];
  });
  const counted = skipping(history, skips);
  return counted === entries ? history : { ...history, counted };
};

interface Skip extends Pick<HeldFile, 'path' | 'accepted' | 'since'> {
  /** Older ones than the entry at this place; -1: all. */
  readonly after: number;
  readonly as: SourceFile;
}

/** The same entries where nothing of them is skipped. */
const skipping = (
  { path: own, entries }: History,
  skips: readonly Skip[],
): readonly HistoryEntry[] => {
  const asked = skips.filter(
    ({ path }) => path === own || entries.some(({ files }) => files.has(path)),
  );
  if (asked.length === 0) return entries;
  return entries.map((entry, at) => {
    const waiting = asked.filter(({ path, since, accepted, after }) => {
      const began = entries.findIndex(({ commit }) => commit.oid === since);
      // A branch that was led past what counts may be back on its line: that is where it stands.
      const counts = at === began && blobIn(entry.files, path) === accepted;
      return at > after && (began < 0 || (at <= began && !counts));
    });
    if (waiting.length === 0) return entry;
    const files = new Map(entry.files);
    for (const { path, as } of waiting) files.set(path, as);
    return { ...entry, files };
  });
};

/** What counted at each of its commits, which is what stood there but for what was never let through. */
export const countedIn = ({ counted, ...history }: History): History =>
  counted === undefined ? history : { ...history, entries: counted };

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
