// A commit offered under a branch of its own: for local and for remote repositories.
// In: real repositories, a real Git server. Out: tests. Not here: commits on the branch itself
// (source-suite), the pull request of it (github).

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGitSource, type GitSource } from '../../reconciler/edge/git/source.ts';
import type { CommitAsk } from '../../reconciler/ports.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { startGitServer } from '../support/git-server.ts';
import { AUTHOR, edit, failureOf } from './source-suite.ts';

const BRANCH = 'purser/ship/revert-d1';
const WEB = 'jobs/a/web.yaml';
const quiet = () => undefined;
const LOGIN = 'bot:SECRET';
const log = { info: quiet, warn: quiet, error: quiet };

describe.each(['a local repository', 'an http remote'])('%s', (kind) => {
  let root = '';
  let work = '';
  /** The repository that has the last word: the folder itself, or what the server serves. */
  let truth = '';
  let url = '';
  const ends: (() => Promise<void> | void)[] = [];

  const open = (cache: string): GitSource => {
    const where = { branch: 'main', directory: '', cluster: 'ship' };
    const cacheDir = path.join(root, cache);
    const source = createGitSource({ repository: url, ...where, log, cacheDir });
    ends.push(() => source.close());
    return source;
  };
  const askOf = async (source: GitSource): Promise<CommitAsk> => {
    const tree = await source.read();
    const edits = [edit(tree, WEB, 'v1\n')];
    return { head: tree.head.oid, edits, message: 'Revert a/web\n\nIt crashed.\n', author: AUTHOR };
  };
  const refs = () => git(truth, 'for-each-ref', 'refs/heads', '--format=%(refname) %(objectname)');
  const offered = () => git(truth, 'rev-parse', `refs/heads/${BRANCH}`);

  beforeEach(async () => {
    root = tempFolder('offer');
    ends.push(() => fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
    work = initRepository(path.join(root, 'work'));
    commitFiles(work, { 'cluster.yaml': 'name: ship\n', [WEB]: 'v2\n', 'x/y': 'z' }, 'first');
    [truth, url] = [work, work];
    if (kind === 'a local repository') return;
    truth = path.join(root, 'served/ship.git');
    git(root, 'clone', '--quiet', '--bare', work, truth);
    git(work, 'remote', 'add', 'origin', truth);
    const server = await startGitServer({ root: path.join(root, 'served'), login: LOGIN });
    ends.push(() => server.close());
    url = `${server.url}/ship.git`.replace('://', `://${LOGIN}@`);
  });
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  test('is one commit on its branch; the branch that is followed and its files stay', async () => {
    const source = open('cache');
    const ask = await askOf(source);
    const before = refs();
    await source.offer(ask, BRANCH);
    expect(git(truth, 'show', `${BRANCH}:${WEB}`)).toBe('v1');
    expect(git(truth, 'diff', '--name-only', 'main', BRANCH)).toBe(WEB);
    expect(git(truth, 'rev-parse', `${BRANCH}^`)).toBe(ask.head);
    expect(git(truth, 'log', '-1', '--format=%an %s', BRANCH)).toBe('Purser Revert a/web');
    expect(refs()).toBe(`${before}\nrefs/heads/${BRANCH} ${offered()}`);
    expect(fs.readFileSync(path.join(work, WEB), 'utf8')).toBe('v2\n');
    expect(git(work, 'status', '--porcelain')).toBe('');
    expect((await source.read()).head.oid).toBe(ask.head);
    expect(git(truth, 'fsck', '--strict')).toBe('');
  });

  test('twice is once, also by a process that lost its disk, and when a person added to it', async () => {
    const source = open('cache');
    const ask = await askOf(source);
    await source.offer(ask, BRANCH);
    const first = offered();
    await source.offer({ ...ask, message: 'Revert a/web, in other words\n' }, BRANCH);
    const other = open('cache-2');
    await other.offer(await askOf(other), BRANCH);
    expect(offered()).toBe(first);
    git(truth, 'update-ref', `refs/heads/${BRANCH}`, ask.head);
    await other.offer(await askOf(other), BRANCH);
    expect(offered()).toBe(ask.head);
  });

  test('somebody who changed the same file first is not overridden', async () => {
    const source = open('cache');
    const ask = await askOf(source);
    commitFiles(work, { [WEB]: 'v3\n' }, 'a person');
    if (truth !== work) git(work, 'push', '--quiet', 'origin', 'main');
    await source.read();
    const refused = await failureOf(source.offer(ask, BRANCH));
    expect(refused).toMatchObject({ consequence: 'stale' });
    expect(refs()).not.toContain(BRANCH);
  });

  test('edits that are on the branch already are nothing to offer', async () => {
    const source = open('cache');
    const tree = await source.read();
    const edits = [edit(tree, WEB, 'v2\n')];
    const ask = { head: tree.head.oid, edits, message: 'Nothing\n', author: AUTHOR };
    expect(await failureOf(source.offer(ask, BRANCH))).toMatchObject({ consequence: 'stale' });
    expect(refs()).not.toContain(BRANCH);
  });

  test('a path outside of the cluster is refused', async () => {
    const source = open('cache');
    const ask = await askOf(source);
    const edits = [{ path: '../x', content: 'y', base: null }];
    expect(await failureOf(source.offer({ ...ask, edits }, BRANCH))).toMatchObject({
      consequence: 'broken',
    });
    expect(refs()).not.toContain(BRANCH);
  });
});
