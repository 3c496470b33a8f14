// The repository that `purser up` works on: made from the example, or refused with what to do.

import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clusterName, listNodes, makeExample, openRepository } from '../../../cli/up/repository.ts';
import { ROOT } from '../../support/tree-of-files.ts';

const AS_IT_IS = { prepare: (text: string) => text, branch: null };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'purser-repository-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).trim();

it('the copy of the example stands alone: schemas are files, not a link into the clone', async () => {
  await makeExample(join(ROOT, 'example-repo'), folder, AS_IT_IS);
  expect(lstatSync(join(folder, '.purser/schema')).isDirectory()).toBe(true);
  expect(lstatSync(join(folder, '.purser/schema/job.schema.json')).isFile()).toBe(true);
  expect(git('status', '--porcelain')).toBe('');
  expect(git('ls-files', '.purser')).toContain('.purser/schema/job.schema.json');
});

it('nodes that Git has already are not named again', async () => {
  const repository = await makeExample(join(ROOT, 'example-repo'), folder, AS_IT_IS);
  const before = git('rev-parse', 'HEAD');
  await listNodes(repository, '', ['n1']);
  expect(git('rev-parse', 'HEAD')).toBe(before);
  await listNodes(repository, '', ['n1', 'n2', 'n3']);
  expect(git('log', '-1', '--format=%s')).toBe('Add nodes n2, n3');
});

it.each(['https://git.example/shop.git', 'ssh://git@git.example/shop', 'git@git.example:shop'])(
  '%s is on another machine: it has no work tree here, and its branch is main',
  async (url) => {
    expect(await openRepository(url, null)).toEqual({ url, workTree: null, branch: 'main' });
    expect(await openRepository(url, 'live')).toMatchObject({ branch: 'live' });
    const dirs = { directory: '', cacheDir: folder, login: null };
    const repository = { url: 'http://u:secret@127.0.0.1:1/shop.git', workTree: null, branch: 'x' };
    const named = clusterName({ repository, ...dirs });
    await expect(named).rejects.toThrow(/^http:\/\/127\.0\.0\.1:1\/shop\.git cannot be read: /);
    await expect(named).rejects.not.toThrow(/secret/);
  },
);

it('a folder that is none is refused with what to do', async () => {
  await expect(openRepository(join(folder, 'none'), null)).rejects.toThrow(/purser init/);
});

it('the branch is the one that is checked out, also beside a tag of its name', async () => {
  await makeExample(join(ROOT, 'example-repo'), folder, AS_IT_IS);
  git('tag', 'main');
  expect(await openRepository(folder, null)).toMatchObject({ branch: 'main' });
  git('checkout', '--quiet', '--detach');
  await expect(openRepository(folder, null)).rejects.toThrow(/no branch .*--branch/);
  expect(await openRepository(folder, 'main')).toMatchObject({ branch: 'main' });
});

it('a node is not committed to another branch than the one that is followed', async () => {
  await makeExample(join(ROOT, 'example-repo'), folder, AS_IT_IS);
  git('branch', 'live');
  const repository = await openRepository(folder, 'live');
  await listNodes(repository, '', ['n1']); // the example has it on both
  const before = git('rev-parse', 'main', 'live');
  await expect(listNodes(repository, '', ['n1', 'n2'])).rejects.toThrow(/nodes\/n2.*switch live/);
  expect(git('rev-parse', 'main', 'live')).toBe(before);
});

it.each([
  ['refstorage = reftable', /git refs migrate/],
  ['objectformat = sha256', /SHA-256/],
])('a repository with %s is refused in words', async (line, words) => {
  git('init', '--quiet');
  const config = `[core]\n\trepositoryformatversion = 1\n[extensions]\n\t${line}\n`;
  writeFileSync(join(folder, '.git/config'), config);
  await expect(openRepository(folder, null)).rejects.toThrow(words);
});
