// What the local GitHub does with Git: the system's git on bare repositories, without work trees
// but for a rebase.
// In: folders of bare repositories. Out: commits, files, merges. Not here: http (git-http.ts).

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Account } from './state.ts';

const run = promisify(execFile);

export interface Signature {
  readonly name: string;
  readonly email: string;
  /** ISO 8601. */
  readonly date: string;
}

export interface GitCommit {
  readonly sha: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly message: string;
  readonly author: Signature;
  readonly committer: Signature;
}

export interface GitFile {
  readonly path: string;
  readonly status: 'added' | 'removed' | 'modified';
  readonly blob: string;
  readonly additions: number;
  readonly deletions: number;
  readonly patch: string;
}

const NOBODY = { name: 'GitHub', email: 'noreply@github.com' };
/** Diffs of 50 MB files are asked for too. */
const OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024;

/** Runs git in a bare repository. Throws with what git said. */
export const gitIn = async (
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> => {
  const { stdout } = await run('git', [...args], {
    cwd: folder,
    maxBuffer: OUTPUT_LIMIT_BYTES,
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: NOBODY.name,
      GIT_AUTHOR_EMAIL: NOBODY.email,
      GIT_COMMITTER_NAME: NOBODY.name,
      GIT_COMMITTER_EMAIL: NOBODY.email,
      ...env,
    },
  });
  return stdout;
};

const authorEnv = (author: Account): Readonly<Record<string, string>> => ({
  GIT_AUTHOR_NAME: author.login,
  GIT_AUTHOR_EMAIL: author.email,
});

/** The commit that a branch, a full ref or an id names; null: there is none. */
export const resolveCommit = async (folder: string, ref: string): Promise<string | null> => {
  for (const name of [`refs/heads/${ref}`, ref, `refs/${ref}`]) {
    try {
      return (await gitIn(folder, ['rev-parse', '--verify', '-q', `${name}^{commit}`])).trim();
    } catch {
      // The next meaning.
    }
  }
  return null;
};

/** The file's object in a commit; null: there is no such file. */
export const blobAt = async (
  folder: string,
  commit: string,
  path: string,
): Promise<string | null> => {
  const out = await gitIn(folder, ['ls-tree', commit, '--', path]);
  return /^\d+ blob (\w+)/.exec(out)?.[1] ?? null;
};

/** Every ref and its object. */
export const readRefs = async (folder: string): Promise<ReadonlyMap<string, string>> => {
  const out = await gitIn(folder, ['for-each-ref', '--format=%(refname) %(objectname)']);
  return new Map(
    out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  );
};

const FORMAT = '%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01';

/** Commits by `git log` with these arguments. */
export const logOf = async (
  folder: string,
  ...args: readonly string[]
): Promise<readonly GitCommit[]> => {
  const out = await gitIn(folder, ['log', `--format=${FORMAT}`, ...args, '--']);
  return out
    .split('\x01')
    .map((entry) => entry.replace(/^\n/, '').split('\0'))
    .filter((fields) => fields.length === 10)
    .map(([sha, tree, parents, an, ae, ad, cn, ce, cd, message]) => ({
      sha: sha ?? '',
      tree: tree ?? '',
      parents: (parents ?? '').split(' ').filter((id) => id !== ''),
      message: (message ?? '').trimEnd(),
      author: { name: an ?? '', email: ae ?? '', date: ad ?? '' },
      committer: { name: cn ?? '', email: ce ?? '', date: cd ?? '' },
    }));
};

export const commitOf = async (folder: string, sha: string): Promise<GitCommit> => {
  const [commit] = await logOf(folder, '-1', sha);
  if (commit === undefined) throw new Error(`no commit ${sha}`);
  return commit;
};

