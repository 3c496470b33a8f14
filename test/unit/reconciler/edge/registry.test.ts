// What a registry that wants a login makes the reconciler say, and that it is asked anew.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistry } from '../../../../reconciler/edge/registry.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const basic = (text: string) => Buffer.from(text).toString('base64');
const server = createServer((request, response) => {
  const known = request.headers.authorization === `Basic ${basic('ada:secret')}`;
  if (!known) response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' });
  else if (request.url?.endsWith('/1')) response.setHeader('docker-content-digest', DIGEST);
  else response.writeHead(404);
  response.end();
});
let host = '';
let dir = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  dir = mkdtempSync(join(tmpdir(), 'purser-registry-'));
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

const resolve = (credentials: string | null, tag = '1') => {
  const registry = createRegistry({ credentials, insecure: [host] });
  const reference = `${host}/app:${tag}`;
  return registry.resolve({ job: 'a/b', group: 'b', task: 'b', reference, commit: '1'.repeat(40) });
};
const logins = (text: string): string => {
  const path = join(dir, 'logins.json');
  writeFileSync(path, text);
  return path;
};

it('names the option where no file was given', async () => {
  expect(await resolve(null)).toMatchObject({
    why: 'login',
    message: `registry ${host} wants a login: give the reconciler and the nodes a file of credentials (--registry-credentials)`,
  });
});

it.each(['{}', 'not JSON', '{"auths":{"elsewhere":{"auth":"YTpi"}}}'])(
  'names the file that holds no login: %s',
  async (text) => {
    const path = logins(text);
    const message = `registry ${host} wants a login: there is none for ${host} in ${path}`;
    expect(await resolve(path)).toMatchObject({ why: 'login', message });
  },
);

it('does not take a missing file for a silent registry', async () => {
  const path = join(dir, 'missing.json');
  expect(await resolve(path)).toMatchObject({ why: 'login' });
});

it('says that a login is refused, and takes the corrected one', async () => {
  const wrong = logins(JSON.stringify({ auths: { [host]: { auth: basic('ada:wrong') } } }));
  const message = `registry ${host} refuses the login that ${wrong} has for ${host}: correct it there`;
  expect(await resolve(wrong)).toMatchObject({ why: 'login', message });
  const right = logins(JSON.stringify({ auths: { [host]: { auth: basic('ada:secret') } } }));
  expect(await resolve(right)).toEqual({ kind: 'digest', digest: DIGEST });
  const none = `registry ${host} has no ${host}/app:2`;
  expect(await resolve(right, '2')).toMatchObject({ why: 'not-found', message: none });
});
