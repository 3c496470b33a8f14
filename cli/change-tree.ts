// The tree that a preview compiles: a commit of the repository around the working directory, a
// folder as it stands on disk, or what the reconciler follows. In: the words of the person, a
// snapshot. Out: a tree, and how to read histories for it. Everything is opened read-only. Not
// here: the plan (reconciler/preview), its text.

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readFolder } from '../reconciler/edge/git/folder-on-disk.ts';
import type { Arrival } from '../reconciler/planned.ts';
import { changedTree } from '../reconciler/preview.ts';
import { sha256 } from '../schema/hash.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import type {
  Asks,
  CommitChange,
  CommitInfo,
  Files,
  History,
  SourceTree,
} from '../schema/source.ts';
import { arrivalOf, asItStands, commitOf, editsArrival, openAround } from './arrival.ts';
import type { Around } from './arrival.ts';
import { CommandError } from './command-error.ts';
import { git } from './up/repository.ts';
import { person } from './write.ts';

export interface ChangeTree {
  readonly tree: SourceTree;
  /** How it goes onto the branch: what of that only a forge knows is left out. */
  readonly arrival: Arrival;
  /** For people: what is compared. */
  readonly what: string;
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
  readonly close: () => void;
}

/** Nothing named: what stands. `followed`: the repository that the reconciler reads, if known. */
export const changeTree = async (
  snapshot: Snapshot,
  named: string | null,
  followed: string | null,
): Promise<ChangeTree> => {
  if (named === null) {
    const { oid, message } = snapshot.tree.head;
    return {
      tree: snapshot.tree,
      arrival: asItStands(oid),
      what: `${oid.slice(0, 12)} "${subjectOf(message)}" as it stands`,
      complete: (tree) => Promise.resolve(tree),
      close: () => undefined,
    };
  }
  const isFolder = await stat(named).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? folderTree(snapshot, resolve(named)) : revisionTree(snapshot, named, followed);
};

const subjectOf = (message: string): string => message.split('\n')[0] ?? '';

/**
 * A branch is meant before a tag of its name, as the reconciler follows branches.
 * Of the repository that the person is in where that is the cluster's, else of the one that the
 * reconciler follows: whoever is in the folder of this program means the cluster too.
 */
const revisionTree = async (
  snapshot: Snapshot,
  revision: string,
  followed: string | null,
): Promise<ChangeTree> => {
  const here = process.cwd();
  const { oid: head } = snapshot.tree.head;
  const isHere = await git(here, 'cat-file', '-e', `${head}^{commit}`).then(
    () => true,
    () => false,
  );
  const there = isHere || followed === null ? null : await openAround(snapshot, followed);
  const around = there ?? (await openAround(snapshot, here));
  if (around === null) {
    throw new CommandError(
      `\`${revision}\` is no folder, and there is no Git repository here to look it up in: go into the repository, or name a folder`,
    );
  }
  const { source, top, close } = around;
  const oid = (await commitOf(top, `refs/heads/${revision}`)) ?? (await commitOf(top, revision));
  const found = oid === null ? null : await source.at(oid);
  if (oid === null || found === null) {
    close();
    throw new CommandError(`${top} has no commit \`${revision}\`, and there is no such folder`);
  }
  if (!found.files.has('cluster.yaml')) {
    close();
    throw new CommandError(
      `\`${revision}\` of ${top} holds no cluster.yaml: go into the cluster's repository, or name a folder`,
    );
  }
  const what = `${oid.slice(0, 12)} "${subjectOf(found.head.message)}" of ${top}`;
  const known = { what, close, complete: read(around) };
  if (oid === head) return { ...known, tree: snapshot.tree, arrival: asItStands(oid) };
  return { ...known, ...(await arrivalOf(snapshot, around, found)) };
};

