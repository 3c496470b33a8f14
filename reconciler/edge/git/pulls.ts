// Pull requests as the cluster would read them: the tree of the base, and that of the merge, which
// is made in memory. In: where the main thread's repository or mirror lies, and how to fetch. Out:
// trees that compile can work on, histories included. It reads beside the source of the main
// thread and writes nothing but what a fetch brings. Not here: what follows from the trees.

import { JUDGED_COMMITS } from '../../../schema/acceptance.ts';
import type { RefusedInPull } from '../../../schema/pull-plan.ts';
import type { CommitInfo, Files, FilesDifference, SourceTree } from '../../../schema/source.ts';
import { createAcceptance, type Acceptance } from './acceptance.ts';
import type { Base } from './base.ts';
import { broken, LostObject, retry } from './failure.ts';
import type { KnownTexts } from './folders.ts';
import { normalDirectory } from './format.ts';
import type { Layered } from './layer.ts';
import { layerOver } from './layer.ts';
import { COMMIT_BYTES } from './limits.ts';
import type { Line } from './line.ts';
import type { Merge, MergeAsk, MergeStore } from './merge.ts';
import { mergeInMemory } from './merge.ts';
import { broughtIn } from './merge-base.ts';
import { mergeByGit } from './merge-by-git.ts';
import type { GitSourceOptions } from './options.ts';
import { mirrorFolder, refNames } from './options.ts';
import type { PullFetch } from './pull-fetch.ts';
import { fetchCommit } from './pull-fetch.ts';
import { openRepository, readRef } from './refs.ts';
import { placeOf } from './remote.ts';
import type { GitSource } from './source.ts';
import { createGitSource } from './source.ts';
import { createStarter } from './starter.ts';
import type { Store } from './store.ts';
import { createStore, hasGit } from './store.ts';

export type PullTrees = (
  | {
      readonly kind: 'merged';
      readonly base: SourceTree;
      /** The merge, in memory only; its first parent is the base. */
      readonly head: CommitInfo;
      readonly files: Files;
      readonly differences: readonly FilesDifference[];
    }
  | Exclude<Merge, { kind: 'merged' }>
) & {
  /** Commits of it that would not be accepted, oldest first; absent: none. */
  readonly refusals?: readonly RefusedInPull[];
};

/** How a commit goes onto the branch, and what it brings there beside files. */
export type PullMerge = (
  | { readonly kind: 'merged'; readonly head: CommitInfo; readonly files: Files }
  | Exclude<Merge, { kind: 'merged' }>
) &
  PullCommits;

export interface PullCommits {
  /** Those that would not be accepted, oldest first. */
  readonly refusals: readonly RefusedInPull[];
  /** Each with whose verified signature it bears, newest first; at most JUDGED_COMMITS. */
  readonly commits: readonly (CommitInfo & { readonly signedBy: readonly string[] })[];
}

interface PullRange {
  readonly base: string;
  readonly head: string;
}

export interface PullReader {
  /**
   * Resolves once the commit is on its way; false: it need not come, or cannot. `read` waits for its
   * end. Throws GitFailure.
   */
  readonly bring: (oid: string) => Promise<boolean>;
  /** The branch as if it stood at this commit. Throws GitFailure. */
  readonly base: (commit: string) => Promise<SourceTree>;
  /** Throws GitFailure. */
  readonly read: (ask: PullRange) => Promise<PullTrees>;
  /** The same without the base and its past, for who knows them. Throws GitFailure. */
  readonly merge: (ask: PullRange) => Promise<PullMerge>;
  /** Of a line that is not merged, such as one with edits on top. Throws GitFailure. */
  readonly commits: (ask: PullRange) => Promise<PullCommits>;
  readonly complete: GitSource['complete'];
  /** Also of a commit that is on no line any more; null where it is not there. */
  readonly at: GitSource['at'];
  /** Part of the branch's line as the main thread walked it: it need not be walked again. */
  readonly adopt: Line['adopt'];
  readonly close: () => void;
}

