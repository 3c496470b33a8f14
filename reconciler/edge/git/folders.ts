// Folders of a commit, read so that what did not change is not read: a folder is remembered by its tree's id, a file
// by its blob's id, and both come back as the same objects. In: tree ids. Out: files in order of their paths.
// Not here: which folders matter (tree), what is in the files (compile).

import type { SourceFile } from '../../../schema/source.ts';
import { broken, LostObject, messageOf } from './failure.ts';
import type { Commit, TreeEntry } from './format.ts';
import { byPath, FOLDER, parseCommit, parseTree, SUBMODULE, SYMLINK } from './format.ts';
import { COMMIT_BYTES, REMEMBERED_COMMITS, REMEMBERED_ENTRIES } from './limits.ts';
import { REMEMBERED_FILES, TREE_BYTES, TREE_DEPTH } from './limits.ts';
import type { Objects } from './objects.ts';
import { createMemory } from './remember.ts';

export type FileRow = readonly [path: string, file: SourceFile];

export interface Folders {
  readonly commit: (oid: string) => Promise<Commit>;
  /** Entries of one tree. */
  readonly tree: (oid: string) => Promise<readonly TreeEntry[]>;
  /** All files below a tree, their paths prefixed; the same array for the same tree at the same prefix. */
  readonly files: (oid: string, prefix: string) => Promise<readonly FileRow[]>;
  readonly file: (entry: TreeEntry) => Promise<SourceFile>;
}

/** `fileBytes`: larger files are refused, unread. */
export const createFolders = (objects: Objects, fileBytes: number): Folders => {
  const commits = createMemory<Commit>(REMEMBERED_COMMITS);
  const trees = createMemory<readonly TreeEntry[]>(REMEMBERED_ENTRIES);
  const lists = createMemory<readonly FileRow[]>(REMEMBERED_ENTRIES);
  const blobs = createMemory<SourceFile>(REMEMBERED_FILES);

  const commit = async (oid: string): Promise<Commit> => {
    const known = commits.get(oid);
    if (known !== undefined) return known;
    const data = await need(objects, oid, { type: 'commit', maxBytes: COMMIT_BYTES });
    const parsed = guard(oid, () => parseCommit(oid, data));
    commits.set(oid, parsed);
    return parsed;
  };

  const tree = async (oid: string): Promise<readonly TreeEntry[]> => {
    const known = trees.get(oid);
    if (known !== undefined) return known;
    const data = await need(objects, oid, { type: 'tree', maxBytes: TREE_BYTES });
    const parsed = guard(oid, () => parseTree(data));
    trees.set(oid, parsed, parsed.length + 1);
    return parsed;
  };

  const file = async (entry: TreeEntry): Promise<SourceFile> => {
    const known = blobs.get(`${entry.mode} ${entry.oid}`);
    if (known !== undefined) return known;
    const read = await readFile(objects, entry, fileBytes);
    blobs.set(`${entry.mode} ${entry.oid}`, read);
    return read;
  };

  /** Known files go straight in; only the others cost a turn of the event loop. */
  const rows = async (prefix: string, entries: readonly TreeEntry[], depth: number) => {
    const parts: (FileRow | readonly FileRow[] | null)[] = [];
    const reads: Promise<void>[] = [];
    for (const entry of entries) {
      const path = prefix + entry.name;
      const at = parts.length;
      if (entry.mode === FOLDER) {
        const known = lists.get(`${entry.oid} ${path}/`);
        parts.push(known ?? null);
        if (known !== undefined) continue;
        reads.push(
          list(entry.oid, `${path}/`, depth + 1).then((found) => {
            parts[at] = found;
          }),
        );
      } else {
        const known = blobs.get(`${entry.mode} ${entry.oid}`);
        parts.push(known === undefined ? null : [path, known]);
        if (known !== undefined) continue;
        reads.push(
          file(entry).then((found) => {
            parts[at] = [path, found];
          }),
        );
      }
    }
    if (reads.length > 0) await Promise.all(reads);
    return flatten(parts);
  };

  const list = async (oid: string, prefix: string, depth: number): Promise<readonly FileRow[]> => {
    const known = lists.get(`${oid} ${prefix}`);
    if (known !== undefined) return known;
    if (depth > TREE_DEPTH) {
      throw broken(`${prefix} lies more than ${TREE_DEPTH} folders deep: move it further up`);
    }
    const found = await rows(prefix, await tree(oid), depth);
    lists.set(`${oid} ${prefix}`, found, found.length + 1);
    return found;
  };

  return { commit, tree, file, files: (oid, prefix) => list(oid, prefix, 0) };
};

/** Git's order of a tree is the order of full paths by byte, which differs from code units beyond ASCII only. */
const flatten = (parts: readonly (FileRow | readonly FileRow[] | null)[]): readonly FileRow[] => {
  const all: FileRow[] = [];
  let sorted = true;
  const add = (row: FileRow) => {
    const last = all.at(-1);
    if (last !== undefined && last[0] >= row[0]) sorted = false;
    all.push(row);
  };
  for (const part of parts) {
    if (part === null) continue;
    if (isRow(part)) add(part);
    else for (const row of part) add(row);
  }
  return sorted ? all : all.toSorted(byPath);
};

const isRow = (part: FileRow | readonly FileRow[]): part is FileRow => typeof part[0] === 'string';

interface Wanted {
  readonly type: string;
  readonly maxBytes: number;
}

const need = async (objects: Objects, oid: string, wanted: Wanted): Promise<Buffer> => {
  const object = await objects.read(oid, wanted.maxBytes);
  if (object === null) throw new LostObject(oid);
  if (object.type !== wanted.type) {
    throw broken(`object ${oid} is a ${object.type} where a ${wanted.type} belongs. Run: git fsck`);
  }
  if (object.data === null) {
    throw broken(`${wanted.type} ${oid} has ${object.size} bytes; the limit is ${wanted.maxBytes}`);
  }
  return object.data;
};

const guard = <Value>(oid: string, parse: () => Value): Value => {
  try {
    return parse();
  } catch (error) {
    throw broken(`object ${oid} cannot be read (${messageOf(error)}). Run: git fsck`);
  }
};

/** The pointer that git-lfs commits in place of a file. */
const LFS_START = 'version https://git-lfs.github.com/spec/';
const LFS_POINTER_BYTES = 1024;

const readFile = async (
  objects: Objects,
  entry: TreeEntry,
  maxBytes: number,
): Promise<SourceFile> => {
  const blob = entry.oid;
  if (entry.mode === SYMLINK) return { kind: 'refused', blob, why: 'symlink', size: null };
  if (entry.mode === SUBMODULE) return { kind: 'refused', blob, why: 'submodule', size: null };
  const object = await objects.read(blob, maxBytes);
  if (object === null) throw new LostObject(blob);
  if (object.data === null) return { kind: 'refused', blob, why: 'too-large', size: object.size };
  const text = decode(object.data);
  if (text === null) return { kind: 'refused', blob, why: 'not-utf8', size: null };
  if (object.size <= LFS_POINTER_BYTES && text.startsWith(LFS_START)) {
    return { kind: 'refused', blob, why: 'lfs-pointer', size: null };
  }
  return { kind: 'text', blob, text };
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decode = (data: Buffer): string | null => {
  try {
    return utf8.decode(data);
  } catch {
    return null;
  }
};
