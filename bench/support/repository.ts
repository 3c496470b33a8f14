// A bare repository whose branch moves when the benchmark says so: commits are made beforehand, and
// moving the branch is one rename, as git does it. In: files. Out: commits, and the instant of the
// rename. Not here: who reads it.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export interface BenchRepository {
  readonly folder: string;
  /** Makes a commit on top of `parent` (null: of the newest) without moving the branch. */
  readonly prepare: (files: Readonly<Record<string, string | null>>) => string;
  /** The commit that was prepared last. */
  readonly newest: () => string;
  /** Moves the branch; returns the instant before the rename, milliseconds since 1970. */
  readonly move: (commit: string) => number;
}

/** Milliseconds since 1970, with parts: comparable with containerd's event times. */
export const epochMs = (): number => performance.timeOrigin + performance.now();

const PERSON = {
  GIT_AUTHOR_NAME: 'Bench',
  GIT_AUTHOR_EMAIL: 'bench@example.org',
  GIT_COMMITTER_NAME: 'Bench',
  GIT_COMMITTER_EMAIL: 'bench@example.org',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};

export const createRepository = (root: string): BenchRepository => {
  const folder = path.join(root, 'repository.git');
  const files = path.join(root, 'files');
  fs.mkdirSync(files, { recursive: true });
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['--git-dir', folder, '--work-tree', files, ...args], {
      env: { PATH: process.env['PATH'], ...PERSON },
      encoding: 'utf8',
      cwd: files,
    }).trim();
  execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', folder]);
  let newest: string | null = null;
  return {
    folder,
    prepare: (changes) => {
      for (const [name, text] of Object.entries(changes)) {
        const file = path.join(files, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        if (text === null) fs.rmSync(file);
        else fs.writeFileSync(file, text);
      }
      git('add', '--all');
      const tree = git('write-tree');
      const parents = newest === null ? [] : ['-p', newest];
      newest = git('commit-tree', tree, ...parents, '-m', 'A change');
      return newest;
    },
    newest: () => newest ?? '',
    move: (commit) => moveBranch(folder, commit),
  };
};

/**
 * As git does it: the new value in a lock file, then a rename over the old one. Returns the instant
 * before the rename.
 */
export const moveBranch = (folder: string, commit: string, clock = epochMs): number => {
  const ref = path.join(folder, 'refs/heads/main');
  fs.writeFileSync(`${ref}.lock`, `${commit}\n`);
  const at = clock();
  fs.renameSync(`${ref}.lock`, ref);
  return at;
};
