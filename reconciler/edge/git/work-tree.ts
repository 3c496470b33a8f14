// Moves a branch that is checked out: ref, index and files together, or nothing (rules 12.2). In:
// the commit to go to, already written. Out: true; false when the branch moved meanwhile; a failure
// that names the command to run where something of the user's is in the way. Not here: making the
// commit (commit).

import fs from 'node:fs';
import path from 'node:path';
import type { CommandResult } from './command.ts';
import { runGit } from './command.ts';
import { shellWord } from '../../../schema/paths.ts';
import { broken } from './failure.ts';
import { releaseLock, scratchPath, tryLock } from './lock.ts';
import { own } from './objects.ts';
import type { RefMove, Repository } from './refs.ts';
import { checkedOut, moveRef, readText } from './refs.ts';
import { forgetMove, noteMove } from './unfinished.ts';

export interface WorkTreeMove {
  readonly repository: Repository;
  readonly move: RefMove & { readonly from: string };
  /** Files that the commit touches, relative to the repository's root. */
  readonly paths: readonly string[];
}

export const moveWorkTree = async (asked: WorkTreeMove): Promise<boolean> => {
  const { repository } = asked;
  refuseOtherWork(asked);
  const lock = path.join(repository.gitDir, 'index.lock');
  takeIndexLock(repository, lock);
  const index = scratchPath(repository.gitDir, 'index');
  try {
    copyIndex(repository, index);
    const moved = await moveLocked(asked, index);
    forgetMove(repository);
    return moved;
  } catch (error) {
    forgetMove(repository); // files went back; only a killed process leaves the note
    throw error;
  } finally {
    for (const file of [index, `${index}.lock`]) fs.rmSync(file, { force: true });
    releaseLock(lock);
  }
};

/**
 * With index.lock held no other git can stage or commit. A copy of the index is worked on, and put
 * in place last.
 */
const moveLocked = async ({ repository, move, paths }: WorkTreeMove, index: string) => {
  const git = (...args: readonly string[]): Promise<CommandResult> =>
    runGit({
      args: [
        '-C',
        repository.workTree ?? repository.path,
        '--literal-pathspecs',
        `--git-dir=${repository.gitDir}`,
        `--work-tree=${repository.workTree}`,
        ...args,
      ],
      env: { GIT_INDEX_FILE: index },
      owner: repository.owner,
    });
  await git('update-index', '-q', '--refresh');
  await refuseDirty(repository, paths, git);
  noteMove(repository, move);
  const forth = await git('read-tree', '-m', '-u', move.from, move.to);
  if (forth.code !== 0) {
    throw broken(
      `${repository.path}: files cannot be updated for the machine's commit: ${forth.stderr}. ` +
        `Look with: git -C ${shellWord(repository.path)} status`,
    );
  }
  let moved = false;
  try {
    moved = await moveRef(repository, move);
  } finally {
    if (!moved) await git('read-tree', '-m', '-u', move.to, move.from);
  }
  if (moved) fs.renameSync(index, path.join(repository.gitDir, 'index'));
  return moved;
};

const copyIndex = (repository: Repository, copy: string): void => {
  const index = path.join(repository.gitDir, 'index');
  if (!fs.existsSync(index)) return;
  fs.copyFileSync(index, copy);
  own(copy, repository.owner);
};

const takeIndexLock = (repository: Repository, lock: string): void => {
  if (tryLock(lock, repository.commonDir) === 'held') {
    throw broken(
      `${repository.path}: another git command holds the index. When none is running, run: ` +
        `rm -f ${shellWord(lock)}`,
    );
  }
  own(lock, repository.owner);
};

type Git = (...args: readonly string[]) => Promise<CommandResult>;

/** Staged, changed or untracked files among those to be written. */
const refuseDirty = async (
  repository: Repository,
  paths: readonly string[],
  git: Git,
): Promise<void> => {
  const flags = ['--porcelain=v1', '-z', '--no-renames', '--untracked-files=all'];
  const status = await git('status', ...flags, '--', ...paths);
  if (status.code !== 0) {
    throw broken(`${repository.path}: git status failed: ${status.stderr}`);
  }
  const dirty = status.stdout
    .toString('utf8')
    .split('\0')
    .filter((row) => row !== '');
  if (dirty.length === 0) return;
  const files = dirty.map((row) => row.slice(3));
  const command = `git -C ${shellWord(repository.path)} stash push --include-untracked -- `;
  throw broken(
    `${repository.path}: ${files.join(', ')} ${files.length === 1 ? 'has' : 'have'} changes that ` +
      `are not committed, so the machine's commit waits. Commit them, or put them aside with: ` +
      command +
      files.map(shellWord).join(' '),
  );
};

/** What git calls the work under way, and how one gets out of it. */
const UNDER_WAY: readonly (readonly [file: string, work: string, command: string])[] = [
  ['MERGE_HEAD', 'a merge', 'merge --continue (or --abort)'],
  ['rebase-merge', 'a rebase', 'rebase --continue (or --abort)'],
  ['rebase-apply', 'a rebase', 'rebase --continue (or --abort)'],
  ['CHERRY_PICK_HEAD', 'a cherry-pick', 'cherry-pick --continue (or --abort)'],
  ['REVERT_HEAD', 'a revert', 'revert --continue (or --abort)'],
];

const refuseOtherWork = ({ repository, move }: WorkTreeMove): void => {
  const at = shellWord(repository.path);
  for (const [file, work, command] of UNDER_WAY) {
    if (!fs.existsSync(path.join(repository.gitDir, file))) continue;
    throw broken(
      `${repository.path}: ${work} is under way, so the machine's commit waits. Finish it with: ` +
        `git -C ${at} ${command}`,
    );
  }
  if (checkedOut(repository) === move.ref) return;
  const branch = short(move.ref);
  const now = checkedOut(repository);
  throw broken(
    `${repository.path}: ${now === null ? 'no branch' : `branch ${short(now)}`} is checked out, ` +
      `and Purser commits to ${branch}. Run: git -C ${at} switch ${branch}`,
  );
};

/**
 * A branch that a linked work tree has checked out is that work tree's: it must not be moved under
 * it.
 */
export const refuseLinked = (repository: Repository, ref: string): void => {
  const linked = path.join(repository.commonDir, 'worktrees');
  for (const name of fs.existsSync(linked) ? fs.readdirSync(linked) : []) {
    const folder = path.join(linked, name);
    if (folder === repository.gitDir) continue;
    if (readText(path.join(folder, 'HEAD'))?.trim() !== `ref: ${ref}`) continue;
    const place = path.dirname(readText(path.join(folder, 'gitdir'))?.trim() ?? name);
    throw broken(
      `${repository.path}: the linked work tree ${place} has ${short(ref)} checked out, so the ` +
        `machine's commit waits. Run: git -C ${shellWord(place)} switch --detach`,
    );
  }
};

const short = (ref: string): string => ref.replace(/^refs\/heads\//, '');
