// New trees and commits, made at the level of objects: no work tree, no index.
// In: a commit and changes by path. Out: the new objects and the ids of tree and commit.
// Not here: moving a ref to it (publish), whether it should be made (commit).

import { broken } from './failure.ts';
import type { Folders } from './folders.ts';
import type { NewCommit, TreeEntry } from './format.ts';
import { FOLDER, formatCommit, formatTree, PLAIN_FILE, SUBMODULE, SYMLINK } from './format.ts';
import type { NewObject } from './objects.ts';
import { objectId } from './objects.ts';

/** Path in the repository → new content; null removes the file. */
export type Changes = ReadonlyMap<string, string | null>;

export interface BuiltTree {
  /** null: nothing is left in it. */
  readonly tree: string | null;
  readonly objects: readonly NewObject[];
}

/**
 * The tree with the changes made; files keep their mode, folders without files go. `base` null:
 * from nothing.
 */
export const buildTree = async (
  folders: Folders,
  base: string | null,
  changes: Changes,
): Promise<BuiltTree> => {
  const entries = new Map(
    (base === null ? [] : await folders.tree(base)).map((entry) => [entry.name, entry]),
  );
  const objects: NewObject[] = [];
  const deeper = new Map<string, Map<string, string | null>>();
  for (const [path, content] of changes) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      setFile({ entries, objects }, path, content);
      continue;
    }
    const name = path.slice(0, slash);
    const inner = deeper.get(name) ?? new Map<string, string | null>();
    deeper.set(name, inner.set(path.slice(slash + 1), content));
  }
  for (const [name, inner] of deeper) {
    const was = entries.get(name);
    if (was !== undefined && was.mode !== FOLDER) {
      throw broken(`${name} is not a folder in the commit, so no file can be written into it`);
    }
    const built = await buildTree(folders, was?.oid ?? null, inner);
    objects.push(...built.objects);
    if (built.tree === null) entries.delete(name);
    else entries.set(name, { mode: FOLDER, name, oid: built.tree });
  }
  if (entries.size === 0) return { tree: null, objects };
  const tree: NewObject = { type: 'tree', data: formatTree([...entries.values()]) };
  return { tree: objectId(tree), objects: [...objects, tree] };
};

interface Building {
  readonly entries: Map<string, TreeEntry>;
  readonly objects: NewObject[];
}

const setFile = (building: Building, name: string, content: string | null): void => {
  const was = building.entries.get(name);
  if (content === null) {
    building.entries.delete(name);
    return;
  }
  if (was !== undefined && [FOLDER, SYMLINK, SUBMODULE].includes(was.mode)) {
    throw broken(`${name} is a symlink, submodule or folder in the commit and is not written over`);
  }
  const blob: NewObject = { type: 'blob', data: Buffer.from(content) };
  building.objects.push(blob);
  building.entries.set(name, { mode: was?.mode ?? PLAIN_FILE, name, oid: objectId(blob) });
};

/** The tree of a commit without files. */
const EMPTY_TREE: NewObject = { type: 'tree', data: Buffer.alloc(0) };

/** The bytes of a commit, signed. */
export type SignCommit = (data: Buffer) => Buffer;

export interface CommitToBuild extends Omit<NewCommit, 'tree'> {
  /** null: there is no key, and it stays unsigned. */
  readonly sign: SignCommit | null;
}

export interface BuiltCommit {
  readonly oid: string;
  readonly data: Buffer;
  readonly objects: readonly NewObject[];
}

/** The commit on top of a built tree, with all objects that it needs. */
export const buildCommit = (built: BuiltTree, commit: CommitToBuild): BuiltCommit => {
  const tree = built.tree ?? objectId(EMPTY_TREE);
  const plain = formatCommit({ ...commit, tree });
  const data = commit.sign === null ? plain : commit.sign(plain);
  const object: NewObject = { type: 'commit', data };
  const trees = built.tree === null ? [EMPTY_TREE] : [];
  return { oid: objectId(object), data, objects: [...built.objects, ...trees, object] };
};
