// The repository that `purser up` works on: made from the example, or refused with what to do.

import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { clusterName, listNodes, makeExample, openRepository } from '../../../cli/up/repository.ts';
import { ROOT } from '../../support/tree-of-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'purser-repository-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).trim();

it('the copy of the example stands alone: schemas are files, not a link into the clone', async () => {
  await makeExample(join(ROOT, 'example-repo'), folder, (text) => text);
  expect(lstatSync(join(folder, '.purser/schema')).isDirectory()).toBe(true);
  expect(lstatSync(join(folder, '.purser/schema/job.schema.json')).isFile()).toBe(true);
  expect(git('status', '--porcelain')).toBe('');
  expect(git('ls-files', '.purser')).toContain('.purser/schema/job.schema.json');
});

it('nodes that Git has already are not named again', async () => {
  const repository = await makeExample(join(ROOT, 'example-repo'), folder, (text) => text);
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
    const dirs = { directory: '', cacheDir: folder, tokenFile: null };
    const repository = { url: 'http://u:secret@127.0.0.1:1/shop.git', workTree: null, branch: 'x' };
    const named = clusterName({ repository, ...dirs });
    await expect(named).rejects.toThrow(/^http:\/\/127\.0\.0\.1:1\/shop\.git cannot be read: /);
    await expect(named).rejects.not.toThrow(/secret/);
  },
);

it('a folder that is none is refused with what to do', async () => {
  await expect(openRepository(join(folder, 'none'), null)).rejects.toThrow(/purser init/);
});
