// The repository that `purser up` works on: the one that was named, or a working copy made from
// example-repo/.
// In: a path or URL, or nothing. Out: where it is, its branch, its cluster's name. Uses the
// system's git, since a person will use the same on it. Not here: the ledger (reconciler/edge/git).

import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { shownRepository, placeOf } from '../../reconciler/edge/git/remote.ts';
import type { Login } from '../../reconciler/forge-login.ts';
import { nodeFile, nodesMessage } from '../../schema/node-file.ts';
import { shellWord } from '../../schema/paths.ts';
import { CommandError } from '../command-error.ts';

const exec = promisify(execFile);

export interface Repository {
  readonly url: string;
  /** A folder on this machine with a work tree, or null. */
  readonly workTree: string | null;
  readonly branch: string;
}

/** Runs git in a folder; its complaint becomes the error. */
export const git = async (dir: string, ...args: readonly string[]): Promise<string> => {
  try {
    const { stdout } = await exec('git', ['-C', dir, ...args], { maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    throw new CommandError(`git ${args.join(' ')} in ${dir}: ${text.trim()}`);
  }
};

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** A remote one is not looked at here; its branch is `main` unless another is named. */
export const openRepository = async (url: string, branch: string | null): Promise<Repository> => {
  if (placeOf(url).kind !== 'path') return { url, workTree: null, branch: branch ?? 'main' };
  const dir = resolve(url);
  if (!(await isFolder(dir))) {
    throw new CommandError(
      `${dir} is not a folder: name a Git repository, or make one with \`purser init ${url}\``,
    );
  }
  await checkFormat(dir);
  const bare = (await git(dir, 'rev-parse', '--is-bare-repository')) === 'true';
  return { url: dir, workTree: bare ? null : dir, branch: branch ?? (await checkedOut(dir)) };
};

/** What Purser cannot read is told in its own words: an old git has none for a newer format. */
const checkFormat = async (dir: string): Promise<void> => {
  // Loaded here, so that other commands need not wait for it.
  const { openRepository: open } = await import('../../reconciler/edge/git/refs.ts');
  try {
    open(dir);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
};

/** The whole name is asked for: the short one of a branch says `heads/x` where a tag is called x. */
const checkedOut = async (dir: string): Promise<string> => {
  const head = await git(dir, 'symbolic-ref', '--quiet', 'HEAD').catch(() => null);
  if (head !== null) return head.replace(/^refs\/heads\//, '');
  throw new CommandError(
    `no branch is checked out in ${dir}: name one with --branch, or run \`git -C ${shellWord(dir)} switch BRANCH\``,
  );
};

interface ExampleOptions {
  /** May change files before they are committed. */
  readonly prepare: (text: string) => string;
  /** null: what is checked out. */
  readonly branch: string | null;
}

/** A working copy of the example, committed once. */
export const makeExample = async (
  source: string,
  dir: string,
  { prepare, branch }: ExampleOptions,
): Promise<Repository> => {
  if (!(await isFolder(join(dir, '.git')))) {
    await mkdir(dir, { recursive: true });
    // The schemas for editors are a link in the clone; the copy stands alone.
    await cp(source, dir, { recursive: true, dereference: true });
    await eachFile(dir, prepare);
    await git(dir, 'init', '--quiet', '--initial-branch=main');
    await identify(dir);
    await git(dir, 'add', '--all');
    await git(dir, 'commit', '--quiet', '--message', 'A small web shop');
  }
  return openRepository(dir, branch);
};

/** Commits need a name; where this machine has none, the repository gets one of its own. */
export const identify = async (dir: string): Promise<void> => {
  const known = await git(dir, 'config', 'user.email').catch(() => '');
  if (known !== '') return;
  await git(dir, 'config', 'user.name', 'Purser example');
  await git(dir, 'config', 'user.email', 'you@localhost');
};

const eachFile = async (dir: string, prepare: (text: string) => string): Promise<void> => {
  const { stdout } = await exec('find', [dir, '-name', '*.yaml', '-not', '-path', '*/.git/*']);
  for (const path of stdout.split('\n').filter((line) => line !== '')) {
    const text = await readFile(path, 'utf8');
    const changed = prepare(text);
    if (changed !== text) await writeFile(path, changed);
  }
};

export interface ClusterAsk {
  readonly repository: Repository;
  readonly directory: string;
  /** A folder for a copy of a remote repository. */
  readonly cacheDir: string;
  /** null: the one in its URL, or none. */
  readonly login: Login | null;
}

/** The name in cluster.yaml at the branch's tip. */
export const clusterName = async (asking: ClusterAsk): Promise<string> => {
  const { repository, directory } = asking;
  const path = join(directory, 'cluster.yaml');
  const text = await clusterFile(asking);
  if (text === null) {
    throw new CommandError(
      `${shownRepository(repository.url)} has no ${path} on branch ${repository.branch}: \`purser init\` writes a first one`,
    );
  }
  const { load } = await import('js-yaml');
  const parsed: unknown = load(text);
  const name =
    typeof parsed === 'object' && parsed !== null && 'name' in parsed ? parsed.name : null;
  if (typeof name !== 'string')
    throw new CommandError(`${path}: write the cluster's name: \`name: shop\``);
  return name;
};

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Read as the reconciler reads it, so that a login which fails is told at once. */
const clusterFile = async (asking: ClusterAsk): Promise<string | null> => {
  const { repository, directory, cacheDir, login } = asking;
  // Loaded here, so that other commands need not wait for it.
  const { createGitSource } = await import('../../reconciler/edge/git/source.ts');
  const source = createGitSource({
    repository: repository.url,
    branch: repository.branch,
    directory,
    cluster: 'unknown', // only the ledger's name depends on it
    log: silent,
    cacheDir,
    readOnly: true,
    ...(login === null ? {} : { auth: login }),
  });
  try {
    return await source.readFile('cluster.yaml');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${shownRepository(repository.url)} cannot be read: ${message}`);
  } finally {
    source.close();
  }
};

/**
 * Commits `nodes/<node>.yaml` for nodes that Git does not list yet (rules 9.1), in a work tree; for
 * other repositories the reconciler does it (nodes.ts).
 */
export const listNodes = async (
  repository: Repository,
  directory: string,
  nodes: readonly string[],
): Promise<void> => {
  const dir = repository.workTree;
  if (dir === null) return;
  const paths: string[] = [];
  const added: string[] = [];
  for (const node of nodes) {
    const path = join(directory, 'nodes', `${node}.yaml`);
    if (await isListed(repository, dir, path)) continue;
    await mkdir(join(dir, directory, 'nodes'), { recursive: true });
    await writeFile(join(dir, path), nodeFile(node));
    paths.push(path);
    added.push(node);
  }
  if (paths.length === 0) return;
  await identify(dir);
  await git(dir, 'add', '--', ...paths);
  await git(dir, 'commit', '--quiet', '--message', nodesMessage(added), '--', ...paths);
};

/** What is checked out counts, uncommitted files included: it is what the commit builds on. */
const isListed = async ({ branch }: Repository, dir: string, path: string): Promise<boolean> => {
  const head = await checkedOut(dir).catch(() => null);
  if (head === branch) return (await git(dir, 'ls-files', path)) !== '';
  const there = await git(dir, 'cat-file', '-e', `refs/heads/${branch}:${path}`).catch(() => null);
  if (there !== null) return true;
  throw new CommandError(
    `branch ${branch} has no ${path} yet, and Purser commits it only where that branch is checked out: ` +
      `run \`git -C ${shellWord(dir)} switch ${shellWord(branch)}\`, then this again`,
  );
};
