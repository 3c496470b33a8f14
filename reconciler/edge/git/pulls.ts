// Pull requests as the cluster would read them: the tree of the base, and that of the merge, which
// is made in memory. In: where the main thread's repository or mirror lies, and how to fetch. Out:
// trees that compile can work on, histories included. It reads beside the source of the main
// thread and writes nothing but what a fetch brings. Not here: what follows from the trees.

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

export interface PullReader {
  /**
   * Resolves once the commit is on its way; false: it need not come, or cannot. `read` waits for its
   * end. Throws GitFailure.
   */
  readonly bring: (oid: string) => Promise<boolean>;
  /** The branch as if it stood at this commit. Throws GitFailure. */
  readonly base: (commit: string) => Promise<SourceTree>;
  /** Throws GitFailure. */
  readonly read: (ask: { readonly base: string; readonly head: string }) => Promise<PullTrees>;
  readonly complete: GitSource['complete'];
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
  const fetching: PullFetch | null = isLocal
    ? null
    : {
        gitDir: folder,
        place,
        auth: () => Promise.resolve(place.kind === 'http' ? place.auth : { kind: 'none' }),
        sshCommand: null,
        starter: hasGit() ? createStarter() : null,
        ...options,
      };
  const { bring, need } = createArrivals(options.repository, { fetching, opened });
  const baseAt = async (commit: string): Promise<SourceTree> => {
    await need(commit);
    return { ...(await opened.at(commit)), local: isLocal };
  };
  const read = async (ask: { readonly base: string; readonly head: string }) => {
    await need(ask.base);
    await need(ask.head);
    const directory = normalDirectory(options.directory);
    const { store, merging } = opened;
    const merge = await mergeOf(merging(), store().repository.commonDir, { ...ask, directory });
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
  /** The mirror is cloned anew now and then: what was opened is opened again, once. */
  const again = async <Value>(act: () => Promise<Value>): Promise<Value> => {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof LostObject)) throw error;
      opened.close();
      return act();
    }
  };
  return {
    bring,
    base: (commit) => again(() => baseAt(commit)),
    read: (ask) => again(() => read(ask)),
    complete: (tree, asks) => opened.source().complete(tree, asks),
    adopt: (steps) => opened.store().line.adopt(steps),
    close: () => {
      opened.close();
      fetching?.starter?.close();
    },
  };
};

interface Arriving {
  /** null: nothing can be fetched, since nothing is remote. */
  readonly fetching: PullFetch | null;
  readonly opened: { readonly store: () => Store };
}

/** Commits that are there, and those that come. */
const createArrivals = (name: string, { fetching, opened }: Arriving) => {
  /** What is on its way, until somebody has waited for its end. */
  const coming = new Map<string, Promise<void>>();
  const isThere = async (oid: string): Promise<boolean> =>
    (await opened.store().objects.read(oid, COMMIT_BYTES)) !== null;
  const bring = async (oid: string): Promise<boolean> => {
    if (coming.has(oid)) return true;
    if (fetching === null || (await isThere(oid))) return false;
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
    if (await isThere(oid)) return;
    if (fetching === null) throw retry(`${name} has no commit ${oid}`);
    throw retry(`${name} did not hand out commit ${oid}: it will be tried again`);
  };
  return { bring, need };
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
