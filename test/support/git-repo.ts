// Repositories for tests, made and changed by the system's git, as a person would.
// In: files. Out: commits.
// Not here: the code under test.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const tempFolder = (name: string): string =>
  fs.mkdtempSync(path.join(os.tmpdir(), `purser-${name}-`));

const PERSON = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};

/** Runs git in a folder; returns what it wrote, trimmed. */
export const git = (folder: string, ...args: readonly string[]): string =>
  execFileSync('git', [...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...PERSON },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  }).trim();

export type FileSet = Readonly<Record<string, string | Buffer | null>>;

/** Writes files (null removes) in a work tree, commits them all, returns the commit's id. */
export const commitFiles = (folder: string, files: FileSet, message: string): string => {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    if (content === null) fs.rmSync(file);
    else {
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, content);
    }
  }
  git(folder, 'add', '--all');
  git(folder, 'commit', '--quiet', '--allow-empty', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
};

/** A new repository with a work tree on branch main. */
export const initRepository = (folder: string): string => {
  fs.mkdirSync(folder, { recursive: true });
  git(folder, 'init', '--quiet', '--initial-branch=main');
  return folder;
};