export type PullReaderOptions = Pick<
  GitSourceOptions,
  'repository' | 'branch' | 'directory' | 'cluster' | 'cacheDir' | 'ledger' | 'log'
> &
  Partial<Pick<PullFetch, 'auth' | 'sshCommand' | 'maxBytes' | 'timeoutMs'>> & {
    /** Texts that need no reading. */
    readonly known?: KnownTexts;
  };

export const createPullReader = (options: PullReaderOptions): PullReader => {
  const place = placeOf(options.repository);
  const isLocal = place.kind === 'path';
  const folder = isLocal ? place.path : mirrorFolder(options, place);
  const opened = createOpened(options, folder);
  const { bring, need, close } = createArrivals(options, { folder, place, store: opened.store });
  const baseAt = async (commit: string): Promise<SourceTree> => {
    await need(commit);
    return { ...(await opened.at(commit)), local: isLocal };
  };
  const mergeNow = async (ask: PullRange): Promise<Merge> => {
    await need(ask.base);
    await need(ask.head);
    const directory = normalDirectory(options.directory);
    const { store, merging } = opened;
    return mergeOf(merging(), store().repository.commonDir, { ...ask, directory });
  };
  const commits = (ask: PullRange) => commitsIn(opened, ask);
  const read = async (ask: PullRange) => {
    const merge = await mergeNow(ask);
    const { store } = opened;
    const refusals = await opened.acceptance().refusals(ask.base, ask.head);
    const judged = refusals.length === 0 ? {} : { refusals };
    if (merge.kind !== 'merged') return { ...merge, ...judged };
    const base = await baseAt(ask.base);
    const { files, folders } = store();
    const head = await folders.commit(merge.commit);
    const merged = await files.read(head.tree);
    const differences = [base.files, ...(base.lastSynced === null ? [] : [base.lastSynced.files])];
    return {
      kind: 'merged',
      base,
      head,
      files: merged,
      ...judged,
      differences: differences.flatMap((from) => {
        const paths = files.differing(from, merged);
        return paths === null ? [] : [{ from, to: merged, paths }];
      }),
    } as const;
  };
  const merge = async (ask: PullRange): Promise<PullMerge> => {
    const made = await mergeNow(ask);
    const brought = await commits(ask);
    if (made.kind !== 'merged') return { ...made, ...brought };
    const { files, folders } = opened.store();
    const head = await folders.commit(made.commit);
    return { kind: 'merged', head, files: await files.read(head.tree), ...brought };
  };
  return {
    bring,
    base: (commit) => onceMore(opened, () => baseAt(commit)),
    read: (ask) => onceMore(opened, () => read(ask)),
    merge: (ask) => onceMore(opened, () => merge(ask)),
    commits,
    complete: (tree, asks) => opened.source().complete(tree, asks),
    at: (commit) => opened.source().at(commit),
    adopt: (steps) => opened.store().line.adopt(steps),
    close: () => {
      opened.close();
      close();
    },
  };
};

type Opened = ReturnType<typeof createOpened>;

/** The mirror is cloned anew now and then: what was opened is opened again, once. */
const onceMore = async <T>(opened: Opened, act: () => Promise<T>): Promise<T> => {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof LostObject)) throw error;
    opened.close();
    return act();
  }
};

interface Arriving {
  readonly folder: string;
  readonly place: ReturnType<typeof placeOf>;
  readonly store: () => Store;
}

