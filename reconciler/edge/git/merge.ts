// What a merge of two commits would be, made in memory: nothing is written to the repository, no
// ref moves, no work tree and no hook is involved. In: two commits of a store whose objects can be
// added to in memory. Out: a commit that exists in memory only, with the base as its first parent;
// so all that reads commits reads it like one of the branch. Squash, rebase and merge commit have
// this tree alike. Only folders that differ are read, below the cluster's directory only.
// Not here: files that both changed, and renames; these count as conflicts, which merge-by-git looks
// at again. Fetching.

import { compareText } from '../../../schema/ids.ts';
import type { Folders } from './folders.ts';
import type { TreeEntry } from './format.ts';
import { FOLDER, formatCommit, formatTree } from './format.ts';
import { MERGE_CONFLICTS } from './limits.ts';
import { mergeBases } from './merge-base.ts';
import type { NewObject } from './objects.ts';
import { matters } from './tree.ts';

export interface MergeStore {
  readonly folders: Folders;
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

/**
 * null: branches that were merged into each other have several common ancestors, which Git merges
 * first, renames included; so only Git can say.
 */
export const mergeInMemory = async (
  store: MergeStore,
  { base, head, directory }: MergeAsk,
): Promise<Merge | null> => {
  const { folders } = store;
  const bases = await mergeBases(folders, [base, head]);
  if (bases.includes(head)) return { kind: 'untouched' };
  const [ours, theirs] = [await folders.commit(base), await folders.commit(head)];
  const [start, ...others] = bases;
  if (start === undefined) return { kind: 'unrelated' };
  if (others.length > 0) return null;
  const from = await folders.commit(start);
  const conflicts: string[] = [];
  const merging = { store, directory, conflicts };
  const tree = await mergeTrees(merging, [from.tree, ours.tree, theirs.tree]);
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
  const { conflicts } = merging;
  const [start, ours, theirs] = at;
  if (isSame(start, theirs)) return ours ?? null;
  if (isSame(start, ours)) return theirs ?? null;
  if (ours !== undefined && ours.mode !== FOLDER && isSame(ours, theirs)) return ours;
  if ([start ?? ours, ours, theirs].every((entry) => entry?.mode === FOLDER)) {
    const lists = await listsOf(merging, three(at, oidOf));
    const name = ours?.name ?? '';
    const every = () => true;
    const inner = await mergeLists(merging, { lists, prefix: `${path}/`, matters: every });
    return folderOf(name, inner);
  }
  // Both changed it. Which lines go together is Git's to say, and what both took away, or one took
  // away and the other changed, may have been renamed.
  if (conflicts.length < MERGE_CONFLICTS) conflicts.push(path);
  return ours ?? null;
};

const isSame = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a?.oid === b?.oid && a?.mode === b?.mode;
