// Folders of a commit, read so that what did not change is not read: a folder is remembered by its
// tree's id, a file by its blob's id, and both come back as the same objects. In: tree ids. Out:
// files in order of their paths. Not here: which folders matter (tree), what is in the files
// (compile).

import type { SourceFile } from '../../../schema/source.ts';
import { broken, LostObject, messageOf } from './failure.ts';
import type { Commit, TreeEntry } from './format.ts';
import { byPath, FOLDER, parseCommit, SUBMODULE, SYMLINK } from './format.ts';
import { COMMIT_BYTES, REMEMBERED_COMMITS, REMEMBERED_FILES, REMEMBERED_ROWS } from './limits.ts';
import { REMEMBERED_TREE_BYTES, TREE_BYTES, TREE_DEPTH, TREE_OVERHEAD_BYTES } from './limits.ts';
import type { Objects } from './objects.ts';
import type { ParsedTree } from './parsed-tree.ts';
import { likeness, parseLike } from './parsed-tree.ts';
import { createMemory } from './remember.ts';

export type FileRow = readonly [path: string, file: SourceFile];

export interface Folders {
  readonly commit: (oid: string) => Promise<Commit>;
  /** Whether the repository has such an object; a commit that was read before is not looked for. */
  readonly has: (oid: string) => Promise<boolean>;
  /** Entries of one tree; quickly when `like` is a similar tree that was read before. */
  readonly tree: (oid: string, like?: string | null) => Promise<readonly TreeEntry[]>;
  /**
   * A tree with all files below it, their paths prefixed; the same object for the same tree at the
   * same prefix.
   */
  readonly list: (oid: string, prefix: string) => Promise<Folder>;
  readonly file: (entry: TreeEntry) => Promise<SourceFile>;
  /** Bytes of all trees read so far: what a long walk has cost. */
  readonly treeBytes: () => number;
}

/** Texts by blob id that need no reading: what an earlier start has kept. */
export type KnownTexts = (blob: string) => string | undefined;

export interface FolderOptions {
  /** Larger files are refused, unread. */
  readonly fileBytes: number;
  readonly known: KnownTexts;
}

export const createFolders = (objects: Objects, options: FolderOptions): Folders => {
  const trees = createMemory<ParsedTree>(REMEMBERED_TREE_BYTES);
  const lists = createMemory<Folder>(REMEMBERED_ROWS);
  /** Trees of commits that were listed whole: a walk over the history does not push them out. */
  const listed = createMemory<ParsedTree>(REMEMBERED_ROWS);
  /** The folder last read at a place: the next one there is nearly the same. */
  const latest = createMemory<Folder>(REMEMBERED_ROWS);
  const blobs = createMemory<SourceFile>(REMEMBERED_FILES);
  let treeBytes = 0;

  const tree = async (oid: string, like: string | null): Promise<ParsedTree> => {
    const known = trees.get(oid) ?? listed.get(oid);
    if (known !== undefined) return known;
    const similar = like === null ? null : (trees.get(like) ?? listed.get(like) ?? null);
    const data = await need(objects, oid, { type: 'tree', maxBytes: TREE_BYTES });
    const parsed = guard(oid, () => parseLike(oid, data, similar));
    trees.set(oid, parsed, data.length + TREE_OVERHEAD_BYTES);
    treeBytes += data.length;
    return parsed;
  };

  const file = async (entry: TreeEntry): Promise<SourceFile> => {
    const key = entry.oid + entry.mode;
    const known = blobs.get(key);
    if (known !== undefined) return known;
    const read = await readFile(objects, entry, options);
    blobs.set(key, read);
    return read;
  };

  const part = async (entry: TreeEntry, prefix: string, depth: number): Promise<Part> =>
    entry.mode === FOLDER
      ? list(entry.oid, `${prefix}${entry.name}/`, depth + 1)
      : [prefix + entry.name, await file(entry)];

  /** What stands at both ends as before is taken over; only the middle is looked at. */
  const list = async (oid: string, prefix: string, depth: number): Promise<Folder> => {
    const key = oid + prefix;
    const known = lists.get(key);
    if (known !== undefined) return known;
    if (depth > TREE_DEPTH) {
      throw broken(`${prefix} lies more than ${TREE_DEPTH} folders deep: move it further up`);
    }
    const before = latest.get(prefix);
    const parsed = await tree(oid, before?.oid ?? null);
    const { entries } = parsed;
    listed.set(oid, parsed, entries.length + 1);
    const { head, tail } = likeness(entries, before?.entries ?? []);
    const middle = entries.slice(head, entries.length - tail);
    const read = await Promise.all(middle.map((entry) => part(entry, prefix, depth)));
    const old = before?.parts ?? [];
    const parts = [...old.slice(0, head), ...read, ...old.slice(old.length - tail)];
    const folder = folderOf(oid, entries, parts);
    lists.set(key, folder, folder.count + 1);
    latest.set(prefix, folder, folder.count + 1);
    return folder;
  };

  return {
    ...createCommits(objects),
    tree: async (oid, like) => (await tree(oid, like ?? null)).entries,
    file,
    treeBytes: () => treeBytes,
    list: (oid, prefix) => list(oid, prefix, 0),
  };
};

