// Notes on commits in real repositories, local and behind a server, as `git log` shows them.
// In: repositories made by git. Out: tests. Not here: when notes are written (unit tests).

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { startGitServer, type GitServer } from '../support/git-server.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';

let root = '';
let work = '';
let bare = '';
let server: GitServer;
const opened: GitSource[] = [];
const log = { info: () => {}, warn: () => {}, error: () => {} };
const open = (kind: 'local' | 'http' | 'ssh'): GitSource => {
  const cacheDir = path.join(root, `cache-${opened.length}`);
  const names = { branch: 'main', directory: '', cluster: 'ship' };
  const repository = {
    local: work,
    http: `${server.url}/ship.git`,
    ssh: `ssh://git@ship.example${bare}`,
  }[kind];
  const sshCommand = path.join(root, 'ssh.sh');
  const source = createGitSource({ repository, ...names, log, cacheDir, sshCommand });
  opened.push(source);
  return source;
};
/** In place of ssh: runs what ssh would run on the other side, here. */
const SSH_SCRIPT = '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n';
const shown = (folder: string, ref: string): string =>
  git(folder, 'log', '-1', '--format=%N', '--notes=purser/ship', ref).trim();

beforeEach(async () => {
  root = tempFolder('notes');
  work = initRepository(path.join(root, 'work'));
  commitFiles(work, { 'cluster.yaml': 'name: ship\n' }, 'first');
  fs.writeFileSync(path.join(root, 'ssh.sh'), SSH_SCRIPT, { mode: 0o755 });
  bare = path.join(root, 'served/ship.git');
  git(root, 'clone', '--quiet', '--bare', work, bare);
  server = await startGitServer({ root: path.join(root, 'served'), login: null });
});
afterEach(async () => {
  for (const source of opened.splice(0)) source.close();
  await server.close();
  fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

const KINDS = ['local', 'http', 'ssh'] as const;

test.each(KINDS)('a note is shown by git log, and replaced: %s', async (kind) => {
  const source = open(kind);
  const folder = kind === 'local' ? work : bare;
  const { head } = await source.read();
  expect(await source.notes.read(head.oid)).toBe(null);
  await source.notes.update(head.oid, () => 'sync/ship: failed\n');
  expect(shown(folder, head.oid)).toBe('sync/ship: failed');
  await source.notes.update(head.oid, () => 'sync/ship: in sync\n');
  expect(shown(folder, head.oid)).toBe('sync/ship: in sync');
  const count = git(folder, 'rev-list', '--count', 'refs/notes/purser/ship');
  await source.notes.update(head.oid, () => 'sync/ship: in sync\n');
  expect(git(folder, 'rev-list', '--count', 'refs/notes/purser/ship')).toBe(count);
  expect(await open(kind).notes.read(head.oid)).toBe('sync/ship: in sync\n');
});

test('notes of others stay, also those made meanwhile, in folders or not', async () => {
  const first = git(work, 'rev-parse', 'HEAD');
  const second = commitFiles(work, { a: '1' }, 'second');
  git(work, 'push', '--quiet', bare, 'main');
  const person = (text: string, commit: string) =>
    git(bare, 'notes', '--ref=purser/ship', 'add', '-f', '-m', text, commit);
  person('by hand', first);
  const source = open('http');
  await source.read();
  await source.notes.update(second, () => 'ours\n');
  person('by hand again', first);
  await source.notes.update(second, () => 'ours again\n');
  expect(shown(bare, first)).toBe('by hand again');
  expect(shown(bare, second)).toBe('ours again');
  await source.notes.update(first, () => 'ours too\n');
  expect(shown(bare, first)).toBe('ours too');
});

test.each(KINDS)(
  'words that somebody pushed meanwhile on the very commit stay: %s',
  async (kind) => {
    const source = open(kind);
    const folder = kind === 'local' ? work : bare;
    const { head } = await source.read();
    await source.notes.update(head.oid, () => 'sync/ship: under way\n');
    const long = 'a person writes\n'.repeat(1000);
    const seen: (string | null)[] = [];
    await source.notes.update(head.oid, (before) => {
      seen.push(before);
      // Between our look and our push.
      if (seen.length === 1) {
        git(folder, 'notes', '--ref=purser/ship', 'append', '-m', 'by hand\n');
        git(folder, 'notes', '--ref=purser/ship', 'append', '-m', long);
      }
      return `${before ?? ''}and in sync\n`;
    });
    expect(seen.length).toBe(2);
    expect(seen[1]).toContain('by hand');
    const words = shown(folder, head.oid);
    expect(words).toContain(long.trim());
    expect(words).toMatch(/^sync\/ship: under way\n\nby hand\n[^]*and in sync$/);
  },
);

test('a note without end is cut at a line', async () => {
  const source = open('local');
  const { head } = await source.read();
  await source.notes.update(head.oid, () => 'a line of words\n'.repeat(10_000));
  const text = (await source.notes.read(head.oid)) ?? '';
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(8192);
  expect(text.endsWith('a line of words\n  … and more\n')).toBe(true);
});
