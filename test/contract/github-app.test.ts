// A GitHub App made from a manifest, gone through as a person's browser goes: Purser's page, GitHub's
// page, the code, the key, the installation. The state, the code that is good once, secrets of their
// owner only, what runs out of time or is refused.

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { github } from '../../cli/github.ts';
import { makeApp, type AppAsk } from '../../cli/github-app.ts';
import { readForgeFile } from '../../cli/forge-file.ts';
import { submit, visit, type Page } from '../support/browser.ts';
import { commitFiles, initRepository, tempFolder } from '../support/git-repo.ts';
import { freePort } from '../support/registry.ts';
import { startGitHub, type GitHub, type GitHubOptions } from '../support/github/github.ts';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const startHub = async (options: GitHubOptions = {}): Promise<GitHub> => {
  const hub = await startGitHub({ app: null, ...options });
  ends.push(() => hub.close());
  hub.person('ada', 'admin');
  const folder = initRepository(tempFolder('setup'));
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  commitFiles(folder, { 'cluster.yaml': 'name: shop\n' }, 'first');
  await hub.push(folder, 'ada', 'main');
  return hub;
};

/** `purser github setup` under way, and what it has said so far. */
const setup = (hub: GitHub, given: Readonly<Record<string, unknown>> = {}) => {
  const root = mkdtempSync(join(tmpdir(), 'purser-setup-'));
  ends.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const stop = new AbortController();
  const screen = { tty: false, columns: 100, rows: 40 };
  const io = { out: say, err: say, ...screen, signal: stop.signal };
  const name = `${hub.owner}/${hub.name}`;
  const options = { repository: name, url: hub.url, branch: 'main', ...given };
  const common = { root, socket: join(root, 'control.sock'), json: false };
  const ended = github.run({ args: ['setup'], options, common, io });
  // Looked at below; until then it is nobody's.
  ended.catch(() => undefined);
  return { root, said, ended, stop: () => stop.abort() };
};

/** The address that it says to open. */
const pageOf = async (said: readonly string[]): Promise<string> => {
  await expect.poll(() => said.join('\n')).toContain('http://');
  return /http:\/\/127\.0\.0\.1:\d+\//.exec(said.join('\n'))?.[0] ?? '';
};

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

const addressOf = (page: Page): string => page.url.replace(/^http:\/\/[^/]+/, '');

test('an App of an organization: made, kept, installed and checked in one go', async () => {
  const hub = await startHub();
  const { root, said, ended } = setup(hub);
  const first = await visit(await pageOf(said));
  expect(first.text).toContain('Make the App on 127.0.0.1');
  const asked = await submit(first);
  expect(addressOf(asked)).toContain('/organizations/shop/settings/apps/new?state=');
  expect(asked.text).toContain('merge_queues: read');
  expect(asked.text).toContain('members: read'); // of the organization: who is in its teams
  expect(hub.hub.apps).toEqual([]); // nothing is made before a person agrees
  const install = await submit(asked, { as: 'ada' });
  expect(addressOf(install)).toMatch(/^\/apps\/purser-cluster-[0-9a-f]{4}\/installations\/new$/);
  const done = await submit(install, { repository: 'shop/cluster' });
  expect(addressOf(done)).toMatch(/^\/organizations\/shop\/settings\/installations\/\d+$/);
  expect(await ended).toBe(0);

  const [app] = hub.hub.apps;
  expect(app).toMatchObject({ owner: { login: 'shop' }, externalUrl: `${hub.url}/shop/cluster` });
  const folder = join(root, 'github');
  const files = ['forge.yaml', 'private-key.pem', 'webhook-secret'].map((name) =>
    join(folder, name),
  );
  expect([folder, ...files].map(modeOf)).toEqual(['700', '600', '600', '600']);
  expect(modeOf(root)).toBe('700'); // it was there before
  expect(readFileSync(files[1] ?? '', 'utf8').trim()).toBe(app?.privateKey.trim());
  expect(await readForgeFile(files[0] ?? '')).toMatchObject({
    credentials: { appId: app?.id, installation: hub.hub.installations[0]?.id },
  });
  const words = said.join('\n');
  expect(words).toContain(`The App ${app?.slug} is made`);
  expect(said).toContain(
    `  purser up ${hub.cloneUrl} --root ${root} --forge ${join(folder, 'forge.yaml')}`,
  );
  expect(words).toContain('✓ the App may do all it needs');
  expect(words).not.toContain('PRIVATE KEY');
  expect(words).not.toContain(app?.hook.secret ?? '');
});

test('an App of a person, for a repository of their own', async () => {
  const hub = await startHub({ repository: 'ada/cluster', ownerKind: 'User' });
  const { said, ended } = setup(hub);
  const asked = await submit(await visit(await pageOf(said)));
  expect(addressOf(asked)).toMatch(/^\/settings\/apps\/new\?state=/);
  expect(asked.text).not.toContain('members: read');
  const done = await submit(await submit(asked, { as: 'ada' }));
  expect(addressOf(done)).toMatch(/^\/settings\/installations\/\d+$/);
  expect(await ended).toBe(0);
});

test('with a webhook: the App is made with its address, and a ping of GitHub arrives', async () => {
  const hub = await startHub();
  const port = new URL(await freeUrl()).port;
  const webhookUrl = `http://127.0.0.1:${port}/hook`;
  const { said, ended, root } = setup(hub, { webhookUrl, webhookListen: `127.0.0.1:${port}` });
  await submit(await submit(await submit(await visit(await pageOf(said)))));
  expect(await ended).toBe(0);
  expect(said).toContain('✓ a delivery of GitHub arrived, signed');
  expect(hub.hub.apps[0]?.hook.url).toBe(webhookUrl);
  expect(hub.deliveries().map(({ event }) => event)).toEqual([
    'ping',
    'installation',
    expect.any(String),
  ]);
  expect(readFileSync(join(root, 'github', 'forge.yaml'), 'utf8')).toContain('path: "/hook"');
});

