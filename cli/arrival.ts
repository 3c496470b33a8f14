// How a change that a preview shows goes onto the branch: merged as a pull request would be, with
// the commits that it brings, by whom and how signed. In: the repository around a folder, a
// snapshot. Out: a tree, and what is known of its way. All of it is opened read-only; what only a
// forge can say, or a commit that is not made yet, is named as unknown. Not here: the trees of
// folders (change-tree), the judgement (reconciler/planned).

import { createPullReader } from '../reconciler/edge/git/pulls.ts';
import type { PullCommits, PullReader } from '../reconciler/edge/git/pulls.ts';
import type { GitSource } from '../reconciler/edge/git/source.ts';
import { createGitSource } from '../reconciler/edge/git/source.ts';
import type { Arrival } from '../reconciler/planned.ts';
import { changedTree } from '../reconciler/preview.ts';
import { byAddress } from '../reconciler/screen.ts';
import type { Snapshot } from '../schema/snapshot.ts';
import type { Asks, SourceTree } from '../schema/source.ts';
import { git } from './up/repository.ts';
import { person } from './write.ts';

export interface Around {
  readonly source: GitSource;
  readonly reader: PullReader;
  readonly top: string;
  readonly close: () => void;
}

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** The repository that a folder lies in, opened to be read; null where there is none. */
export const openAround = async ({ tree }: Snapshot, folder: string): Promise<Around | null> => {
  const top =
    (await git(folder, 'rev-parse', '--show-toplevel').catch(() => null)) ??
    (await git(folder, 'rev-parse', '--absolute-git-dir').catch(() => null));
  if (top === null) return null;
  const options = {
    repository: top,
    branch: tree.branch,
    directory: tree.directory,
    cluster: 'preview',
    log: silent,
    cacheDir: '/nonexistent', // a local repository has no mirror
  };
  const source = createGitSource({ ...options, readOnly: true });
  const reader = createPullReader(options);
  const close = (): void => {
    source.close();
    reader.close();
  };
  return { source, reader, top, close };
};

export const commitOf = (top: string, revision: string): Promise<string | null> =>
  git(top, 'rev-parse', '--verify', '--quiet', `${revision}^{commit}`).catch(() => null);

/** Nothing but its files is known of it, or needs to be. */
export const asItStands = (head: string, ...unknown: readonly string[]): Arrival => ({
  head,
  isCommitted: true,
  merge: { kind: 'merged' },
  refusals: [],
  authors: [],
  unknown,
});

export interface Arriving {
  readonly tree: SourceTree;
  readonly arrival: Arrival;
  /** Of a merge that exists in memory only; absent: the repository's own. */
  readonly complete?: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
}

/** As a pull request would bring it: merged, but for a commit that the branch has left behind. */
export const arrivalOf = async (
  snapshot: Snapshot,
  { reader, top }: Around,
  found: Pick<SourceTree, 'head' | 'files'>,
): Promise<Arriving> => {
  const { tree } = snapshot;
  const [base, head] = [tree.head.oid, found.head.oid];
  const plain = changedTree(tree, found.head, found.files);
  const relation = await relationOf(top, base, head);
  if (relation === 'unknown')
    return { tree: plain, arrival: asItStands(head, notFetched(top, base)) };
  if (relation === 'older') return { tree: plain, arrival: asItStands(head) };
  const merge = await told(() => reader.merge({ base, head }));
  if (typeof merge === 'string') return { tree: plain, arrival: asItStands(head, merge) };
  const arrival = { ...asItStands(head), ...broughtBy(merge) };
  switch (merge.kind) {
    case 'merged': {
      const { complete } = reader;
      return { tree: changedTree(tree, merge.head, merge.files), complete, arrival };
    }
    case 'untouched':
      return {
        tree: changedTree(tree, found.head, tree.files),
        arrival: { ...arrival, merge: { kind: 'untouched' } },
      };
    case 'conflict':
      return { tree, arrival: { ...arrival, merge: { kind: 'conflict', files: merge.files } } };
    case 'unrelated':
      return { tree: plain, arrival: { ...arrival, unknown: [UNRELATED] } };
    default:
      return merge satisfies never;
  }
};

const UNRELATED =
  'how it would be merged: it has no commit in common with the branch, so it is shown as it stands';

const notFetched = (top: string, base: string): string =>
  `how it would be merged, and whether its commits are signed as the policy asks: ${top} lacks ` +
  `${base.slice(0, 12)}, which the cluster follows: run \`git fetch\``;

const broughtBy = ({ refusals, commits }: PullCommits): Pick<Arrival, 'refusals' | 'authors'> => ({
  refusals,
  authors: commits.flatMap(({ author, oid, signedBy, ...rest }) => {
    const info = { ...rest, oid, author, signedBy };
    return byAddress.behind(info, [])?.authors ?? [];
  }),
});

/** `older`: the branch has it and went on; `unknown`: what the branch has is not here. */
const relationOf = async (top: string, base: string, head: string) => {
  const isThere = await commitOf(top, base);
  if (isThere === null) return 'unknown';
  const isIn = (one: string, other: string): Promise<boolean> =>
    git(top, 'merge-base', '--is-ancestor', one, other).then(
      () => true,
      () => false,
    );
  if (await isIn(head, base)) return 'older';
  return (await isIn(base, head)) ? 'newer' : 'beside';
};

/** A text: why not. */
const told = async <T>(read: () => Promise<T>): Promise<T | string> => {
  try {
    return await read();
  } catch (error) {
    return `how it would be merged, and its commits: ${error instanceof Error ? error.message : String(error)}`;
  }
};

interface Edits {
  /** The commit that is checked out; '' where there is none. */
  readonly below: string;
  readonly isEdited: boolean;
  /** Of the commit that they would be. */
  readonly head: string;
}

/** A folder is shown as it stands: it cannot be merged before it is committed. */
export const editsArrival = async (
  { tree }: Snapshot,
  around: Around | null,
  { below, isEdited, head }: Edits,
): Promise<Arrival> => {
  const base = tree.head.oid;
  const isCommitted = !isEdited && below !== '';
  const plain = { ...asItStands(isCommitted ? below : head), isCommitted };
  if (below === base && !isEdited) return plain;
  if (around === null || below === '') return plain;
  const relation = await relationOf(around.top, base, below);
  if (relation === 'unknown') return { ...plain, unknown: [notFetched(around.top, base)] };
  const beside = relation === 'beside' || (relation === 'older' && below !== base) ? [BEHIND] : [];
  const brought = await told(() => around.reader.commits({ base, head: below }));
  if (typeof brought === 'string') return { ...plain, unknown: [brought] };
  const { refusals, authors } = broughtBy(brought);
  const me = isEdited ? [await person(around.top)] : [];
  const mine = me.map(({ email }) => ({ name: email, as: [email.toLowerCase()] }));
  return { ...plain, authors: [...authors, ...mine], refusals, unknown: beside };
};

const BEHIND =
  'how it would be merged: the branch has commits that are not checked out here, so their changes ' +
  'are shown as taken back. Commit, and name the branch';
