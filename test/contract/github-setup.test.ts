// `purser github setup` against the local GitHub: an App that is there, one made from a manifest, a
// token; what is missing is named; secrets are files of their owner only and are never printed.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { github } from '../../cli/github.ts';
import { PERMISSIONS, TEAM_PERMISSIONS } from '../../reconciler/edge/forge/permissions.ts';
import { forgeFileText, parseForgeFile, readForgeFile } from '../../cli/forge-file.ts';
import { freePort } from '../support/registry.ts';
import * as changes from '../support/github/changes.ts';
import { startGitHub, type GitHub } from '../support/github/github.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const world = async (options: Parameters<typeof startGitHub>[0] = {}) => {
  const hub = await startGitHub(options);
  ends.push(() => hub.close());
  const root = mkdtempSync(join(tmpdir(), 'purser-setup-'));
  ends.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
  const printed: string[] = [];
  const say = (line: string) => void printed.push(line);
  const io = {
    out: say,
    err: say,
    tty: false,
    columns: 100,
    rows: 40,
    signal: new AbortController().signal,
  };
  const run = (given: Readonly<Record<string, unknown>>, json = false): Promise<number> => {
    const options = { repository: 'shop/cluster', url: hub.url, branch: 'main', ...given };
    const common = { root, socket: join(root, 'control.sock'), json };
    return github.run({ args: ['setup'], options, common, io });
  };
  return { hub, root, printed, run };
};

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('an App that is there: kept, checked, and read by --forge', async () => {
  const { hub, root, printed, run } = await world();
  await aPull(hub);
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  const given = { appId: String(hub.app.id), keyFile: join(root, 'key.pem') };
  expect(await run(given)).toBe(0);
  const file = join(root, 'github', 'forge.yaml');
  expect([join(root, 'github'), file, join(root, 'github', 'private-key.pem')].map(modeOf)).toEqual(
    ['700', '600', '600'],
  );
  expect(await readForgeFile(file)).toMatchObject({
    apiUrl: hub.api,
    owner: 'shop',
    repo: 'cluster',
    credentials: { kind: 'app', appId: hub.app.id, installation: hub.app.installationId },
  });
  expect(printed.join('\n')).toContain('✓ the App may do all it needs');
  expect(printed.join('\n')).not.toContain('PRIVATE KEY');
});

test('what is missing is named with the way to mend it', async () => {
  const { hub, root, printed, run } = await world();
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  hub.permit({ metadata: 'read', checks: 'read', contents: 'write' });
  hub.protect([{ requirePull: true }]);
  const given = { appId: String(hub.app.id), keyFile: join(root, 'key.pem') };
  expect(await run(given, true)).toBe(1);
  const { ok, findings } = JSON.parse(printed.at(-1) ?? '') as {
    ok: boolean;
    findings: { name: string; state: string; fix?: string }[];
  };
  expect(ok).toBe(false);
  const missing = findings.filter(({ state }) => state === 'missing');
  expect(missing.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['permission checks', 'permission deployments', 'branch']),
  );
  expect(missing.every(({ fix }) => fix !== undefined)).toBe(true);
  expect(missing.find(({ name }) => name === 'branch')?.fix).toContain('«Bypass list»');
  expect(missing.find(({ name }) => name === 'permission checks')?.fix).toBe(
    `grant it at ${hub.url}/organizations/shop/settings/apps/purser/permissions, then accept it ` +
      `at ${hub.url}/organizations/shop/settings/installations/${hub.app.installationId}`,
  );
});

