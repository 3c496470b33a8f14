// What commits changed between two of them: between the last synced one and HEAD (rules 1.1).
// In: two commits. Out: every path that a commit changed on the way from one to the other, over
// where their first-parent lines meet; with what cluster.yaml and the namespaces said meanwhile.
// A few commits as a rule, whatever the length of the history. Not here: what follows from it.

import { kindOf } from '../../../schema/paths.ts';
import type { Files, SourceFile, Touched } from '../../../schema/source.ts';
import { entryAt } from './entry.ts';
import { LostObject } from './failure.ts';
import type { Folders } from './folders.ts';
import type { Commit } from './format.ts';
import { FOLDER, within } from './format.ts';
import { HISTORY_COMMITS, SETTINGS_STATES } from './limits.ts';
import type { Compare, Step } from './step.ts';

export interface TouchedWork {
  readonly folders: Folders;
  readonly directory: string;
  readonly compare: Compare;
}

export type TouchedBetween = (head: string, since: string) => Promise<Touched | 'unknown'>;

/**
 * `unknown`: a commit is gone, the lines never meet, or it is too far. A HEAD on top of the last
 * one that was asked about, since the same commit, costs what is new.
 */
export const createTouched = (work: TouchedWork): TouchedBetween => {
  let last: Way | null = null;
  return async (head, since) => {
    if (head === since) return NOTHING;
    try {
      const way = (await longer(work, last, [head, since])) ?? (await newWay(work, [head, since]));
      last = way;
      return way === null ? 'unknown' : await saidOn(work, way);
    } catch (error) {
      // Of a line that was thrown away, older commits may be gone.
      if (error instanceof LostObject) return 'unknown';
      throw error;
    }
  };
};

const NOTHING: Touched = { paths: [], settings: [] };

interface Way {
  readonly head: string;
  readonly since: string;
  /** Where the lines meet. */
  readonly meet: Commit;
  /** Commits down to there, without it. */
  readonly length: number;
  readonly paths: ReadonlySet<string>;
  /** Commits that changed cluster.yaml or a namespace's file. */
  readonly settings: readonly Commit[];
}

/** More commits at once than this on top of those that are known: then from the beginning. */
const NEW_MAX = 64;

/** The way with what is on top of it; null: HEAD is not, or the branch was rewritten before. */
const longer = async (
  work: TouchedWork,
  last: Way | null,
  [head, since]: readonly [string, string],
): Promise<Way | null> => {
  if (last?.since !== since || last.meet.oid !== since) return null;
  const fresh: Commit[] = [];
  let next: string | null = head;
  while (next !== last.head) {
    if (next === null || next === since || fresh.length === NEW_MAX) return null;
    const commit: Commit = await work.folders.commit(next);
    fresh.push(commit);
    next = commit.parent;
  }
  if (last.length + fresh.length > HISTORY_COMMITS) return null;
  return compared(work, { ...last, head }, fresh);
};

const newWay = async (
  work: TouchedWork,
  [head, since]: readonly [string, string],
): Promise<Way | null> => {
  if (!(await work.folders.has(since))) return null;
  const found = await walked(work.folders, [head, since]);
  if (found === null) return null;
  const start = { head, since, meet: found.meet, length: 0, paths: new Set<string>() };
  return compared(work, { ...start, settings: [] }, found.commits);
};

interface Walked {
  readonly meet: Commit;
  readonly commits: readonly Commit[];
}

/** Down both first-parent lines by turns, to the first commit that is on both. */
const walked = async (
  folders: Folders,
  [head, since]: readonly [string, string],
): Promise<Walked | null> => {
  const lines = [head, since].map((tip) => ({
    next: tip as string | null,
    seen: new Map<string, Commit>(),
  }));
  for (
    let step = 0;
    step <= HISTORY_COMMITS && lines.some(({ next }) => next !== null);
    step += 1
  ) {
    for (const line of lines) {
      if (line.next === null) continue;
      const commit = await folders.commit(line.next);
      line.seen.set(commit.oid, commit);
      if (lines.every(({ seen }) => seen.has(commit.oid))) return above(lines, commit);
      line.next = commit.parent;
    }
  }
  return null;
};

const above = (
  lines: readonly { readonly seen: ReadonlyMap<string, Commit> }[],
  meet: Commit,
): Walked => ({
  meet,
  commits: lines.flatMap(({ seen }) => {
    const line = [...seen.values()];
    return line.slice(
      0,
      line.findIndex(({ oid }) => oid === meet.oid),
    );
  }),
});

/** Trees that are read together. */
const COMPARED_AT_ONCE = 64;

const compared = async (
  { directory, compare }: TouchedWork,
  way: Way,
  commits: readonly Commit[],
): Promise<Way> => {
  const prefix = within(directory, '');
  const paths = new Set(way.paths);
  const settings = [...way.settings];
  for (let at = 0; at < commits.length; at += COMPARED_AT_ONCE) {
    const steps: Step[] = await Promise.all(commits.slice(at, at + COMPARED_AT_ONCE).map(compare));
    for (const { commit, changed } of steps) {
      const mine = changed.flatMap(([path]) =>
        path.startsWith(prefix) ? [path.slice(prefix.length)] : [],
      );
      for (const path of mine) paths.add(path);
      if (mine.some(isSettings)) settings.push(commit);
    }
  }
  return { ...way, length: way.length + commits.length, paths, settings };
};

const saidOn = async (
  work: TouchedWork,
  { meet, paths, settings }: Way,
): Promise<Touched | 'unknown'> => {
  if (settings.length === 0) return { paths: [...paths], settings: [] };
  if (settings.length > SETTINGS_STATES) return 'unknown';
  const wanted = [...paths].filter(isSettings);
  const states = await Promise.all([meet, ...settings].map((one) => filesIn(work, one, wanted)));
  return { paths: [...paths], settings: states };
};

const isSettings = (path: string): boolean => {
  const kind = kindOf(path);
  return kind === 'cluster' || kind === 'namespace';
};

const filesIn = async (
  { folders, directory }: TouchedWork,
  { tree }: Commit,
  paths: readonly string[],
): Promise<Files> => {
  const files = new Map<string, SourceFile>();
  for (const path of paths) {
    const entry = await entryAt(folders, tree, within(directory, path));
    if (entry !== null && entry.mode !== FOLDER) files.set(path, await folders.file(entry));
  }
  return files;
};
