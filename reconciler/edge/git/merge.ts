// What a merge of two commits would be, made in memory: nothing is written to the repository, no
// ref moves, no work tree and no hook is involved. In: two commits of a store whose objects can be
// added to in memory. Out: a commit that exists in memory only, with the base as its first parent;
// so all that reads commits reads it like one of the branch. Squash, rebase and merge commit have
// this tree alike. Only folders that differ are read, below the cluster's directory only.
// Not here: renames (a file that one side renames and the other edits is a conflict, which
// merge-by-git looks at again), fetching.

import { compareText } from '../../../schema/ids.ts';
import { fileOf, type Folders } from './folders.ts';
import type { TreeEntry } from './format.ts';
import { FOLDER, formatCommit, formatTree, SUBMODULE, SYMLINK } from './format.ts';
import { FILE_BYTES, MERGE_CONFLICTS } from './limits.ts';
import { mergeBases } from './merge-base.ts';
import { mergeText } from './merge-text.ts';
import type { NewObject, Objects } from './objects.ts';
import { matters } from './tree.ts';

export interface MergeStore {
  readonly folders: Folders;
  readonly objects: Pick<Objects, 'read'>;
  /** Adds an object in memory; returns its id. */
  readonly add: (object: NewObject) => string;
}

export type Merge =
  /** `commit` is in memory only. */
  | { readonly kind: 'merged'; readonly commit: string }
  /** No file of the cluster differs from the base's. */
  | { readonly kind: 'untouched' }
  /** Paths below the cluster's directory, sorted; the first MERGE_CONFLICTS that were met. */
  | { readonly kind: 'conflict'; readonly files: readonly string[] }
  /** The two have no commit in common. */
  | { readonly kind: 'unrelated' };

export interface MergeAsk {
  readonly base: string;
  readonly head: string;
  /** The cluster's directory; '' for the root. */
  readonly directory: string;
}

export const mergeInMemory = async (
  store: MergeStore,
  { base, head, directory }: MergeAsk,
): Promise<Merge> => {
  const { folders } = store;
  const bases = await mergeBases(folders, [base, head]);
  if (bases.includes(head)) return { kind: 'untouched' };
  const [ours, theirs] = [await folders.commit(base), await folders.commit(head)];
  const from = await startOf(store, bases, directory);
  if (from === null) return { kind: 'unrelated' };
  const conflicts: string[] = [];
  const tree = await mergeTrees({ store, directory, conflicts }, [from, ours.tree, theirs.tree]);
  if (conflicts.length > 0) return { kind: 'conflict', files: conflicts.toSorted(compareText) };
  if (tree === ours.tree) return { kind: 'untouched' };
  return { kind: 'merged', commit: await mergeCommit(store, { tree, base, head }) };
};

/** A commit in memory, with the base as its first parent and the words of the head. */
export const mergeCommit = async (
  { folders, add }: MergeStore,
  { tree, base, head }: { readonly tree: string; readonly base: string; readonly head: string },
): Promise<string> => {
  const { author, authoredAt, message } = await folders.commit(head);
  const by = { ...author, epochSeconds: authoredAt };
  return add({ type: 'commit', data: formatCommit({ tree, parents: [base, head], by, message }) });
};

/**
 * The tree that both started from. Branches that were merged into each other have several: these
 * are merged first, as Git does; where that is a conflict the newest one counts.
 */
const startOf = async (
  store: MergeStore,
  bases: readonly string[],
  directory: string,
): Promise<string | null> => {
  const [newest, ...others] = await Promise.all(
    bases.slice(0, START_TREES).map(async (oid) => (await store.folders.commit(oid)).tree),
  );
  let start = newest ?? null;
  for (const other of start === null ? [] : others) {
    const conflicts: string[] = [];
    const trees = [null, start ?? null, other] as const;
    const merged = await mergeTrees({ store, directory, conflicts }, trees);
    if (conflicts.length === 0) start = merged;
  }
  return start;
};

/** More common ancestors than this are nobody's history. */
const START_TREES = 8;

interface Merging {
  readonly store: MergeStore;
  readonly directory: string;
  /** Added to. */
  readonly conflicts: string[];
}

/** What stands in one place: at the start, in ours, in theirs; undefined: nothing. */
type Three<Value> = readonly [start: Value, ours: Value, theirs: Value];

/** The root: everything outside the cluster's directory stays as it is in ours. */
const mergeTrees = (merging: Merging, trees: Three<string | null>): Promise<string> => {
  const parts = merging.directory === '' ? [] : merging.directory.split('/');
  const descend = async (at: Three<string | null>, depth: number): Promise<string> => {
    const lists = await listsOf(merging, at);
    const part = parts[depth];
    if (part === undefined) return mergeLists(merging, { lists, prefix: '', matters });
    const inner = three(lists, (list) => list.find(({ name }) => name === part));
    const others = lists[1].filter(({ name }) => name !== part);
    const chosen = inner.every((entry) => entry === undefined || entry.mode === FOLDER)
      ? folderOf(part, await descend(three(inner, oidOf), depth + 1))
      : await mergeEntry(merging, { at: inner, path: part });
    return treeOf(merging, chosen === null ? others : [...others, chosen]);
  };
  return descend(trees, 0);
};