test.each<readonly [string, (hub: GitHub) => void, RegExp]>([
  ['suspended', (hub) => changes.suspend(hub, true), /^✗ Purser's GitHub App is suspended for/],
  [
    'uninstalled',
    (hub) => hub.uninstall(),
    /^✗ Purser's GitHub App is not installed in shop.clust/,
  ],
  [
    'not selected in a public repository',
    (hub) => changes.select(hub, false),
    /✗ the App is not installed in shop\/cluster \(any more\)\n +install it, or add the repository to those that it may see, at http:\S+\/apps\/purser\/installations\/new\n/,
  ],
  [
    'transferred',
    (hub) => changes.transfer(hub, 'mall'),
    /✗ the App is not installed in shop\/cluster/,
  ],
  [
    'archived',
    (hub) => changes.setRepo(hub, { archived: true }),
    /✗ shop\/cluster is archived\n +unarchive it/,
  ],
])('a setup that was fine, and then %s: the check says so', async (_, act, says) => {
  const { hub, root, printed, run } = await world();
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  await run({ appId: String(hub.app.id), keyFile: join(root, 'key.pem') });
  printed.length = 0;
  act(hub);
  expect(await run({ repository: undefined, url: undefined })).toBe(1);
  expect(printed.join('\n')).toMatch(says);
});

test('the webhook is checked by a delivery that GitHub sends', async () => {
  const { hub, root, printed, run } = await world();
  const port = await freePort();
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  hub.hook('http://127.0.0.1:9/old');
  hub.comment((await aPull(hub)).number, 'ada', 'something to tell');
  await hub.settled();
  const given = {
    appId: String(hub.app.id),
    keyFile: join(root, 'key.pem'),
    webhookUrl: `http://127.0.0.1:${port}/webhook`,
    webhookListen: `127.0.0.1:${port}`,
  };
  expect(await run(given)).toBe(0);
  expect(printed.join('\n')).toContain('✓ a delivery of GitHub arrived, signed');
  expect(modeOf(join(root, 'github', 'webhook-secret'))).toBe('600');
});

/** An App whose webhook leads somewhere, and what setup says of it. */
const withHook = async (
  act: (at: { hub: GitHub; port: number }) => Promise<string> | string,
): Promise<{ code: number; words: string }> => {
  const { hub, root, printed, run } = await world();
  const port = await freePort();
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  hub.hook('http://127.0.0.1:9/old');
  hub.comment((await aPull(hub)).number, 'ada', 'something to tell');
  await hub.settled();
  const webhookUrl = await act({ hub, port });
  const code = await run({
    appId: String(hub.app.id),
    keyFile: join(root, 'key.pem'),
    webhookUrl,
    webhookListen: `127.0.0.1:${port}`,
  });
  return { code, words: printed.join('\n') };
};

test('a webhook whose deliveries do not arrive: what GitHub says of them', async () => {
  const { code, words } = await withHook(() => 'http://127.0.0.1:9/webhook');
  expect(code).toBe(1);
  expect(words).toMatch(
    /✗ GitHub's deliveries to http:\/\/127.0.0.1:9\/webhook do not arrive: GitHub: failed to connect/,
  );
  expect(words).toMatch(
    /let http:\/\/127.0.0.1:9\/webhook lead to http:\/\/127.0.0.1:\d+\/webhook/,
  );
});

test('a webhook whose deliveries arrive changed', async () => {
  const { code, words } = await withHook(async ({ port }) => changing(port));
  expect(code).toBe(1);
  expect(words).toContain('do not arrive: a delivery was refused: the signature is not that of');
});

test('a webhook that a Purser which runs receives', async () => {
  const { code, words } = await withHook(async ({ port }) => {
    await serve((_, response) => void response.writeHead(202).end(), port);
    return `http://127.0.0.1:${port}/webhook`;
  });
  expect(words).toContain('✓ a delivery of GitHub was taken by what listens at 127.0.0.1:');
  expect(code).toBe(0);
});

const serve = async (listener: http.RequestListener, port = 0): Promise<number> => {
  const server = http.createServer(listener);
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  ends.push(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};

/** A proxy that writes every body anew, as some do. */
const changing = async (port: number): Promise<string> => {
  const listener: http.RequestListener = (request, response) => {
    const headers = { ...request.headers };
    delete headers['content-length'];
    const onward = { port, path: request.url, method: 'POST', headers };
    const sent = http.request(onward, (answer) => {
      answer.resume();
      response.writeHead(answer.statusCode ?? 502).end();
    });
    request.on('data', (part: Buffer) => sent.write(part));
    request.on('end', () => sent.end(' '));
  };
  return `http://127.0.0.1:${await serve(listener)}/webhook`;
};

test('a token in place of an App; one that may not write', async () => {
  const { hub, root, printed, run } = await world();
  await aPull(hub);
  writeFileSync(join(root, 'token'), hub.person('robot', 'write').token);
  expect(await run({ tokenFile: join(root, 'token') })).toBe(0);
  writeFileSync(join(root, 'token'), hub.person('reader', 'read').token);
  expect(await run({ tokenFile: join(root, 'token') })).toBe(1);
  expect(printed.join('\n')).toContain('✗ the token may not write to shop/cluster');
});

test('teams in owners: the permission is missing only where one is named', async () => {
  const { hub, root, printed, run } = await world();
  await aPull(hub, { 'cluster.yaml': 'name: shop\nowners: |\n  /jobs/ @shop/web @ada\n' });
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  const given = { appId: String(hub.app.id), keyFile: join(root, 'key.pem') };
  expect(await run(given)).toBe(1);
  const words = printed.join('\n');
  expect(words).toContain(
    '✗ the App lacks «Members: Read-only», and `owners` names @shop/web: ' +
      'who approves for a team cannot be known',
  );
  expect(words).toContain(`${hub.url}/organizations/shop/settings/apps/purser/permissions`);
  expect(words).toContain('It runs as it is, too:');
  hub.permit({ ...PERMISSIONS, ...TEAM_PERMISSIONS });
  expect(await run(given)).toBe(0);
  hub.permit(PERMISSIONS);
  expect(await run({ ...given, directory: 'elsewhere' })).toBe(0);
  writeFileSync(join(root, 'token'), hub.person('robot', 'write').token);
  expect(await run({ tokenFile: join(root, 'token') })).toBe(0);
  expect(printed.join('\n')).toContain('? `owners` names @shop/web: whether the token may read');
});

test('a setup that is run again keeps what a person has set', async () => {
  const { hub, root, run } = await world();
  await aPull(hub);
  writeFileSync(join(root, 'token'), hub.person('robot', 'write').token);
  const hook = { webhookUrl: 'https://purser.example/hook', webhookListen: '127.0.0.1:0' };
  await run({ tokenFile: join(root, 'token'), ...hook });
  const file = join(root, 'github', 'forge.yaml');
  const secret = readFileSync(join(root, 'github', 'webhook-secret'), 'utf8');
  const set = readFileSync(file, 'utf8').replace('comments: true', 'comments: false');
  writeFileSync(file, `${set}environment_url: https://shop.example\n`);
  const { comments, environmentUrl, webhook } = await readForgeFile(file);
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey);
  await run({ appId: String(hub.app.id), keyFile: join(root, 'key.pem') });
  const kept = await readForgeFile(file);
  expect(kept).toMatchObject({ comments: false, environmentUrl, webhook });
  expect(kept.credentials.kind).toBe('app');
  expect([comments, environmentUrl]).toEqual([false, 'https://shop.example']);
  await run({ tokenFile: join(root, 'token'), webhookUrl: hook.webhookUrl });
  expect(await readForgeFile(file)).toMatchObject({ comments: false, environmentUrl, webhook });
  expect(readFileSync(join(root, 'github', 'webhook-secret'), 'utf8')).toBe(secret);
  writeFileSync(file, 'github: [\n');
  await expect(run({ tokenFile: join(root, 'token') })).rejects.toThrow(/forge\.yaml:\d+: /);
});

test('words that lead nowhere are refused before anything is written', async () => {
  const { run } = await world({ app: null });
  await expect(run({ repository: 'shop' })).rejects.toThrow('write OWNER/NAME');
  await expect(run({ url: 'https://x/y' })).rejects.toThrow('without a path');
  await expect(run({ appId: '3' })).rejects.toThrow('both --app-id and --key-file');
});

test('the file: an address of the environment is read, and written again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'purser-forge-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const file = join(folder, 'forge.yaml');
  writeFileSync(join(folder, 't'), 'token');
  const text = 'github: https://github.com\nrepository: a/b\ntoken_file: t\n';
  writeFileSync(file, text);
  expect(await readForgeFile(file)).not.toHaveProperty('environmentUrl');
  writeFileSync(file, `${text}environment_url: https://shop.example\n`);
  const config = await readForgeFile(file);
  expect(config.environmentUrl).toBe('https://shop.example');
  expect(parseForgeFile(file, forgeFileText(config)).environment_url).toBe('https://shop.example');
});

