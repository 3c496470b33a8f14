// A reconciler that is killed while it commits in a person's work tree, right before each change
// that it makes to the disk, one after the other. The next reconciler has either the commit or none
// of it, and the person's own work and next git command never notice.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { bundle } from '../support/bundle.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';

const FILE = 'jobs/a/web.yaml';
/** More than there are: the last one comes to its end. */
const MOST = 200;

let root: string;
let repository: string;
let program: string;
beforeAll(async () => {
  root = tempFolder('killed');
  program = await bundle('test/support/killed-commit.ts', path.join(root, 'commit.mjs'));
  repository = initRepository(path.join(root, 'work'));
  commitFiles(repository, { 'cluster.yaml': 'name: ship\n', [FILE]: 'v1\n' }, 'first');
  fs.writeFileSync(path.join(repository, 'staged.txt'), 'of the person');
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 }));

/** Whether it came to its end before it was killed. */
const commitKilledAt = (change: number): boolean => {
  const cache = path.join(root, 'cache');
  const told = [repository, cache, FILE, `machine ${change}\n`, String(change)];
  const child = spawnSync(process.execPath, [program, ...told], { encoding: 'utf8' });
  if (child.signal === 'SIGKILL') return false;
  expect(child).toMatchObject({ status: 0, stderr: '' });
  return true;
};

const takeOver = async (): Promise<void> => {
  const source = createGitSource({
    repository,
    branch: 'main',
    directory: '',
    cluster: 'ship',
    log: { info: () => {}, warn: () => {}, error: () => {} },
    cacheDir: path.join(root, 'cache'),
  });
  await source.read();
  source.close();
};

/** Not `tmp_obj_*`: git's own name for half an object, which `git gc` removes. */
const leftIn = (folder: string): readonly string[] =>
  fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.lock$|(^|\/)purser-/.test(name));

test('killed before any change to the disk: the commit or none of it, and git goes on', async () => {
  const ends: string[] = [];
  for (let change = 1; change <= MOST; change += 1) {
    const before = commitFiles(repository, { [FILE]: `person ${change}\n` }, `person ${change}`);
    fs.writeFileSync(path.join(repository, 'staged.txt'), `of the person ${change}`);
    git(repository, 'add', 'staged.txt');
    const isWhole = commitKilledAt(change);
    await takeOver();
    const isMade = git(repository, 'rev-parse', 'HEAD') !== before;
    const [parent, text] = isMade
      ? ['HEAD~1', `machine ${change}\n`]
      : ['HEAD', `person ${change}\n`];
    expect(git(repository, 'rev-parse', parent), `before ${change}`).toBe(before);
    expect(fs.readFileSync(path.join(repository, FILE), 'utf8'), `before ${change}`).toBe(text);
    expect(git(repository, 'status', '--porcelain'), `before ${change}`).toBe('M  staged.txt');
    expect(leftIn(path.join(repository, '.git')), `before ${change}`).toEqual([]);
    expect(git(repository, 'fsck', '--strict', '--no-dangling')).toBe('');
    ends.push(isWhole ? 'whole' : isMade ? 'made' : 'none');
    if (isWhole) break;
  }
  process.stdout.write(`${ends.join(' ')}\n`);
  expect(ends.at(-1)).toBe('whole');
  expect(ends.filter((end) => end === 'made').length).toBeGreaterThan(2);
  expect(ends.filter((end) => end === 'none').length).toBeGreaterThan(5);
}, 120_000);
