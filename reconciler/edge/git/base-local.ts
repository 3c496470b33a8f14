// A repository on this machine, with or without a work tree: refs are files, read in each cycle and
// watched.
// In: a path. Out: Base.
// Not here: commits that must move a work tree along (work-tree).

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { shellWord } from '../../../schema/paths.ts';
import type { LogPort } from '../../ports.ts';
import type { Base, FollowedRefs, Tips } from './base.ts';
import { broken, messageOf } from './failure.ts';
import type { Repository } from './refs.ts';
import { moveRef, openRepository, readRef } from './refs.ts';
import type { Store, StoreOptions } from './store.ts';
import { createStore } from './store.ts';
import { watchRefs } from './watch.ts';

export interface LocalOptions extends StoreOptions {
  readonly path: string;
  readonly refs: FollowedRefs;
  readonly lookAgainMs: number;
  readonly log: LogPort;
}

export const createLocalBase = (options: LocalOptions): Base => {
  let opened: Store | null = null;
  /**
   * Opened when first needed, and again after a failure: a repository may be made while we wait for
   * it.
   */
  const store = (): Store => {
    opened ??= createStore(wholeRepository(options.path), options);
    return opened;
  };
  const tips = async (): Promise<Tips> => {
    const { repository } = store();
    return {
      branch: readRef(repository, options.refs.branch),
      ledger: readRef(repository, options.refs.ledger),
    };
  };
  return {
    local: true,
    name: options.path,
    refs: options.refs,
    tips,
    refresh: tips,
    follow: async (ref) => readRef(store().repository, ref),
    store,
    attempt: (read) => read(),
    publish: (move) => moveRef(store().repository, move),
    watch: (wake) => {
      try {
        return watchRefs({ ...options, repository: store().repository, wake });
      } catch (error) {
        options.log.warn({ error: messageOf(error) }, 'the repository cannot be watched yet');
        const timer = setInterval(() => wake(null), options.lookAgainMs);
        return async () => clearInterval(timer);
      }
    },
    close: () => opened?.objects.close(),
  };
};

/** What settled before stands in the history: without it nothing could be gone back to. */
const wholeRepository = (path: string): Repository => {
  const repository = openRepository(path);
  if (!existsSync(join(repository.commonDir, 'shallow'))) return repository;
  throw broken(
    `${path} is a shallow clone, and Purser reads the history of the files. Fetch the rest: ` +
      `git -C ${shellWord(path)} fetch --unshallow`,
  );
};
