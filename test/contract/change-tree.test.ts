// The tree of a preview, read from a real repository and the edits in its folder.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { changeTree } from '../../cli/change-tree.ts';
import type { Snapshot } from '../../schema/snapshot.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { treeOf, story } from '../support/tree.ts';

const folder = tempFolder('change-tree');
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const JOB = 'jobs/shop/web.yaml';

it('tells what an earlier commit changed beside the edits, not beside HEAD (6.3)', async () => {
  initRepository(folder);
  commitFiles(folder, { 'cluster.yaml': 'name: c\n', [JOB]: 'image: a\n', README: 'one\n' }, 'one');
  const oid = commitFiles(
    folder,
    { [JOB]: 'image: b\n', 'configs/words': 'new\n', README: 'two\n' },
    'two\n\nPurser-Atomic: true',
  );
  fs.writeFileSync(path.join(folder, JOB), 'image: edited\n');
  fs.rmSync(path.join(folder, 'configs/words'));
  const [last] = story({ 'cluster.yaml': 'name: c\n' });
  if (last === undefined) throw new Error('there is a commit');
  const snapshot: Snapshot = {
    format: 1,
    tree: { ...treeOf([last]), head: { ...last.commit, oid } },
    live: { upForMs: 0, nodes: [] },
    takenAt: '2026-01-01T00:00:00Z',
  };
  const change = await changeTree(snapshot, folder, null);
  try {
    expect(change.tree.head.parent).toBe(oid);
    const asked = { digests: [], histories: [], changes: [oid] };
    const { changes } = await change.complete(change.tree, asked);
    const files = new Map(changes?.get(oid)?.files?.map((file) => [file.path, file]));
    const texts = [...files].map(([name, { before, after, head }]) => [
      name,
      ...[before, after, head].map((file) => (file?.kind === 'text' ? file.text : null)),
    ]);
    expect(texts).toEqual([
      ['README', 'one\n', 'two\n', 'two\n'],
      ['configs/words', null, 'new\n', null],
      [JOB, 'image: a\n', 'image: b\n', 'image: edited\n'],
    ]);
  } finally {
    change.close();
  }
  expect(git(folder, 'rev-parse', 'HEAD')).toBe(oid);
});

it('a name is the branch of that name before it is a tag', async () => {
  const repository = initRepository(tempFolder('change-tree-tag'));
  const tagged = commitFiles(repository, { 'cluster.yaml': 'name: c\n' }, 'one');
  git(repository, 'tag', 'other');
  const tip = commitFiles(repository, { 'cluster.yaml': 'name: c\n\n' }, 'two');
  git(repository, 'branch', 'other');
  const [last] = story({ 'cluster.yaml': 'name: c\n' });
  if (last === undefined) throw new Error('there is a commit');
  const snapshot: Snapshot = {
    format: 1,
    tree: treeOf([last]),
    live: { upForMs: 0, nodes: [] },
    takenAt: '2026-01-01T00:00:00Z',
  };
  try {
    const found = async (name: string) => {
      const change = await changeTree(snapshot, name, repository);
      change.close();
      return change.tree.head.oid;
    };
    expect(await found('other')).toBe(tip);
    expect(await found('tags/other')).toBe(tagged);
  } finally {
    fs.rmSync(repository, { recursive: true, force: true });
  }
});