/** Files that differ between two commits, with their patches; null for nothing before. */
export const filesBetween = async (
  folder: string,
  from: string | null,
  to: string,
): Promise<readonly GitFile[]> => {
  const range = [from ?? (await emptyTree(folder)), to];
  const plain = ['--no-renames', '--no-color', ...range, '--'];
  const [raw, numbers, patches] = await Promise.all([
    gitIn(folder, ['diff', '--raw', '-z', '--no-abbrev', ...plain]),
    gitIn(folder, ['diff', '--numstat', '-z', ...plain]),
    gitIn(folder, ['diff', ...plain]),
  ]);
  const counts = numbers.split('\0').filter((line) => line !== '');
  const texts = patches.split(/^(?=diff --git )/m).filter((text) => text !== '');
  const fields = raw.split('\0');
  const files: GitFile[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const index = at / 2;
    const [, , before = '', after = '', letter] = (fields[at] ?? '').split(' ');
    const [additions, deletions] = (counts[index] ?? '').split('\t');
    const text = texts[index] ?? '';
    const hunk = text.search(/^@@ /m);
    files.push({
      path: fields[at + 1] ?? '',
      status: letter === 'A' ? 'added' : letter === 'D' ? 'removed' : 'modified',
      blob: letter === 'D' ? before : after,
      additions: Number(additions) || 0,
      deletions: Number(deletions) || 0,
      patch: hunk < 0 ? '' : text.slice(hunk).trimEnd(),
    });
  }
  return files;
};

export const emptyTree = async (folder: string): Promise<string> =>
  (await gitIn(folder, ['hash-object', '-t', 'tree', '-w', '/dev/null'])).trim();

export const mergeBase = async (folder: string, a: string, b: string): Promise<string | null> => {
  try {
    return (await gitIn(folder, ['merge-base', a, b])).trim();
  } catch {
    return null;
  }
};

export const isAncestor = async (folder: string, old: string, young: string): Promise<boolean> =>
  (await mergeBase(folder, old, young)) === old;

/** The tree of the merge; null: they conflict. */
export const mergedTree = async (
  folder: string,
  base: string,
  head: string,
): Promise<string | null> => {
  try {
    return (await gitIn(folder, ['merge-tree', '--write-tree', base, head])).split('\n')[0] ?? null;
  } catch {
    return null;
  }
};

export const commitTree = async (
  folder: string,
  commit: { readonly tree: string; readonly parents: readonly string[]; readonly message: string },
  author: Account,
): Promise<string> => {
  const parents = commit.parents.flatMap((id) => ['-p', id]);
  const args = ['commit-tree', commit.tree, ...parents, '-m', commit.message];
  return (await gitIn(folder, args, authorEnv(author))).trim();
};

/** The head's commits on top of the base, as GitHub's "Rebase and merge" writes them. */
export const rebased = async (
  folder: string,
  base: string,
  head: string,
): Promise<string | null> => {
  const place = await mkdtemp(join(tmpdir(), 'purser-rebase-'));
  try {
    await gitIn(folder, ['worktree', 'add', '--quiet', '--detach', place, base]);
    const ids = await gitIn(folder, ['rev-list', '--reverse', '--no-merges', `${base}..${head}`]);
    for (const id of ids.split('\n').filter((line) => line !== '')) {
      await gitIn(place, ['cherry-pick', '--allow-empty', id]);
    }
    return (await gitIn(place, ['rev-parse', 'HEAD'])).trim();
  } catch {
    return null;
  } finally {
    await rm(place, { recursive: true, force: true });
    await gitIn(folder, ['worktree', 'prune']);
  }
};

/** Moves a ref if it still stands at `old` (null: if there is none); `to` null deletes it. */
export const moveRef = async (
  folder: string,
  ref: string,
  move: { readonly old: string | null; readonly to: string | null },
): Promise<void> => {
  const old = move.old ?? '0'.repeat(40);
  const args = move.to === null ? ['-d', ref, old] : [ref, move.to, old];
  await gitIn(folder, ['update-ref', ...args]);
};