test('the file: what is wrong is named with its line', () => {
  const good = 'github: https://github.com\nrepository: a/b\ntoken_file: t\n';
  expect(parseForgeFile('f.yaml', good)).toMatchObject({ repository: 'a/b' });
  const wrong = (text: string) => () => parseForgeFile('f.yaml', text);
  expect(wrong(`${good}tokn: x\n`)).toThrow('f.yaml:4: unknown field `tokn`');
  expect(wrong(good.replace('a/b', 'ab'))).toThrow('f.yaml:2: `repository` is written OWNER/NAME');
  expect(wrong('github: https://github.com\nrepository: a/b\n')).toThrow('it has neither');
  expect(wrong(`${good}app: {id: 1, instalation: 2, private_key_file: k}\n`)).toThrow(
    'unknown field `instalation`: did you mean `installation`?',
  );
  const address = 'https://shop.example/?all';
  const named = (url: string) => `${good}environment_url: ${url}\n`;
  expect(parseForgeFile('f.yaml', named(address))).toMatchObject({ environment_url: address });
  const words = 'f.yaml:4: `environment_url` is the address where people see';
  const bad = ['shop.example', 'ftp://shop.example', 'http://:80', 'https://me:key@shop.example'];
  for (const url of bad) expect(wrong(named(url)), url).toThrow(words);
  expect(wrong('a: [\n')).toThrow(/^f\.yaml:\d+: /);
});

