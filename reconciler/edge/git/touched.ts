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

/** `unknown`: a commit is gone, the lines never meet, or it is too far. */
export const touchedBetween = async (
  work: TouchedWork,
  [head, since]: readonly [string, string],
): Promise<Touched | 'unknown'> => {
  if (head === since) return NOTHING;
  try {
    if (!(await work.folders.has(since))) return 'unknown';
    const way = await wayBetween(work.folders, [head, since]);
    return way === null ? 'unknown' : await touchedOn(work, way);
  } catch (error) {
    // Of a line that was thrown away, older commits may be gone.
    if (error instanceof LostObject) return 'unknown';
    throw error;
  }
};

const NOTHING: Touched = { paths: [], settings: [] };

interface Way {
  /** Where the lines meet. */
  readonly meet: Commit;
  /** Down to there, without it. */
  readonly commits: readonly Commit[];
}

/** Down both first-parent lines by turns, to the first commit that is on both. */
const wayBetween = async (
  folders: Folders,
  [head, since]: readonly [string, string],
): Promise<Way | null> => {
  const lines = [head, since].map((tip) => ({
    next: tip as string | null,
    seen: new Map<string, Commit>(),
  }));
  for (let steps = 0; steps < HISTORY_COMMITS && lines.some(({ next }) => next !== null);) {
    for (const line of lines) {
      if (line.next === null) continue;
      const commit = await folders.commit(line.next);
      line.seen.set(commit.oid, commit);
      if (lines.every(({ seen }) => seen.has(commit.oid))) return wayOver(lines, commit);
      line.next = commit.parent;
      steps += 1;
    }
  }
  return null;
};

const wayOver = (
  lines: readonly { readonly seen: ReadonlyMap<string, Commit> }[],
  meet: Commit,
): Way => ({
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

const touchedOn = async (
  work: TouchedWork,
  { meet, commits }: Way,
): Promise<Touched | 'unknown'> => {
  const prefix = within(work.directory, '');
  const paths = new Set<string>();
  const saying = new Map<string, Commit>();
  const settingsPaths = new Set<string>();
  for (let at = 0; at < commits.length; at += COMPARED_AT_ONCE) {
    const steps: Step[] = await Promise.all(
      commits.slice(at, at + COMPARED_AT_ONCE).map(work.compare),
    );
    for (const { commit, changed } of steps) {
      for (const [whole] of changed) {
        if (!whole.startsWith(prefix)) continue;
        const path = whole.slice(prefix.length);
        paths.add(path);
        if (!isSettings(path)) continue;
        settingsPaths.add(path);
        saying.set(commit.oid, commit);
      }
    }
  }
  if (settingsPaths.size === 0) return { paths: [...paths], settings: [] };
  const states = [meet, ...saying.values()];
  if (states.length > SETTINGS_STATES) return 'unknown';
  const wanted = [...settingsPaths];
  return {
    paths: [...paths],
    settings: await Promise.all(states.map((one) => filesIn(work, one, wanted))),
  };
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
