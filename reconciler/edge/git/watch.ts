// Watches the refs of a local repository: a commit is noticed within milliseconds. In: the
// repository. Out: wake-ups without data (invariant 4). Watches may lose events, so a slow timer
// wakes too. Not here: polling a remote (base-mirror).

import fs from 'node:fs';
import path from 'node:path';
import { watch } from 'chokidar';
import type { LogPort } from '../../ports.ts';
import type { RefNames, Tips } from './base.ts';
import { sameTips } from './base.ts';
import { messageOf } from './failure.ts';
import type { Repository } from './refs.ts';
import { checkedOut, readRef } from './refs.ts';

export interface WatchOptions {
  readonly repository: Repository;
  readonly refs: RefNames;
  readonly lookAgainMs: number;
  readonly log: LogPort;
  /** What the refs stand at now; null: something else changed, or it is time to look. */
  readonly wake: (tips: Tips | null) => void;
}

/**
 * Folders are watched, not files: git replaces a ref by renaming a lock file over it. `atomic`
 * would hold events back for 100 ms. A folder that does not exist yet (`refs/purser`) is covered by
 * its nearest parent that does.
 */
export const watchRefs = (options: WatchOptions): (() => Promise<void>) => {
  const { repository, refs } = options;
  const standing = () => ({
    branch: readRef(repository, refs.branch),
    ledger: readRef(repository, refs.ledger),
    checkedOut: checkedOut(repository),
  });
  let known = standing();
  const look = () => {
    const before = known;
    known = standing();
    if (before.checkedOut !== known.checkedOut) options.wake(null);
    else if (!sameTips(before, known)) options.wake(known);
  };
  const watcher = watch(foldersOf(repository, refs), {
    depth: 0,
    atomic: false,
    ignoreInitial: true,
    ignored: (file) => NOISE.has(path.basename(file)),
  });
  watcher.on('all', look);
  watcher.on('ready', look);
  watcher.on('error', (error) =>
    options.log.warn({ error: messageOf(error) }, 'watching the refs failed; looking by timer'),
  );
  const lookAt = (part: keyof RefNames) => {
    const before = known;
    known = { ...known, [part]: readRef(repository, refs[part]) };
    if (!sameTips(before, known)) options.wake(known);
  };
  const quick = quickly(repository, refs, lookAt);
  const timer = setInterval(() => options.wake(null), options.lookAgainMs);
  return async () => {
    clearInterval(timer);
    quick();
    await watcher.close();
  };
};

/**
 * The kernel's own word that one of these refs changed: it comes at once, where the watcher above
 * lists the folder first. A lock file beside a ref is no news. What this one misses, that one sees.
 */
const quickly = (
  { commonDir }: Repository,
  refs: RefNames,
  lookAt: (part: keyof RefNames) => void,
): (() => void) => {
  const parts = ['branch', 'ledger'] as const;
  const watchers = parts.flatMap((part) => {
    const file = path.join(commonDir, refs[part]);
    const home = nearest(path.dirname(file));
    const [name] = path.relative(home, file).split(path.sep);
    try {
      const one = fs.watch(home, (_event, changed) => {
        if (changed === null || changed === name) lookAt(part);
      });
      one.on('error', () => one.close());
      return [one];
    } catch {
      return [];
    }
  });
  return () => {
    for (const one of watchers) one.close();
  };
};

/** Busy places in a repository that say nothing about refs. */
const NOISE: ReadonlySet<string> = new Set(['objects', 'hooks', 'info', 'index', 'index.lock']);

const foldersOf = (repository: Repository, refs: RefNames): string[] => [
  ...new Set([repository.gitDir, repository.commonDir, ...refHomes(repository, refs)]),
];

/** Where the files of these refs lie. */
const refHomes = ({ commonDir }: Repository, { branch, ledger }: RefNames): readonly string[] => [
  ...new Set([branch, ledger].map((ref) => nearest(path.dirname(path.join(commonDir, ref))))),
];

const nearest = (folder: string): string =>
  fs.existsSync(folder) ? folder : nearest(path.dirname(folder));
