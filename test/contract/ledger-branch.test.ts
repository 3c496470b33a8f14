// The ledger on a host that takes heads and tags only, and its way from one place to the other. In:
// a real Git server whose hook refuses all else. Out: tests. Not here: the ledger's form (unit), what
// other refusals say (source-remote).

import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GitSourceOptions } from '../../reconciler/edge/git/options.ts';
import type { GitSource } from '../../reconciler/edge/git/source.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { commitFiles, git, initRepository, tempFolder } from '../support/git-repo.ts';
import type { GitServer } from '../support/git-server.ts';
import { startGitServer } from '../support/git-server.ts';
import { failureOf } from './source-suite.ts';

const HOOK = `#!/bin/sh
case "$1" in refs/heads/*|refs/tags/*) exit 0 ;; esac
echo "only branches and tags are taken here"
exit 1
`;
const REF = 'refs/purser/ship/ledger';
const BRANCH = 'refs/heads/purser/ship/ledger';
const PLAIN = 'name: ship\n';
const ON_BRANCH = 'name: ship\nledger: branch\n';

describe('the place of the ledger', () => {
  let root = '';
  let workTree = '';
  let served = '';
  let server: GitServer;
  const opened: GitSource[] = [];
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const open = (options: Partial<GitSourceOptions> = {}): GitSource => {
    const source = createGitSource({
      repository: `${server.url}/ship.git`,
      branch: 'main',
      directory: '',
      cluster: 'ship',
      log,
      cacheDir: path.join(root, `cache-${opened.length}`),
      pollMs: 100,
      ...options,
    });
    opened.push(source);
    return source;
  };
  const says = (cluster: string): string => {
    const oid = commitFiles(workTree, { 'cluster.yaml': cluster }, `it says ${cluster}`);
    git(workTree, 'push', '--quiet', 'origin', 'main');
    return oid;
  };
  const refsServed = () =>
    git(served, 'for-each-ref', '--format=%(refname)').split('\n').toSorted();
  const tip = (ref: string) => git(served, 'rev-parse', ref);
  const refuseOthers = () =>
    fs.writeFileSync(path.join(served, 'hooks/update'), HOOK, { mode: 0o755 });
  const synced = (commit: string) => ({ kind: 'synced', commit }) as const;

  beforeEach(async () => {
    root = tempFolder('ledger-branch');
    workTree = initRepository(path.join(root, 'work'));
    commitFiles(workTree, { 'cluster.yaml': PLAIN, 'jobs/a/web.yaml': 'v1' }, 'first');
    served = path.join(root, 'served/ship.git');
    git(root, 'clone', '--quiet', '--bare', workTree, served);
    git(workTree, 'remote', 'add', 'origin', served);
    server = await startGitServer({ root: path.join(root, 'served'), login: null });
  });
  afterEach(async () => {
    for (const source of opened.splice(0)) source.close();
    await server.close();
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });

  test('a host that takes branches only: records go there, a restart reads them, no notes', async () => {
    refuseOthers();
    const refused = await failureOf(open().read());
    expect(refused.message).toContain('only branches and tags are taken here');
    expect(refused.message).toContain('`ledger: branch`');
    const head = says(ON_BRANCH);
    const source = open();
    expect((await source.read()).head.oid).toBe(head);
    await source.record([synced(head)]);
    await source.notes.update(head, () => 'a note');
    expect(refsServed()).toEqual(['refs/heads/main', BRANCH]);
    const again = await open().read();
    expect(again.ledger).toContainEqual(synced(head));
    expect(again.ledger).toEqual((await source.read()).ledger);
  });

  test('a record before the first read goes to the branch too', async () => {
    refuseOthers();
    const head = says(ON_BRANCH);
    await open().record([synced(head)]);
    expect(refsServed()).toEqual(['refs/heads/main', BRANCH]);
  });

  test('the field is followed under way and back; nothing is lost, old records are not taken', async () => {
    const source = open();
    const first = (await source.read()).head.oid;
    await source.record([synced(first)]);
    const head = says(ON_BRANCH);
    await source.refresh();
    expect((await source.read()).ledger).toContainEqual(synced(first));
    await source.record([synced(head)]);
    const old = tip(REF);
    expect(git(served, 'merge-base', REF, BRANCH)).toBe(old);
    expect((await open().read()).ledger).toContainEqual(synced(head));
    expect((await open({ readOnly: true }).read()).ledger).toContainEqual(synced(head));
    says(PLAIN);
    const told = await failureOf(open().read());
    expect(told).toMatchObject({ consequence: 'broken' });
    expect(told.message).toContain('two ledgers');
    expect(tip(REF)).toBe(old);
    git(served, 'update-ref', '-d', REF);
    const back = open();
    expect((await back.read()).ledger).toContainEqual(synced(head));
    expect(git(served, 'merge-base', REF, BRANCH)).toBe(tip(BRANCH));
    await source.refresh();
    expect((await source.read()).ledger).toContainEqual(synced(head));
  });

  test('a cluster.yaml that cannot be read moves nothing', async () => {
    says(ON_BRANCH);
    await open().read();
    for (const broken of ['', 'name: [', 'name: ship\nledgr: ref\n']) {
      says(broken);
      await open().read();
      expect(refsServed()).toEqual(['refs/heads/main', BRANCH]);
    }
  });
});
