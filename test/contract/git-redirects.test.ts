// Where a Git remote leads to: a repository that was renamed is followed on its host, with the login;
// another host is not asked, and gets none. In: the local GitHub, a server that leads elsewhere. Out:
// tests. Not here: the API's redirects (github-abuse).

import { once } from 'node:events';
import { rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createPullReader } from '../../reconciler/edge/git/pulls.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import { tempFolder } from '../support/git-repo.ts';
import { endWorlds, world } from '../support/github-edge.ts';

const ends: (() => void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) end();
  await endWorlds();
});

const log = { info: () => {}, warn: () => {}, error: () => {} };

const readers = (repository: string, token: string) => {
  const cacheDir = tempFolder('redirects');
  ends.push(() => rmSync(cacheDir, { recursive: true, force: true, maxRetries: 5 }));
  const auth = () => Promise.resolve({ kind: 'token', user: 'x-access-token', token } as const);
  const names = { branch: 'main', directory: '', cluster: 'test', cacheDir, log, auth };
  const source = createGitSource({ repository, ...names });
  const pulls = createPullReader({ repository, ...names });
  ends.push(source.close, pulls.close);
  return { source, pulls };
};

test('a renamed repository is read, pull requests too, by its old address', async () => {
  const { hub, pull, main } = await world({ private: true });
  const { head } = await pull('topic');
  const { source, pulls } = readers(hub.cloneUrl, hub.person('ada').token);
  hub.rename('cluster-two');
  expect((await source.read()).head.oid).toBe(main);
  expect((await pulls.read({ base: main, head })).kind).toBe('untouched');
});

test('another host that Git is led to is not asked, and its name is said', async () => {
  const { hub, pull, main } = await world({ private: true });
  const { head } = await pull('topic');
  const asked: string[] = [];
  const other = http.createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
    response.writeHead(404).end();
  });
  const leading = http.createServer((request, response) => {
    const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}${request.url}`;
    response.writeHead(301, { location }).end();
  });
  for (const server of [other, leading]) {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ends.push(() => void server.close());
  }
  const url = `http://127.0.0.1:${(leading.address() as AddressInfo).port}/shop/cluster.git`;
  const { source, pulls } = readers(url, hub.person('ada').token);
  await expect(source.read()).rejects.toThrow(/leads to http:\/\/127\.0\.0\.1:\d+, which is not/);
  await expect(pulls.read({ base: main, head })).rejects.toThrow(/cannot be fetched|not been read/);
  expect(asked).toEqual([]);
});