const createCommits = (objects: Objects): Pick<Folders, 'commit' | 'has'> => {
  const commits = createMemory<Commit>(REMEMBERED_COMMITS);
  return {
    commit: async (oid) => {
      const known = commits.get(oid);
      if (known !== undefined) return known;
      const data = await need(objects, oid, { type: 'commit', maxBytes: COMMIT_BYTES });
      const parsed = guard(oid, () => parseCommit(oid, data));
      commits.set(oid, parsed);
      return parsed;
    },
    has: async (oid) =>
      commits.get(oid) !== undefined || (await objects.read(oid, COMMIT_BYTES)) !== null,
  };
};

/** What stands in it as before is the same object in the folder read before. */
export interface Folder {
  readonly oid: string;
  readonly entries: readonly TreeEntry[];
  /** One for each entry. */
  readonly parts: readonly Part[];
  /** Files below it. */
  readonly count: number;
  /** All of them, in order of their paths; put together for whoever asks. */
  readonly rows: readonly FileRow[];
}

export type Part = FileRow | Folder;

export const isFolder = (part: Part): part is Folder => 'rows' in part;

const folderOf = (oid: string, entries: readonly TreeEntry[], parts: readonly Part[]): Folder => {
  let rows: readonly FileRow[] | null = null;
  let count = 0;
  for (const part of parts) count += isFolder(part) ? part.count : 1;
  return {
    oid,
    entries,
    parts,
    count,
    get rows() {
      return (rows ??= rowsOf(entries, parts));
    },
  };
};

/**
 * Git's order of a tree is the order of full paths by byte, which differs from code units beyond
 * ASCII only.
 */
const rowsOf = (entries: readonly TreeEntry[], parts: readonly Part[]): readonly FileRow[] => {
  const rows: FileRow[] = [];
  for (const part of parts) {
    if (!isFolder(part)) rows.push(part);
    else for (const row of part.rows) rows.push(row);
  }
  return entries.every((entry) => isAscii(entry.name)) ? rows : rows.toSorted(byPath);
};

const isAscii = (text: string): boolean => {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 127) return false;
  return true;
};

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
  { fileBytes, known }: FolderOptions,
): Promise<SourceFile> => {
  const blob = entry.oid;
  if (entry.mode === SYMLINK) return { kind: 'refused', blob, why: 'symlink', size: null };
  if (entry.mode === SUBMODULE) return { kind: 'refused', blob, why: 'submodule', size: null };
  const text = known(blob);
  if (text !== undefined && Buffer.byteLength(text) <= fileBytes) {
    return { kind: 'text', blob, text };
  }
  const object = await objects.read(blob, fileBytes);
  if (object === null) throw new LostObject(blob);
  if (object.data === null) return { kind: 'refused', blob, why: 'too-large', size: object.size };
  return fileOf(blob, object.data);
};

/** What a blob's bytes are as a file. */
export const fileOf = (blob: string, data: Buffer): SourceFile => {
  const text = decode(data);
  if (text === null) return { kind: 'refused', blob, why: 'not-utf8', size: null };
  if (data.length <= LFS_POINTER_BYTES && text.startsWith(LFS_START)) {
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
