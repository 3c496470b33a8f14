// A repository that the App alone may read: `purser up --forge` reads it with the App's token from
// the start, and shows that token to nobody else.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loginOf } from '../../cli/up/login.ts';
import { clusterName } from '../../cli/up/repository.ts';
import { commitFiles, initRepository, tempFolder } from '../support/git-repo.ts';
import { startGitHub, type GitHub } from '../support/github/github.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const world = async () => {
  const hub = await startGitHub({ private: true });
  ends.push(() => hub.close());
  const folder = initRepository(tempFolder('login'));
  const root = mkdtempSync(join(tmpdir(), 'purser-login-'));
  for (const path of [folder, root]) {
    ends.push(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  }
  commitFiles(folder, { 'cluster.yaml': 'name: shop\n' }, 'first');
  await hub.push(folder, 'ada', 'main');
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  const forge = join(root, 'forge.yaml');
  const { id, installationId } = hub.app;
  const app = `{id: ${id}, installation: ${installationId}, private_key_file: key.pem}`;
  writeFileSync(forge, `github: ${hub.url}\nrepository: shop/cluster\napp: ${app}\n`);
  return { hub, root, forge };
};

const nameIn = async (hub: GitHub, root: string, forge: string | null): Promise<string> => {
  const login = await loginOf(hub.cloneUrl, { tokenFile: null, forge });
  const repository = { url: hub.cloneUrl, workTree: null, branch: 'main' };
  return clusterName({ repository, directory: '', cacheDir: root, login });
};

test('a private repository is read with the App alone', async () => {
  const { hub, root, forge } = await world();
  await expect(nameIn(hub, root, null)).rejects.toThrow('cannot be read');
  expect(await nameIn(hub, root, forge)).toBe('shop');
});

test('an App that is not installed is told at once', async () => {
  const { hub, root, forge } = await world();
  hub.uninstall();
  await expect(nameIn(hub, root, forge)).rejects.toThrow(
    /cannot be read: Purser's GitHub App is not installed in shop\/cluster/,
  );
});

test('the token goes to the site of the forge only, and gives way to another login', async () => {
  const { hub, root, forge } = await world();
  const given = { tokenFile: null, forge };
  expect(await loginOf('https://git.example/shop/cluster.git', given)).toBeNull();
  expect(await loginOf('git@github.com:shop/cluster.git', given)).toBeNull();
  expect(await loginOf(hub.pushUrl('ada'), given)).toBeNull();
  const tokenFile = join(root, 'token');
  writeFileSync(tokenFile, 'other\n');
  const login = await loginOf(hub.cloneUrl, { tokenFile, forge });
  expect(await login?.()).toEqual({ kind: 'token', token: 'other' });
  await expect(loginOf(hub.cloneUrl, { tokenFile: null, forge: '/no/file' })).rejects.toThrow(
    'purser github setup',
  );
});
