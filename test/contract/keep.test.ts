// What a reconciler keeps for its next start, on a real disk: it comes back whole or not at all.

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createKeep, type KeepPort } from '../../reconciler/edge/keep.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { NOTHING_KEPT, type Kept } from '../../schema/kept.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';

let folder = '';
let said: string[] = [];
const log = {
  info: (fields: object, message: string) => void said.push(`${message} ${JSON.stringify(fields)}`),
  warn: (_: object, message: string) => void said.push(message),
  error: () => {},
};
const open = (program = 'p1', where = folder): KeepPort =>
  createKeep({ folder: where, program, log });
const file = (): string => path.join(folder, 'read.json');

const KEPT: Kept = {
  texts: new Map([
    ['a1', 'image: web:1\n'],
    ['a2', '# ü \u{1F600}\n'],
  ]),
  documents: Array.from({ length: 120 }, (_, job) => ({
    path: `jobs/shop/j${job}.yaml`,
    blob: `b${job}`,
    value: { image: 'web:1', count: job },
    problems: [],
    places: [['/image', 1, 1, 1, 8]],
  })),
};

beforeEach(() => {
  folder = path.join(tempFolder('keep'), 'cache');
  said = [];
});
afterEach(() => fs.rmSync(path.dirname(folder), { recursive: true, force: true }));

test('what was kept comes back, in a file that nobody else reads', async () => {
  expect(open().recall()).toEqual(NOTHING_KEPT);
  await open().keep(KEPT.texts, KEPT.documents);
  expect(open().recall()).toEqual(KEPT);
  expect(fs.statSync(file()).mode & 0o777).toBe(0o600);
  expect(said).toEqual([]);
  await open().keep(new Map(), []);
  expect(open().recall()).toEqual(NOTHING_KEPT);
});

describe('it is not used, and the log says why', () => {
  const edit = (change: (text: string) => string) => () =>
    fs.writeFileSync(file(), change(fs.readFileSync(file(), 'utf8')));
  test.each([
    ['one letter is another', edit((text) => text.replace('web:1', 'web:2')), 'damaged'],
    ['the end is missing', edit((text) => text.slice(0, -40)), 'damaged'],
    ['it is no JSON', edit(() => 'x'), 'JSON'],
    ['it is empty', edit(() => ''), 'JSON'],
    ['others may write it', () => fs.chmodSync(file(), 0o666), 'somebody else'],
    ['another user made it', () => fs.chownSync(file(), 1234, 1234), 'somebody else'],
  ])('where %s', async (_, harm, why) => {
    await open().keep(KEPT.texts, KEPT.documents);
    harm();
    expect(open().recall()).toEqual(NOTHING_KEPT);
    expect(said.join()).toContain(why);
    await open().keep(KEPT.texts, KEPT.documents);
    fs.chmodSync(file(), 0o600);
    expect(open().recall()).toEqual(KEPT);
  });

  test('where another build wrote it', async () => {
    await open('p1').keep(KEPT.texts, KEPT.documents);
    expect(open('p2').recall()).toEqual(NOTHING_KEPT);
    expect(said.join()).toContain('another release');
  });
});

test('a place that cannot be written is said, and is no failure', async () => {
  fs.writeFileSync(folder, 'a file stands where the folder belongs');
  await open().keep(KEPT.texts, KEPT.documents);
  expect(said.join()).toContain('cannot be kept');
});

describe('a source that knows texts', () => {
  test('reads no object for them, and says what it has read', async () => {
    const repository = initRepository(path.join(path.dirname(folder), 'work'));
    commitFiles(repository, { 'cluster.yaml': 'name: ship\n', 'jobs/a/web.yaml': 'v1\n' }, 'one');
    const options = {
      repository,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log,
      cacheDir: folder,
    };
    const first = createGitSource(options);
    await first.read();
    await first.record([{ kind: 'synced', commit: git(repository, 'rev-parse', 'HEAD') }]);
    const before = await first.read();
    const texts = first.texts();
    first.close();
    const blob = git(repository, 'rev-parse', 'HEAD:jobs/a/web.yaml');
    const ledger = git(repository, 'rev-parse', 'refs/purser/ship/ledger:cluster.jsonl');
    expect([...texts]).toEqual(expect.arrayContaining([[blob, 'v1\n']]));
    expect(texts.get(ledger)).toContain('"synced"');
    for (const oid of [blob, ledger]) {
      fs.rmSync(path.join(repository, '.git/objects', oid.slice(0, 2), oid.slice(2)));
    }
    const second = createGitSource({ ...options, known: (oid) => texts.get(oid) });
    const after = await second.read();
    expect(after.files).toEqual(before.files);
    expect(after.ledger).toEqual(before.ledger);
    second.close();
  });
});