const three = <From, To>(values: Three<From>, map: (value: From) => To): Three<To> => [
  map(values[0]),
  map(values[1]),
  map(values[2]),
];

const oidOf = (entry: TreeEntry | undefined): string | null => entry?.oid ?? null;

const folderOf = (name: string, oid: string): TreeEntry | null =>
  oid === EMPTY_TREE ? null : { mode: FOLDER, name, oid };

/** The id of the tree without entries. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

const listsOf = async (
  { store }: Merging,
  [start, ours, theirs]: Three<string | null>,
): Promise<Three<readonly TreeEntry[]>> => [
  start === null ? [] : await store.folders.tree(start, ours),
  ours === null ? [] : await store.folders.tree(ours),
  theirs === null ? [] : await store.folders.tree(theirs, ours),
];

interface Lists {
  readonly lists: Three<readonly TreeEntry[]>;
  readonly prefix: string;
  /** Entries that are merged; others stay as in ours. */
  readonly matters: (entry: TreeEntry) => boolean;
}

const mergeLists = async (merging: Merging, { lists, prefix, matters: isMerged }: Lists) => {
  const byName = three(lists, (list) => new Map(list.map((entry) => [entry.name, entry])));
  const names = new Set(lists.flatMap((list) => list.map(({ name }) => name)));
  const entries: TreeEntry[] = [];
  for (const name of names) {
    const at = three(byName, (map) => map.get(name));
    const [start, ours, theirs] = at;
    const sample = ours ?? theirs ?? start;
    const stays = sample !== undefined && !isMerged(sample);
    const chosen = stays ? ours : await mergeEntry(merging, { at, path: prefix + name });
    if (chosen !== null && chosen !== undefined) entries.push(chosen);
  }
  return treeOf(merging, entries);
};

const treeOf = ({ store }: Merging, entries: readonly TreeEntry[]): string =>
  store.add({ type: 'tree', data: formatTree(entries) });

interface Place {
  readonly at: Three<TreeEntry | undefined>;
  readonly path: string;
}

/** null: nothing stands there afterwards. */
const mergeEntry = async (merging: Merging, { at, path }: Place): Promise<TreeEntry | null> => {
  const [start, ours, theirs] = at;
  if (isSame(ours, theirs) || isSame(start, theirs)) return ours ?? null;
  if (isSame(start, ours)) return theirs ?? null;
  const present = at.filter((entry) => entry !== undefined);
  if (present.every(({ mode }) => mode === FOLDER)) {
    const lists = await listsOf(merging, three(at, oidOf));
    const name = present[0]?.name ?? '';
    const every = () => true;
    const inner = await mergeLists(merging, { lists, prefix: `${path}/`, matters: every });
    return folderOf(name, inner);
  }
  const merged = await mergeFiles(merging, at);
  if (merged === null && merging.conflicts.length < MERGE_CONFLICTS) merging.conflicts.push(path);
  return merged ?? ours ?? null;
};

const isSame = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a?.oid === b?.oid && a?.mode === b?.mode;

/** null: they cannot be put together. */
const mergeFiles = async (
  { store }: Merging,
  [start, ours, theirs]: Place['at'],
): Promise<TreeEntry | null> => {
  if (start === undefined || ours === undefined || theirs === undefined) return null;
  if ([start, ours, theirs].some(({ mode }) => NO_TEXT.has(mode))) return null;
  const mode = ours.mode === start.mode ? theirs.mode : ours.mode;
  if (start.oid === theirs.oid) return { ...ours, mode };
  if (start.oid === ours.oid || ours.oid === theirs.oid) return { ...theirs, mode };
  const texts = await Promise.all([start, ours, theirs].map(({ oid }) => textOf(store, oid)));
  const [from, a, b] = texts;
  if (typeof from !== 'string' || typeof a !== 'string' || typeof b !== 'string') return null;
  const text = mergeText(from, a, b);
  if (text === null) return null;
  return { mode, name: ours.name, oid: store.add({ type: 'blob', data: Buffer.from(text) }) };
};

const NO_TEXT: ReadonlySet<string> = new Set([FOLDER, SYMLINK, SUBMODULE]);

/** null: no text, or one too large to be a file of a cluster. */
const textOf = async ({ objects }: MergeStore, oid: string): Promise<string | null> => {
  const object = await objects.read(oid, FILE_BYTES);
  if (object === null || object.data === null) return null;
  const file = fileOf(oid, object.data);
  return file.kind === 'text' && !file.text.includes('\0') ? file.text : null;
};
