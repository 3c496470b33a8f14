// The files of a commit that matter to a cluster: cluster.yaml, nodes/, namespaces/, jobs/, scale/,
// configs/, signers/ under its directory (product.md). In: a commit's tree. Out: Files, the same Map
// as long as nothing in them changed. Not here: reading trees and blobs (folders), the meaning of
// the files (compile).

import { withFiles, type FileEdits } from '../../../schema/files.ts';
import type { Files, SourceFile } from '../../../schema/source.ts';
import { broken } from './failure.ts';
import { isFolder, type FileRow, type Folder, type Folders, type Part } from './folders.ts';
import type { TreeEntry } from './format.ts';
import { FOLDER } from './format.ts';
import { FILES } from './limits.ts';
import { likeness } from './parsed-tree.ts';
import { createMemory } from './remember.ts';

export interface ReadFiles {
  readonly read: (tree: string) => Promise<Files>;
  /** Paths in which two Maps that were read differ; null: it would take a look at each. */
  readonly differing: (from: Files, to: Files) => ReadonlySet<string> | null;
}

/** HEAD, the last synced commit, and some more while a person moves between branches. */
const REMEMBERED_MAPS = 8;

export const createReadFiles = (folders: Folders, directory: string): ReadFiles => {
  const maps = createMemory<Files>(REMEMBERED_MAPS);
  const roots = createMemory<string>(REMEMBERED_MAPS);
  const built = new WeakMap<Files, Lists>();
  let last: Built | null = null;
  let compared: Compared | null = null;
  const read = async (tree: string): Promise<Files> => {
    const known = maps.get(roots.get(tree) ?? '');
    if (known !== undefined) return known;
    const entries = await enter(folders, tree, directory);
    const parts = entries.filter(matters);
    const key = keyOf(parts);
    roots.set(tree, key);
    const same = maps.get(key);
    if (same !== undefined) return same;
    const lists = await collect(folders, parts);
    const before = last;
    const edits = before && differingFiles(before.lists, lists);
    last = filesOf(lists, before, edits);
    if (before !== null) compared = comparedWith(before.files, last.files, edits);
    built.set(last.files, lists);
    maps.set(key, last.files);
    return last.files;
  };
  const differing = (from: Files, to: Files): ReadonlySet<string> | null => {
    if (compared?.from === from && compared.to === to) return compared.paths;
    const [a, b] = [built.get(from), built.get(to)];
    const edits = a === undefined || b === undefined ? null : differingFiles(a, b);
    compared = comparedWith(from, to, edits);
    return compared.paths;
  };
  return { read, differing };
};

/** Entries of the cluster's directory; none where it does not exist. */
export const enter = async (
  folders: Folders,
  tree: string,
  directory: string,
): Promise<readonly TreeEntry[]> => {
  let entries = await folders.tree(tree);
  for (const part of directory === '' ? [] : directory.split('/')) {
    const entry = entries.find((one) => one.name === part);
    if (entry === undefined) return [];
    if (entry.mode !== FOLDER) {
      throw broken(
        `${directory}: ${part} is not a folder in the commit (a symlink, submodule or file). ` +
          "Name the cluster's real folder",
      );
    }
    entries = await folders.tree(entry.oid);
  }
  return entries;
};

/** Whether two trees hold the same files of a cluster. */
export const isSameCluster = async (
  folders: Folders,
  [one, other]: readonly [string, string],
  directory: string,
): Promise<boolean> => {
  const keyIn = async (tree: string): Promise<string> =>
    keyOf((await enter(folders, tree, directory)).filter(matters));
  return one === other || (await keyIn(one)) === (await keyIn(other));
};

const keyOf = (parts: readonly TreeEntry[]): string =>
  `- ${parts.map(({ mode, name, oid }) => `${mode} ${name} ${oid}`).join('\n')}`;

/** Entries of a cluster's directory that are read. */
export const matters = ({ name }: Pick<TreeEntry, 'name'>): boolean =>
  name === 'cluster.yaml' || FOLDERS.has(name);