/** Commits that are here, and those that come. */
const createArrivals = (options: PullReaderOptions, { folder, place, store }: Arriving) => {
  const fetching: PullFetch | null =
    place.kind === 'path'
      ? null
      : {
          gitDir: folder,
          place,
          auth: () => Promise.resolve(place.kind === 'http' ? place.auth : { kind: 'none' }),
          sshCommand: null,
          starter: hasGit() ? createStarter() : null,
          ...options,
        };
  /** What is on its way, until somebody has waited for its end. */
  const coming = new Map<string, Promise<void>>();
  const isHere = async (oid: string): Promise<boolean> =>
    (await store().objects.read(oid, COMMIT_BYTES)) !== null;
  const bring = async (oid: string): Promise<boolean> => {
    if (coming.has(oid)) return true;
    if (fetching === null || (await isHere(oid))) return false;
    const { end } = await fetchCommit(fetching, oid);
    // Who waits for it meets its failure; until then nobody does.
    end.catch(() => undefined);
    coming.set(oid, end);
    return true;
  };
  const need = async (oid: string): Promise<void> => {
    await bring(oid);
    const end = coming.get(oid);
    coming.delete(oid);
    await end;
    if (await isHere(oid)) return;
    if (fetching === null) throw retry(`${options.repository} has no commit ${oid}`);
    throw retry(`${options.repository} did not hand out commit ${oid}: it will be tried again`);
  };
  return { bring, need, close: () => fetching?.starter?.close() };
};

const commitsIn = async (opened: Opened, { base, head }: PullRange): Promise<PullCommits> => {
  const acceptance = opened.acceptance();
  const { folders } = opened.store();
  const refusals = await acceptance.refusals(base, head);
  const brought = (await broughtIn(folders, [base, head])).slice(0, JUDGED_COMMITS);
  const each = brought.map(async (oid) => ({
    ...(await folders.commit(oid)),
    signedBy: await acceptance.signedBy(oid),
  }));
  return { refusals, commits: await Promise.all(each) };
};

/** In memory where that is certain; without a fit git, what is uncertain counts as a conflict. */
const mergeOf = async (store: MergeStore, commonDir: string, ask: MergeAsk): Promise<Merge> => {
  const inMemory = await mergeInMemory(store, ask);
  if (inMemory !== null && inMemory.kind !== 'conflict') return inMemory;
  const merge = (await mergeByGit(store, commonDir, ask)) ?? inMemory;
  if (merge !== null) return merge;
  throw broken(
    'it and the branch were merged into each other, and only git can merge these: install git ' +
      '2.38 or later where Purser runs, or rebase the pull request',
  );
};

/** The repository with merges in memory over it, and a source that reads it at any base. */
const createOpened = (options: PullReaderOptions, folder: string) => {
  const directory = normalDirectory(options.directory);
  const { known = () => undefined } = options;
  const refs = refNames(options);
  let layered: Layered | null = null;
  let reading: GitSource | null = null;
  let judging: Acceptance | null = null;
  /** The commit that counts as the branch's tip. */
  let tip = '';
  const below = () => createStore(openRepository(folder), { directory, known });
  const layer = (): Layered => (layered ??= layerOver(below(), { directory, known }));
  const store = (): Store => layer().store;
  const tips = async () => ({ branch: tip, ledger: readRef(store().repository, refs.ledger) });
  const base: Base = {
    // A base that is not the newest is no rewritten branch; the main thread guards that.
    local: true,
    name: options.repository,
    refs,
    tips,
    refresh: tips,
    follow: async (ref) => readRef(store().repository, ref),
    store,
    attempt: (act) => act(),
    publish: () => Promise.resolve(false),
    watch: () => () => Promise.resolve(),
    close: () => {
      layered?.store.objects.close();
      layered = null;
    },
  };
  const { repository, branch, cluster, cacheDir } = options;
  const log = { ...options.log, warn: () => undefined };
  const read = { readOnly: true, judges: false };
  const named = { repository, branch, directory, cluster, cacheDir, log, ...read };
  const source = (): GitSource => (reading ??= createGitSource(named, base));
  return {
    store,
    acceptance: (): Acceptance =>
      (judging ??= createAcceptance({ base, directory, trusted: null, log })),
    merging: (): MergeStore => layer().merging,
    source,
    at: (commit: string): Promise<SourceTree> => {
      tip = commit;
      return source().read();
    },
    close: (): void => {
      base.close();
      reading = null;
    },
  };
};