/** Uncommitted edits, as the commit on top of what is checked out that they would be. */
const folderTree = async (snapshot: Snapshot, folder: string): Promise<ChangeTree> => {
  const around = await openAround(snapshot, folder);
  const place = await clusterFolder(folder, snapshot.tree.directory, around?.top ?? null);
  const files = await readFolder(place);
  const below = around === null ? '' : await git(around.top, 'rev-parse', 'HEAD').catch(() => '');
  const known = around === null || below === '' ? null : await around.source.at(below);
  const parent = known ?? { head: snapshot.tree.head, files: snapshot.tree.files };
  const head = await edited(parent.head, files, folder);
  const close = () => around?.close();
  const isEdited = !sameFiles(parent.files, files);
  const arrival = await editsArrival(snapshot, around, { below, isEdited, head: head.oid });
  if (!isEdited) {
    const clean =
      parent.head.oid === snapshot.tree.head.oid
        ? snapshot.tree
        : changedTree(snapshot.tree, parent.head, files);
    return {
      tree: clean,
      arrival,
      what: `${place}, nothing edited`,
      complete: read(around),
      close,
    };
  }
  return {
    tree: changedTree(snapshot.tree, head, files),
    arrival,
    what: `${place} with its uncommitted edits`,
    complete: onTop({ parent, head, files, read: read(around) }),
    close,
  };
};

const read =
  (around: Pick<Around, 'source'> | null) =>
  async (tree: SourceTree, asks: Asks): Promise<SourceTree> => {
    if (around !== null) return around.source.complete(tree, asks);
    // Without a repository the snapshot's HEAD is all the past that is known.
    const histories = new Map(tree.histories);
    for (const { path, with: others } of asks.histories) {
      const files = pick(tree.files, [path, ...others]);
      histories.set(path, { path, entries: [{ commit: tree.head, files }], complete: false });
    }
    const changes = new Map(tree.changes);
    for (const commit of asks.changes ?? []) changes.set(commit, { commit, files: null });
    return { ...tree, histories, changes };
  };

interface OnTop {
  readonly parent: { readonly head: CommitInfo; readonly files: Files };
  readonly head: CommitInfo;
  readonly files: Files;
  readonly read: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
}

/**
 * Histories of the parent, with the commit that does not exist yet before them where it changes
 * something.
 */
const onTop =
  ({ parent, head, files, read: readParent }: OnTop) =>
  async (tree: SourceTree, asks: Asks): Promise<SourceTree> => {
    const below = { ...tree, ...parent, histories: new Map<string, History>() };
    const past = await readParent(below, asks);
    const histories = new Map(tree.histories);
    for (const { path, with: others } of asks.histories) {
      const paths = [path, ...others];
      const before = past.histories.get(path);
      const now = pick(files, paths);
      const changed = !sameFiles(pick(parent.files, paths), now);
      const own = changed ? [{ commit: head, files: now }] : [];
      histories.set(path, {
        path,
        entries: [...own, ...(before?.entries ?? [])],
        complete: before?.complete ?? false,
      });
    }
    const changes = new Map(tree.changes);
    for (const [commit, change] of past.changes ?? []) {
      changes.set(commit, againstEdits(change, parent.files, files));
    }
    return { ...tree, histories, changes };
  };

/** What a commit changed, beside what the edits say now; other files of the repository stand. */
const againstEdits = (change: CommitChange, before: Files, after: Files): CommitChange => ({
  ...change,
  files:
    change.files?.map((file) => {
      const isEdited = before.has(file.path) || after.has(file.path);
      return isEdited ? { ...file, head: after.get(file.path) ?? null } : file;
    }) ?? null,
});

const pick = (files: Files, paths: readonly string[]): Files =>
  new Map([...files].filter(([path]) => paths.includes(path)));

const sameFiles = (a: Files, b: Files): boolean =>
  a.size === b.size && [...a].every(([path, file]) => b.get(path)?.blob === file.blob);

/** The commit that these files would be: its id is made up from what is in it. */
const edited = async (parent: CommitInfo, files: Files, folder: string): Promise<CommitInfo> => {
  const blobs = [...files].map(([path, { blob }]) => `${blob} ${path}`);
  return {
    oid: sha256([parent.oid, ...blobs].join('\n')).slice(0, 40),
    parent: parent.oid,
    author: await person(folder),
    authoredAt: parent.authoredAt,
    message: 'uncommitted edits',
    trailers: [],
  };
};

/**
 * Where cluster.yaml is: the folder itself, the cluster's directory in it, or that of its
 * repository.
 */
const clusterFolder = async (
  folder: string,
  directory: string,
  top: string | null,
): Promise<string> => {
  const places = [folder, join(folder, directory), ...(top === null ? [] : [join(top, directory)])];
  for (const place of places) {
    const there = await stat(join(place, 'cluster.yaml')).catch(() => null);
    if (there !== null) return place;
  }
  throw new CommandError(`${folder} has no cluster.yaml: name the folder of a cluster`);
};
