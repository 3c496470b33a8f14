// A bare mirror of a remote in the cache folder: it may vanish at any time, and is cloned anew. In:
// the remote and a folder. Out: Base: tips are the remote's, objects are the mirror's. Nothing is
// kept here that the remote does not have. Not here: speaking to the remote (remote-http,
// remote-ssh).

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogPort } from '../../ports.ts';
import type { Base, FollowedRefs, Tips } from './base.ts';
import { broken, LostObject, messageOf, retry } from './failure.ts';
import { gitLibrary } from './library.ts';
import { COMMIT_BYTES, MIRROR_PACKS } from './limits.ts';
import type { RefMove, Repository } from './refs.ts';
import { dropRef, moveRef, openRepository, readRef } from './refs.ts';
import type { Remote } from './remote.ts';
import { MIRRORED } from './remote.ts';
import type { Store, StoreOptions } from './store.ts';
import { createStore } from './store.ts';

export interface MirrorOptions extends StoreOptions {
  readonly gitDir: string;
  readonly remote: Remote;
  readonly refs: FollowedRefs;
  readonly pollMs: number;
  readonly log: LogPort;
}

/** Somebody polls, and what was read before is there: so long a read waits for news. */
const SILENCE_MS = 2000;

interface State {
  store: Store | null;
  /** One at a time: everyone who asks meanwhile gets the same answer. */
  syncing: Promise<Tips> | null;
  /** When it began (monotonic). */
  since: number;
  /**
   * How the last sync ended, and when (monotonic); kept so that cycles between two polls ask
   * nobody.
   */
  last: { readonly at: number; readonly failure: Error | null } | null;
  watchers: number;
  /** How often each ref was pushed by us: what the remote said before that is old. */
  readonly pushed: Map<string, number>;
}

export const createMirrorBase = (options: MirrorOptions): Base => {
  const pushed = new Map<string, number>();
  const state: State = { store: null, syncing: null, since: 0, last: null, watchers: 0, pushed };
  const store = (): Store => {
    if (state.store === null) throw retry(`${options.remote.name} has not been read yet`);
    return state.store;
  };
  const refresh = (): Promise<Tips> => {
    if (state.syncing === null) {
      state.since = performance.now();
      state.syncing = sync(options, state).finally(() => {
        state.syncing = null;
      });
    }
    return state.syncing;
  };
  /** A remote that is silent does not hold up whoever has something to go on with. */
  const inTime = async (known: Error | null): Promise<Tips> => {
    const now = refresh();
    const restMs = Math.max(0, state.since + SILENCE_MS - performance.now());
    const silent = known ?? retry(`${options.remote.name} is silent. It will be tried again`);
    const late = pause(restMs, undefined, { ref: false }).then(() => {
      throw silent;
    });
    return Promise.race([now, late]);
  };
  const tips = async (): Promise<Tips> => {
    const { last, store: open } = state;
    const fresh =
      state.watchers > 0 && last !== null && performance.now() - last.at < 2 * options.pollMs;
    if (!fresh) return state.watchers > 0 && last !== null ? inTime(last.failure) : refresh();
    if (last.failure !== null) throw last.failure;
    return open === null || !isWhole(options.gitDir) ? refresh() : tipsOf(open.repository, options);
  };
  return {
    local: false,
    name: options.remote.name,
    refs: options.refs,
    tips,
    refresh,
    follow: async (ref) => {
      if (state.store === null) await refresh();
      return follow(options, store(), ref);
    },
    store,
    attempt: async (read) => {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof LostObject)) throw error;
        options.log.warn({ mirror: options.gitDir }, 'the mirror lost objects and is cloned anew');
        drop(options, state);
        await refresh();
        return read();
      }
    },
    publish: (move) => publish({ options, state, repository: store().repository }, move),
    watch: (wake) => poll({ options, state, refresh, wake: () => wake(null) }),
    close: () => state.store?.objects.close(),
  };
};

const tipsOf = (repository: Repository, { refs }: MirrorOptions): Tips => ({
  branch: readRef(repository, refs.branch),
  ledger: readRef(repository, refs.ledger),
});

const sync = async (options: MirrorOptions, state: State): Promise<Tips> => {
  try {
    const { repository, objects } = await open(options, state);
    const { refs } = options;
    const before = new Map(state.pushed);
    const theirs = await options.remote.refs([refs.branch, refs.ledger]);
    // What we pushed meanwhile is newer than what the remote said: it is not set back.
    const isOld = (ref: string): boolean => state.pushed.get(ref) !== before.get(ref);
    for (const ref of [refs.branch, refs.ledger]) {
      if (isOld(ref)) continue;
      await bring(options, { repository, objects }, { ref, to: theirs.get(ref), isOld });
    }
    state.last = { at: performance.now(), failure: null };
    return tipsOf(repository, options);
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    state.last = { at: performance.now(), failure };
    throw failure;
  }
};