const aPull = async (
  hub: Awaited<ReturnType<typeof startGitHub>>,
  files: Readonly<Record<string, string>> = {},
) => {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const work = mkdtempSync(join(tmpdir(), 'purser-work-'));
  ends.push(() => rmSync(work, { recursive: true, force: true, maxRetries: 5 }));
  const git = (...args: readonly string[]) =>
    promisify(execFile)('git', ['-C', work, '-c', 'user.name=A', '-c', 'user.email=a@b', ...args]);
  await git('init', '-q', '-b', 'main');
  for (const [path, text] of Object.entries(files)) writeFileSync(join(work, path), text);
  await git('add', '.');
  await git('commit', '-q', '--allow-empty', '-m', 'first');
  await git('push', '-q', hub.pushUrl('ada'), 'main');
  await git('commit', '-q', '--allow-empty', '-m', 'second');
  await git('push', '-q', hub.pushUrl('ada'), 'main:topic');
  await hub.settled();
  return hub.openPull({ head: 'topic', by: 'ada' });
};

test('readable by nobody else, also when the file was there before', async () => {
  const { hub, root, run } = await world();
  writeFileSync(join(root, 'key.pem'), hub.app.privateKey, { mode: 0o644 });
  const given = { appId: String(hub.app.id), keyFile: join(root, 'key.pem') };
  await run(given);
  await run(given);
  expect(modeOf(join(root, 'github', 'private-key.pem'))).toBe('600');
  expect(readFileSync(join(root, 'github', 'forge.yaml'), 'utf8')).not.toContain('KEY-----');
});
