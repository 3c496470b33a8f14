// A machine commit in a work tree that was cut off: the reconciler was killed while it moved files,
// branch and index (work-tree). In: a repository. Out: the same repository, with that commit either
// done or undone, and nothing else of the person's touched. A note in the git folder, written
// before the first file moves, says what was under way. Not here: the move itself.

import fs from 'node:fs';
import path from 'node:path';
import { runGit } from './command.ts';
import { retry } from './failure.ts';
import { releaseLock, scratchPath, sweepLocks, sweepScratch, tryLock } from './lock.ts';
import { own } from './objects.ts';
import type { Repository } from './refs.ts';
import { readRef, readText } from './refs.ts';

export interface Move {
  readonly ref: string;
  readonly from: string;
  readonly to: string;
}

const noteOf = ({ gitDir }: Repository): string => path.join(gitDir, 'purser-commit');

/** Written before the first file moves. */
export const noteMove = (repository: Repository, { ref, from, to }: Move): void =>
  fs.writeFileSync(noteOf(repository), `${ref} ${from} ${to}\n`, { flush: true });

export const forgetMove = (repository: Repository): void =>
  fs.rmSync(noteOf(repository), { force: true });

/**
 * Finishes or undoes what is noted, and removes files that were half written and locks that nobody
 * holds any more, which would stop the next command of a person. False: a person is at work, so it
 * is to be tried again. Throws GitFailure (`retry`).
 */
export const finishMove = async (repository: Repository): Promise<boolean> => {
  for (const folder of new Set([repository.gitDir, repository.commonDir])) sweepScratch(folder);
  sweepLocks(path.join(repository.commonDir, 'refs'), 'below');
  const isFinished = await finishNoted(repository);
  sweepLocks(repository.gitDir, 'here');
  return isFinished;
};

const finishNoted = async (repository: Repository): Promise<boolean> => {
  const [ref, from, to] = readText(noteOf(repository))?.trim().split(' ') ?? [];
  if (ref === undefined || from === undefined || to === undefined) return true;
  const lock = path.join(repository.gitDir, 'index.lock');
  if (tryLock(lock, repository.commonDir) === 'held') return false;
  try {
    const now = readRef(repository, ref);
    if (now === to) await finishIndex(repository, { from, to });
    if (now === from) await undoFiles(repository, { from, to });
    forgetMove(repository);
    return true;
  } finally {
    releaseLock(lock);
  }
};

type Ends = Pick<Move, 'from' | 'to'>;

/** The branch moved, and so did the files: the index follows, in what the commit changed. */
const finishIndex = async (repository: Repository, { from, to }: Ends): Promise<void> => {
  const index = path.join(repository.gitDir, 'index');
  const copy = scratchPath(repository.gitDir, 'index');
  try {
    fs.copyFileSync(index, copy);
    own(copy, repository.owner);
    const env = { GIT_INDEX_FILE: copy };
    await git(repository, ['read-tree', '-i', '-m', from, to], env);
    await git(repository, ['update-index', '-q', '--refresh'], env);
    fs.renameSync(copy, index);
  } finally {
    for (const file of [copy, `${copy}.lock`]) fs.rmSync(file, { force: true });
  }
};

/** The branch did not move: files that hold what the commit would have brought go back. */
const undoFiles = async (repository: Repository, { from, to }: Ends): Promise<void> => {
  const changed = await git(repository, ['diff-tree', '-r', '-z', '--no-renames', from, to]);
  const words = changed.toString('utf8').split('\0');
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [, , before = '', after = ''] = words[at]?.split(' ') ?? [];
    const name = words[at + 1] ?? '';
    const file = path.join(repository.workTree ?? repository.path, name);
    const isThere = fs.existsSync(file);
    const stands = isThere ? await hashOf(repository, file) : NOTHING;
    if (stands !== after) continue;
    if (before === NOTHING) fs.rmSync(file, { force: true });
    else await git(repository, ['checkout-index', '--force', '--', name]);
  }
};

/** How git writes that there is no file. */
const NOTHING = '0'.repeat(40);

const hashOf = async (repository: Repository, file: string): Promise<string> =>
  (await git(repository, ['hash-object', '--no-filters', file])).toString('utf8').trim();

/** `checkout-index` does not take index.lock, so it works while we hold it. */
const git = async (
  repository: Repository,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Buffer> => {
  const workTree = repository.workTree ?? repository.path;
  const place = ['-C', workTree, `--git-dir=${repository.gitDir}`, `--work-tree=${workTree}`];
  const result = await runGit({ args: [...place, ...args], env, owner: repository.owner });
  if (result.code === 0) return result.stdout;
  throw retry(
    `${repository.path}: a machine commit that was cut off cannot be finished: ` +
      `git ${args[0]}: ${result.stderr}`,
  );
};
