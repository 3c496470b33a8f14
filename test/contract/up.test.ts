// What `purser up` does besides one node on a local repository: several nodes that share a machine,
// networks that keep out of each other's way, repositories without a work tree here.

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StateAnswer } from '../../schema/control.ts';
import { connect } from '../../cli/client.ts';
import { hubName, joinNodes, netnsName, partNodes } from '../../cli/up/networks.ts';
import { appJob } from '../support/app.ts';
import { pushApp } from '../support/cluster.ts';
import { run } from '../support/command-line.ts';
import { startEtcd } from '../support/etcd.ts';
import { commitFiles, git, initRepository } from '../support/git-repo.ts';
import { startGitServer } from '../support/git-server.ts';
import { testRegistry } from '../support/registry.ts';

const PURSER = join(resolve(import.meta.dirname, '../..'), 'purser');
const LIMIT_MS = 110_000;

let root: string;
let undo: (() => Promise<unknown> | void)[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pu-'));
  undo = [() => rmSync(root, { recursive: true, force: true, maxRetries: 5 })];
});
afterEach(async () => {
  for (const step of undo.toReversed()) await step();
});

const ip = (...args: readonly string[]): string => execFileSync('ip', args).toString();

interface Up {
  readonly said: () => string;
  readonly state: () => Promise<StateAnswer>;
  /** As Ctrl-C does; resolves when it is gone. */
  readonly end: () => Promise<void>;
}

/** An `up` that is ended and put away with the test. */
const startUp = async (words: readonly string[], at = root): Promise<Up> => {
  execFileSync(PURSER, ['--version'], { stdio: 'ignore' }); // builds dist/ where it is old
  const child = spawn(PURSER, ['up', ...words, '--root', at]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said += data.toString()));
  undo.push(async () => {
    await run(PURSER, ['down', '--volumes', '--root', at]);
    if (child.exitCode === null) child.kill('SIGKILL');
  });
  const until = performance.now() + LIMIT_MS;
  while (!said.includes('Ctrl-C stops Purser')) {
    if (child.exitCode !== null || performance.now() > until) throw new Error(`not up:\n${said}`);
    await new Promise((next) => setTimeout(next, 50));
  }
  const state = async (): Promise<StateAnswer> => {
    const control = await connect(join(at, 'control.sock'));
    try {
      return await control.call<StateAnswer>('state');
    } finally {
      control.close();
    }
  };
  const end = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
  };
  return { said: () => said, state, end };
};

/** A bare repository with one job on a registry of the test's own. */
const bareRepository = async (
  more: readonly string[] = [],
): Promise<{ readonly dir: string; readonly registry: string }> => {
  const registry = await testRegistry();
  undo.push(registry.close);
  await pushApp(registry, '1');
  const work = initRepository(join(root, 'work'));
  git(work, 'config', 'user.name', 'Ada');
  git(work, 'config', 'user.email', 'ada@example.org');
  const cluster = `name: far\npolicies: {registries: ["${registry.host}"]}\n`;
  const web = appJob({ image: `${registry.host}/app:1`, version: '1', more });
  commitFiles(work, { 'cluster.yaml': cluster, 'jobs/shop/web.yaml': web }, 'A shop');
  const dir = join(root, 'served/shop.git');
  git(root, 'clone', '--quiet', '--bare', work, dir);
  git(dir, 'config', 'http.receivepack', 'true');
  return { dir, registry: registry.host };
};

test('nodes of two clusters, and a route that is there already, keep apart', async () => {
  const other = join(root, 'other');
  undo.push(() => partNodes(root, ['n1', 'n2']));
  const names = ['n1', 'n2'] as const;
  const first = await joinNodes(root, [...names]);
  const address = first.get('n1')?.address ?? '';
  const subnet = address.replace(/\.\d+$/, '');
  expect(subnet).toMatch(/^10\.86\.\d+$/);
  expect(await joinNodes(root, [...names])).toEqual(first);
  // What nodes are sending must not go astray when another one joins or leaves.
  const hub = readFileSync(`/sys/class/net/${hubName(root)}/address`, 'utf8');
  ip('link', 'set', `${hubName(root)}-0`, 'address', '02:00:00:00:00:00');
  expect(readFileSync(`/sys/class/net/${hubName(root)}/address`, 'utf8')).toBe(hub);
  await partNodes(root, names);
  expect(ip('link')).not.toContain(hubName(root));
  // Now somebody else has that subnet: a VPN, say.
  const link = `pu${createHash('sha256').update(root).digest('hex').slice(0, 8)}`;
  ip('link', 'add', link, 'type', 'bridge');
  undo.push(() => void ip('link', 'del', link));
  ip('address', 'add', `${subnet}.77/28`, 'dev', link);
  ip('link', 'set', link, 'up');
  const second = await joinNodes(root, [...names]);
  expect(second.get('n1')?.address).not.toContain(`${subnet}.`);
  undo.push(() => partNodes(other, ['n1']));
  const third = await joinNodes(other, ['n1']);
  const subnets = [second, third].map((made) => made.get('n1')?.address.split('.')[2]);
  expect(new Set(subnets).size).toBe(2);
  ip('netns', 'exec', netnsName(root, 'n1'), 'true');
});

