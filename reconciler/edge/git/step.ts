// What one commit of the line changed: it against its first parent, changed folders only.
// In: commits. Out: paths with the entry that stands there now. A commit is compared once for all
// that ask about it soon after another. Not here: walking (line.ts, touched.ts).

import type { Folders } from './folders.ts';
import type { Commit, TreeEntry } from './format.ts';
import { FOLDER } from './format.ts';
import { REMEMBERED_STEPS } from './limits.ts';
import { likeness } from './parsed-tree.ts';
import { createMemory } from './remember.ts';

export interface Step {
  readonly commit: Commit;
  /** Paths in the repository whose entry differs from the parent's, and the file there now. */
  readonly changed: readonly ChangedEntry[];
}

/** null: no file stands there. */
export type ChangedEntry = readonly [path: string, entry: TreeEntry | null];

export type Compare = (commit: Commit) => Promise<Step>;

/** Compares a commit with its first parent, inside the cluster's directory only. */
export const createCompare = (folders: Folders, directory: string): Compare => {
  const known = createMemory<Step>(REMEMBERED_STEPS);
  const inside = (path: string): boolean =>
    directory === '' || path.startsWith(`${directory}/`) || `${directory}/`.startsWith(`${path}/`);
  const compare = async (
    [after, before]: readonly [string | null, string | null],
    prefix: string,
    changed: ChangedEntry[],
  ): Promise<void> => {
    const was = before === null ? [] : await folders.tree(before, after);
    const now = after === null ? [] : await folders.tree(after, before);
    const { head, tail } = likeness(now, was);
    const old = new Map(
      was.slice(head, was.length - tail).map((entry) => [entry.name, entry] as const),
    );
    for (const entry of now.slice(head, now.length - tail)) {
      const one = old.get(entry.name);
      old.delete(entry.name);
      if (one?.oid === entry.oid && one.mode === entry.mode) continue;
      await compareEntry([entry, one], prefix + entry.name, changed);
    }
    for (const gone of old.values()) {
      await compareEntry([undefined, gone], prefix + gone.name, changed);
    }
  };
  const compareEntry = async (
    [now, was]: readonly [TreeEntry | undefined, TreeEntry | undefined],
    path: string,
    changed: ChangedEntry[],
  ): Promise<void> => {
    if (!inside(path)) return;
    if ((now !== undefined && now.mode !== FOLDER) || (was !== undefined && was.mode !== FOLDER)) {
      changed.push([path, now !== undefined && now.mode !== FOLDER ? now : null]);
    }
    const after = now?.mode === FOLDER ? now.oid : null;
    const before = was?.mode === FOLDER ? was.oid : null;
    if (after !== null || before !== null) await compare([after, before], `${path}/`, changed);
  };
  return async (commit) => {
    const before = known.get(commit.oid);
    if (before !== undefined) return before;
    const parent = commit.parent === null ? null : await folders.commit(commit.parent);
    const changed: ChangedEntry[] = [];
    await compare([commit.tree, parent?.tree ?? null], '', changed);
    const step = { commit, changed };
    known.set(commit.oid, step, 1 + changed.length);
    return step;
  };
};