const FOLDERS: ReadonlySet<string> = new Set([
  'configs',
  'jobs',
  'namespaces',
  'nodes',
  'scale',
  'signers',
]);

const collect = async (folders: Folders, parts: readonly TreeEntry[]): Promise<Lists> => {
  const lists = await Promise.all(
    parts.map(async (part): Promise<Part> =>
      part.mode === FOLDER
        ? folders.list(part.oid, `${part.name}/`)
        : [part.name, await folders.file(part)],
    ),
  );
  const count = lists.reduce((sum, part) => sum + (isFolder(part) ? part.count : 1), 0);
  if (count > FILES) {
    throw broken(`the cluster's directory holds ${count} files; the limit is ${FILES}`);
  }
  return { entries: parts, parts: lists };
};

/**
 * So many files differ at most from the Map that was made last; a look-up asks for these first. The
 * next Map costs some milliseconds, which one commit in a thousand has to wait for.
 */
const EDITS = 1000;

/** With few files changed the Map made last is used, and what differs is set over it. */
const filesOf = (lists: Lists, before: Built | null, edits: FileEdits | null): Built => {
  if (before !== null && edits !== null && before.edits.size + edits.size <= EDITS) {
    const all = new Map(before.edits);
    for (const [path, file] of edits) all.set(path, file);
    return { lists, whole: before.whole, edits: all, files: withFiles(before.whole, all) };
  }
  const whole = new Map<string, SourceFile>();
  for (const part of lists.parts) for (const [path, file] of rowsIn(part)) whole.set(path, file);
  return { lists, whole, edits: new Map(), files: whole };
};

/** The two that were compared last: mostly HEAD is compared with one that was synced as well. */
interface Compared {
  readonly from: Files;
  readonly to: Files;
  readonly paths: ReadonlySet<string> | null;
}

const comparedWith = (from: Files, to: Files, edits: FileEdits | null): Compared => ({
  from,
  to,
  paths: edits && new Set(edits.keys()),
});

interface Built {
  readonly lists: Lists;
  readonly files: Files;
  readonly whole: Files;
  readonly edits: FileEdits;
}

/** What stands in `to` where the lists differ; null: other folders are read. */
const differingFiles = (from: Lists, to: Lists): FileEdits | null => {
  if (from.parts.length !== to.parts.length) return null;
  const edits = new Map<string, SourceFile | null>();
  noteDifferences(from, to, edits);
  return edits;
};

/** Whatever is the same object in both is passed over, a folder as a whole. */
const noteDifferences = (from: Lists, to: Lists, edits: Map<string, SourceFile | null>): void => {
  const { head, tail } = likeness(to.entries, from.entries);
  const old = new Map<string, Part>();
  for (let at = head; at < from.parts.length - tail; at += 1) {
    const [part, name] = [from.parts[at], from.entries[at]?.name];
    if (part !== undefined && name !== undefined) old.set(name, part);
  }
  for (let at = head; at < to.parts.length - tail; at += 1) {
    const part = to.parts[at];
    const name = to.entries[at]?.name ?? '';
    if (part === undefined) continue;
    if (old.get(name) === part) {
      old.delete(name);
      continue;
    }
    const was = old.get(name);
    old.delete(name);
    if (was !== undefined && isFolder(was) && isFolder(part)) noteDifferences(was, part, edits);
    else noteReplaced(was === undefined ? [] : rowsIn(was), rowsIn(part), edits);
  }
  for (const part of old.values()) noteReplaced(rowsIn(part), [], edits);
};

const noteReplaced = (
  from: readonly FileRow[],
  to: readonly FileRow[],
  edits: Map<string, SourceFile | null>,
): void => {
  const old = new Map(from);
  for (const [path, file] of to) {
    if (old.get(path) !== file) edits.set(path, file);
    old.delete(path);
  }
  for (const path of old.keys()) edits.set(path, null);
};

const rowsIn = (part: Part): readonly FileRow[] => (isFolder(part) ? part.rows : [part]);

/** What a cluster's directory holds of what matters. */
type Lists = Pick<Folder, 'entries' | 'parts'>;