const freeUrl = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`;

test('a second App is not made by accident', async () => {
  const hub = await startHub();
  const { said, ended, root } = setup(hub);
  await submit(await submit(await submit(await visit(await pageOf(said)))));
  expect(await ended).toBe(0);
  const again = setup(hub, {});
  rmSync(again.root, { recursive: true });
  const common = { root, socket: '', json: false };
  const io = { out: () => undefined, err: () => undefined, tty: false, columns: 80, rows: 24 };
  const options = { repository: 'shop/cluster', url: hub.url };
  const signal = new AbortController().signal;
  const run = github.run({ args: ['setup'], options, common, io: { ...io, signal } });
  await expect(run).rejects.toThrow(/forge\.yaml is there: `purser github setup` checks it/);
  again.stop();
  await expect(again.ended).rejects.toThrow('stopped before the App was made');
});

test('an App that is not installed: how to go on', async () => {
  const hub = await startHub();
  const { said, ended, stop, root } = setup(hub);
  await submit(await submit(await visit(await pageOf(said))));
  await expect.poll(() => said.join('\n')).toContain('Waiting until it is installed');
  stop();
  const error: unknown = await ended.catch((thrown: unknown) => thrown);
  const words = error instanceof Error ? error.message : '';
  expect(words).toContain('stopped before the App was installed in shop/cluster');
  const { id, slug } = hub.hub.apps[0] ?? {};
  expect(said).toContain(`Install it in shop/cluster: ${hub.url}/apps/${slug}/installations/new`);
  expect(words).toContain(
    `--url ${hub.url} --app-id ${id} --key-file ${join(root, 'github', 'private-key.pem')}`,
  );
});

test('an owner that is not there, and a GitHub that is not there', async () => {
  const hub = await startHub();
  await expect(setup(hub, { repository: 'shpo/cluster' }).ended).rejects.toThrow(
    `${hub.url} has no account shpo: look at --repository`,
  );
  await expect(setup(hub, { url: await freeUrl() }).ended).rejects.toThrow(
    /cannot be reached: .*ECONNREFUSED/,
  );
});

/** `makeApp` alone. */
const making = (hub: GitHub, given: Partial<AppAsk> = {}) => {
  const said: string[] = [];
  const made = makeApp({
    apiUrl: hub.api,
    owner: 'shop',
    repo: 'cluster',
    isOrganization: true,
    name: 'purser-test',
    webhookUrl: null,
    signal: new AbortController().signal,
    say: (line) => void said.push(line),
    keep: async () => undefined,
    ...given,
  });
  made.catch(() => undefined);
  return { said, made };
};

test('the page answers to its own names, with its own state, once', async () => {
  const hub = await startHub();
  const kept: string[] = [];
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { said, made } = making(hub, {
    keep: async ({ slug }) => {
      kept.push(slug);
      await held;
    },
  });
  const page = await pageOf(said);
  const { port } = new URL(page);
  expect((await visit(`http://localhost:${port}/`)).status).toBe(200);
  expect((await rawGet(Number(port), '/', 'evil.example')).status).toBe(404);
  expect((await visit(`${page}created?code=abc&state=wrong`)).status).toBe(404);
  expect((await visit(`${page}created?code=abc`)).status).toBe(404);
  expect((await visit(`${page}created`)).status).toBe(404);
  const asked = await submit(await visit(page));
  const first = submit(asked);
  await expect.poll(() => kept).toEqual(['purser-test']);
  const state = new URL(asked.url).searchParams.get('state');
  expect((await visit(`${page}created?code=abc&state=${state}`)).status).toBe(409);
  release();
  expect(addressOf(await first)).toBe('/apps/purser-test/installations/new');
  expect((await made).slug).toBe('purser-test');
  await expect(visit(page)).rejects.toThrow('fetch failed'); // nobody listens any more
});

test('a code that GitHub does not take is told in the browser and in the terminal', async () => {
  const hub = await startHub();
  const { said, made } = making(hub);
  const page = await pageOf(said);
  const asked = await submit(await visit(page));
  const state = new URL(asked.url).searchParams.get('state');
  const refused = await visit(`${page}created?code=forged&state=${state}`);
  expect(refused.status).toBe(502);
  expect(refused.text).toContain('GitHub does not give out the App');
  await expect(made).rejects.toThrow("GitHub does not give out the App's key (404): run");
});

test('nobody comes back, or Ctrl-C: it ends, and nothing listens', async () => {
  const hub = await startHub();
  const late = making(hub, { patienceMs: 50 });
  await expect(late.made).rejects.toThrow('nobody came back from GitHub within 1 min');
  await expect(visit(await pageOf(late.said))).rejects.toThrow('fetch failed');
  const stop = new AbortController();
  const stopped = making(hub, { signal: stop.signal });
  const page = await pageOf(stopped.said);
  stop.abort();
  await expect(stopped.made).rejects.toThrow('stopped before the App was made');
  await expect(visit(page)).rejects.toThrow('fetch failed');
});

/** fetch does not let a host be claimed. */
const rawGet = async (port: number, path: string, host: string): Promise<{ status: number }> => {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const sent = request({ port, path, headers: { host } }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
    sent.on('error', reject).end();
  });
};