test('two nodes share the machine, and say so; a remote repository is followed and written', async () => {
  // Nodes in namespaces of their own do not reach a registry on the machine's loopback.
  const { dir, registry } = await bareRepository(['stopped: true']);
  const server = await startGitServer({ root: join(root, 'served'), login: 'x:secret-word' });
  undo.push(server.close);
  const token = join(root, 'token');
  writeFileSync(token, 'secret-word\n', { mode: 0o600 });
  const url = `${server.url}/shop.git`;
  const open = await run(PURSER, ['up', url, '--root', join(root, 'refused')]);
  expect(open.code).not.toBe(0);
  expect(open.err).toContain(`${url} cannot be read`);
  const withLogin = url.replace('http://', 'http://x:secret-word@');
  const flags = ['--nodes', '2', '--memory', '512MiB', '--insecure-registry', registry];
  const up = await startUp([withLogin, ...flags]);
  expect(up.said()).toContain(`Starting far from ${url} (2 nodes)`);
  expect(up.said()).toContain('Add nodes n1, n2');
  expect(up.said()).toMatch(/Each node counts on [\d.]+m? CPU: this machine's, divided by 2\./);
  expect(up.said()).toContain('git clone -b main');
  expect(up.said()).not.toContain('secret-word');
  expect(git(dir, 'show', 'main:nodes/n2.yaml')).toContain('node: n2');
  // Nothing is to be started: `up` waits for no node.
  await expect
    .poll(async () => (await up.state()).view?.live.nodes.length, { timeout: LIMIT_MS })
    .toBe(2);
  const { view, repository } = await up.state();
  expect(repository).toBe(url);
  const machine = availableParallelism() * 1000;
  for (const node of view?.live.nodes ?? []) {
    expect(node.capacity.memoryBytes).toBe(512 * 1024 ** 2);
    expect(node.capacity.cpuMilli).toBeLessThanOrEqual(machine / 2);
    expect(node.capacity.cpuMilli).toBeGreaterThan(machine / 4);
  }
});

test('a bare repository on this machine gets its node by a commit too', async () => {
  const { dir, registry } = await bareRepository();
  mkdirSync(join(root, 'x'), { recursive: true });
  const up = await startUp([dir, '--cpu', '500m', '--insecure-registry', registry]);
  expect(up.said()).toContain('Add node n1');
  expect(git(dir, 'log', '-1', '--format=%s', 'main')).toBe('Add node n1');
  const { view } = await up.state();
  expect(view?.live.nodes.map(({ capacity }) => capacity.cpuMilli)).toEqual([500]);
});

test('with --etcd two of them are one cluster: each is a node, one leads, and the other takes over', async () => {
  const { dir, registry } = await bareRepository(['count: 2']);
  const server = await startGitServer({ root: join(root, 'served'), login: null });
  undo.push(server.close);
  const etcd = await startEtcd(1);
  undo.push(etcd.close);
  await etcd.ready();
  const [first, second] = [join(root, 'a'), join(root, 'b')];
  const [net, backup] = [`127.9.${1 + (process.pid % 250)}`, join(root, 'backup.tgz')];
  const ask = [`${server.url}/shop.git`, '--etcd', etcd.hosts.join(), '--lease', '3s'];
  const words = [...ask, '--cpu', '500m', '--insecure-registry', registry];
  const here = [...words, '--name', 'r1', '--listen', `${net}.1`];
  const purser = async (at: string, ...args: readonly string[]): Promise<string> => {
    const { code, out, err } = await run(PURSER, [...args, '--root', at]);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`);
    return out;
  };
  const one = await startUp(here, first);
  expect(one.said()).toContain('Joined as r1');
  await purser(first, 'backup', backup);
  await purser(second, 'restore', backup);
  const two = await startUp([...words, '--name', 'r2', '--listen', `${net}.2`], second);
  expect(two.said()).toContain('Joined as r2');
  expect(git(dir, 'ls-tree', '--name-only', 'main:nodes')).toBe('r1.yaml\nr2.yaml');
  await expect
    .poll(() => purser(second, 'status'), { timeout: LIMIT_MS })
    .toMatch(/r1 leads[^\n]*standbys: r2 at/);
  await one.end();
  await expect.poll(() => purser(second, 'status'), { timeout: LIMIT_MS }).toContain('r2 leads');
  const again = await startUp(here, first);
  expect(again.said()).not.toContain('Joined as');
  await expect
    .poll(() => purser(first, 'status'), { timeout: LIMIT_MS })
    .toMatch(/is a standby: r2 leads/);
  // Its runner was started with it, and dials by itself.
  const connected = async (): Promise<unknown> =>
    (await two.state()).view?.live.nodes.map((node) => node.connected);
  await expect.poll(connected, { timeout: LIMIT_MS }).toEqual([true, true]);
});

test('a root where another cluster lives is not taken over, and nothing is committed', async () => {
  const work = initRepository(join(root, 'work'));
  commitFiles(work, { 'cluster.yaml': 'name: far\n' }, 'A cluster');
  const before = git(work, 'rev-parse', 'HEAD');
  const node = { name: 'n1', root: join(root, 'nodes/n1'), netns: null, log: join(root, 'n1.log') };
  const known = { repository: '/srv/shop', branch: 'main', directory: '', cluster: 'shop' };
  writeFileSync(join(root, 'up.json'), JSON.stringify({ ...known, nodes: [node] }));
  const { code, err } = await run(PURSER, ['up', work, '--root', root]);
  expect(code).toBe(2);
  expect(err).toContain(`${root} is the place of cluster shop (/srv/shop), and this one is far`);
  expect(git(work, 'rev-parse', 'HEAD')).toBe(before);
});