/** Where a ref is, by the remote's word. */
interface Told {
  readonly ref: string;
  readonly to: string | undefined;
  readonly isOld?: (ref: string) => boolean;
}

/** The mirror's ref to where the remote's is, with its objects. */
const bring = async (
  { remote }: MirrorOptions,
  { repository, objects }: Pick<Store, 'repository' | 'objects'>,
  { ref, to, isOld }: Told,
): Promise<void> => {
  if (to === undefined) dropRef(repository, ref);
  else if (readRef(repository, ref) !== to) {
    if ((await objects.read(to, COMMIT_BYTES)) === null) await remote.fetch(ref);
    if ((await objects.read(to, COMMIT_BYTES)) === null) {
      throw retry(`${remote.name} moved ${ref} while it was fetched`);
    }
    if (isOld?.(ref) === true) return;
    await moveRef(repository, { ref, to, from: undefined, ...SILENT });
  }
};

const follow = async (
  options: MirrorOptions,
  store: Store,
  ref: string,
): Promise<string | null> => {
  const to = (await options.remote.refs([ref])).get(ref);
  await bring(options, store, { ref, to });
  return to ?? null;
};

/** A mirror keeps no reflog. */
const SILENT = { note: '', by: { name: '', email: '' }, epochSeconds: 0 } as const;

/**
 * isomorphic-git insists on a rule for tracking refs; this one matches none, so no ref but ours is
 * ever written.
 */
const NO_TRACKING = `[remote "${MIRRORED}"]\n\tfetch = +refs/none/*:refs/none/*\n`;

const isWhole = (gitDir: string): boolean =>
  fs.existsSync(path.join(gitDir, 'HEAD')) && fs.existsSync(path.join(gitDir, 'objects'));

/** The mirror, made when it is not there, and made anew when packs have piled up. */
const open = async (options: MirrorOptions, state: State): Promise<Store> => {
  const { gitDir } = options;
  if (state.store !== null && isWhole(gitDir) && !isCrowded(gitDir)) return state.store;
  if (state.store !== null || isCrowded(gitDir)) drop(options, state);
  try {
    if (!isWhole(gitDir)) {
      fs.rmSync(gitDir, { recursive: true, force: true });
      fs.mkdirSync(gitDir, { recursive: true, mode: 0o700 });
      const git = await gitLibrary();
      await git.init({ fs, gitdir: gitDir, bare: true, defaultBranch: 'none' });
      fs.appendFileSync(path.join(gitDir, 'config'), NO_TRACKING);
    }
    state.store = createStore(openRepository(gitDir), options);
    return state.store;
  } catch (error) {
    throw broken(`the cache ${gitDir} cannot be used: ${messageOf(error)}. Check permissions`);
  }
};

const isCrowded = (gitDir: string): boolean => {
  const packs = path.join(gitDir, 'objects/pack');
  if (!fs.existsSync(packs)) return false;
  return fs.readdirSync(packs).filter((name) => name.endsWith('.pack')).length > MIRROR_PACKS;
};

const drop = (options: MirrorOptions, state: State): void => {
  state.store?.objects.close();
  state.store = null;
  fs.rmSync(options.gitDir, { recursive: true, force: true });
};

interface Publishing {
  readonly options: MirrorOptions;
  readonly state: State;
  readonly repository: Repository;
}

/** The remote first; the mirror follows what the remote took. */
const publish = async (
  { options, state, repository }: Publishing,
  move: RefMove & { readonly from: string | null },
): Promise<boolean> => {
  const result = await options.remote.push(move);
  if (result.kind === 'conflict') return false;
  state.pushed.set(move.ref, (state.pushed.get(move.ref) ?? 0) + 1);
  await moveRef(repository, { ref: move.ref, to: move.to, from: undefined, ...SILENT });
  return true;
};

interface Polling {
  readonly options: MirrorOptions;
  readonly state: State;
  readonly refresh: () => Promise<Tips>;
  readonly wake: () => void;
}

/** Wakes when a ref moved, and when reading begins or stops to fail. */
const poll = ({ options, state, refresh, wake }: Polling): (() => Promise<void>) => {
  state.watchers += 1;
  const { store } = state;
  let known = store === null ? '' : standing(tipsOf(store.repository, options));
  const ask = async (): Promise<void> => {
    const now = await refresh().then(standing, messageOf);
    if (now !== known) wake();
    known = now;
  };
  const timer = setInterval(() => void ask(), options.pollMs);
  return async () => {
    clearInterval(timer);
    state.watchers -= 1;
    await state.syncing?.catch(() => null);
  };
};

const standing = (tips: Tips): string => `${tips.branch} ${tips.ledger}`;
