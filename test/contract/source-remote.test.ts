// What only a remote can do: be away, refuse, hang, be faster; and a mirror that vanishes. In: a
// real Git server that misbehaves on demand. Out: tests. Not here: the behaviours of all sources
// (source-suite).

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitSourceOptions } from '../../reconciler/edge/git/options.ts';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { GitServer } from '../support/git-server.ts';
import { startGitServer } from '../support/git-server.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import { AUTHOR, edit, failureOf } from './source-suite.ts';

const SECRET = 's3cret-token';

describe('an http remote', () => {
  let root = '';
  let workTree = '';
  let server: GitServer;
  const opened: GitSource[] = [];
  const logged: string[] = [];
  const keep = (fields: object, message: string) =>
    void logged.push(JSON.stringify(fields) + message);
  const log = { info: keep, warn: keep, error: keep };
  const open = (options: Partial<GitSourceOptions> = {}): GitSource => {
    const source = createGitSource({
      repository: `${server.url}/ship.git`,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log,
      cacheDir: path.join(root, `cache-${opened.length}`),
      auth: { kind: 'token', user: 'bot', token: SECRET },
      pollMs: 100,
      ...options,
    });
    opened.push(source);
    return source;
  };
  const person = (files: Readonly<Record<string, string>>) => {
    const oid = commitFiles(workTree, files, 'a person');
    git(workTree, 'push', '--quiet', 'origin', 'main');
    return oid;
  };

  beforeEach(async () => {
    root = tempFolder('remote');
    workTree = initRepository(path.join(root, 'work'));
    commitFiles(workTree, { 'cluster.yaml': 'name: ship\n', 'jobs/a/web.yaml': 'v2' }, 'first');
    git(root, 'clone', '--quiet', '--bare', workTree, path.join(root, 'served/ship.git'));
    git(workTree, 'remote', 'add', 'origin', path.join(root, 'served/ship.git'));
    server = await startGitServer({ root: path.join(root, 'served'), login: `bot:${SECRET}` });
    logged.length = 0;
  });
  afterEach(async () => {
    for (const source of opened.splice(0)) source.close();
    await server.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });

  test('a server that is away, or hangs, is tried again; nothing is lost', async () => {
    // Longer than an answer takes on a busy machine, for this source has some of those too.
    const source = open({ headersMs: 3000, idleMs: 3000 });
    const { head } = await source.read();
    for (const fault of [{ kind: 'status', status: 503 }, { kind: 'hang' }] as const) {
      server.misbehave(fault);
      expect((await failureOf(source.read())).consequence).toBe('retry');
      const records = [{ kind: 'synced', commit: head.oid }] as const;
      expect((await failureOf(source.record(records))).consequence).toBe('retry');
    }
    server.misbehave(null);
    await source.record([{ kind: 'synced', commit: head.oid }]);
    expect((await source.read()).ledger).toContainEqual({ kind: 'synced', commit: head.oid });
  });

  test('a refused login, a wrong address: a person must act, and no secret is told', async () => {
    const { port } = new URL(server.url);
    const wrong = `http://bot:wr0ng-password@127.0.0.1:${port}/ship.git`;
    const { log: quiet, cacheDir } = { log, cacheDir: path.join(root, 'x') };
    const refused = createGitSource({
      repository: wrong,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log: quiet,
      cacheDir,
    });
    opened.push(refused);
    const login = await failureOf(refused.read());
    expect(login).toMatchObject({ consequence: 'broken' });
    expect(login.message).toContain('HTTP 401');
    const absent = await failureOf(open({ repository: `${server.url}/none.git` }).read());
    expect(absent).toMatchObject({ consequence: 'broken' });
    expect(absent.message).toContain('HTTP 404');
    const all = [login.message, absent.message, ...logged].join('\n');
    for (const secret of [SECRET, 'wr0ng-password']) expect(all).not.toContain(secret);
    expect(textsBelow(path.join(root, 'x')).join()).not.toContain('wr0ng-password');
  });

  test('no branch of that name', async () => {
    const failure = await failureOf(open({ branch: 'prod', readOnly: true }).read());
    expect(failure).toMatchObject({ consequence: 'broken' });
    expect(failure.message).toContain('no branch prod');
  });

  test('what the remote said before our push does not set the mirror back', async () => {
    const source = open({ pollMs: 60_000 });
    const stop = source.watch(() => undefined);
    const { head, files } = await source.read();
    let tell = (): void => undefined;
    const until = new Promise<void>((resolve) => {
      tell = resolve;
    });
    server.misbehave({ kind: 'late', until });
    const asked = source.refresh();
    await sleep(300);
    const base = files.get('jobs/a/web.yaml')?.blob ?? null;
    const edits = [{ path: 'jobs/a/web.yaml', content: 'v3', base }];
    const made = await source.commit({ head: head.oid, edits, message: 'Ours', author: AUTHOR });
    expect((await source.read()).head.oid).toBe(made);
    tell();
    await asked;
    expect((await source.read()).head.oid).toBe(made);
    await stop();
  });

  test('the mirror vanishes while it is used: cloned anew, nothing lost', async () => {
    const source = open();
    const before = await source.read();
    await source.record([{ kind: 'synced', commit: before.head.oid }]);
    fs.rmSync(path.join(root, 'cache-0'), { recursive: true });
    const head = person({ 'jobs/a/db.yaml': 'x' });
    const tree = await source.read();
    expect(tree.head.oid).toBe(head);
    expect(tree.lastSynced?.commit).toBe(before.head.oid);
    const mirror = fs.readdirSync(path.join(root, 'cache-0'))[0] ?? '';
    fs.rmSync(path.join(root, 'cache-0', mirror, 'objects'), { recursive: true });
    const asked = { digests: [], histories: [{ path: 'jobs/a/db.yaml', with: [] }] };
    const full = await source.complete(await source.read(), asked);
    expect(full.histories.get('jobs/a/db.yaml')?.entries).toHaveLength(1);
  });

  test('somebody pushes in the very moment of our push: rebuilt on top of theirs', async () => {
    const source = open();
    const tree = await source.read();
    let theirs = '';
    server.misbehave({
      kind: 'before-push',
      act: () => {
        theirs = person({ 'jobs/a/db.yaml': 'faster' });
      },
    });
    const edits = [edit(tree, 'jobs/a/web.yaml', 'v1')];
    const ask = { head: tree.head.oid, edits, message: 'Revert web', author: AUTHOR };
    const made = await source.commit(ask);
    expect(git(path.join(root, 'served/ship.git'), 'rev-parse', 'main', 'main^')).toBe(
      `${made}\n${theirs}`,
    );
    expect(git(path.join(root, 'served/ship.git'), 'fsck', '--strict', '--no-dangling')).toBe('');
  });

  test('a server whose rules refuse the push: a person must act', async () => {
    const hook = path.join(root, 'served/ship.git/hooks/update');
    fs.writeFileSync(hook, '#!/bin/sh\necho "main is protected" >&2\nexit 1\n', { mode: 0o755 });
    const failure = await failureOf(open().read());
    expect(failure).toMatchObject({ consequence: 'broken' });
    expect(failure.message).toMatch(/the server refused it: main is protected .*hook declined/);
    expect(failure.message).not.toMatch(/[{}\n]/);
  });

  test('a server that is silent keeps no read waiting while somebody polls', async () => {
    const source = open({ headersMs: 100_000, idleMs: 100_000 });
    await source.read();
    const stop = source.watch(() => undefined);
    server.misbehave({ kind: 'hang' });
    const asked = server.requests.length;
    await expect.poll(() => server.requests.length).toBeGreaterThan(asked); // a poll that hangs
    await sleep(500); // what the one before it heard is old by now
    const tooks: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const began = performance.now();
      expect((await failureOf(source.read())).message).toContain('is silent');
      tooks.push(performance.now() - began);
    }
    // Once two seconds, and then none: far from what the server is given to answer.
    expect(Math.max(...tooks)).toBeLessThan(50_000);
    expect(Math.min(...tooks)).toBeLessThan(1500);
    server.misbehave(null);
    source.close();
    await server.close();
    await stop();
  });

  test('between two polls a read asks nobody; a webhook asks at once', async () => {
    const source = open({ pollMs: 60_000 });
    await source.read();
    let wakes = 0;
    const stop = source.watch(() => {
      wakes += 1;
    });
    const head = person({ 'jobs/a/db.yaml': 'x' });
    const asked = server.requests.length;
    expect((await source.read()).head.oid).not.toBe(head);
    expect(server.requests.length).toBe(asked);
    await source.refresh();
    expect(wakes).toBe(1);
    expect((await source.read()).head.oid).toBe(head);
    await stop();
  });
});

const textsBelow = (folder: string): readonly string[] =>
  fs.existsSync(folder)
    ? fs
        .readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), 'latin1'))
    : [];
