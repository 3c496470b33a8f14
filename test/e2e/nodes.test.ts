// Nodes that are drained, die, come back, or cannot be reached: their work goes elsewhere once,
// named volumes stay.
// The reconciler lives in a namespace of its own, and the nodes join it by TLS; cables of nodes are
// cut.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import type { Cluster, TestNode } from '../support/cluster.ts';
import {
  liveCopies,
  onceEach,
  pidsOf,
  runningTasks,
  startCluster,
  urlsOf,
} from '../support/cluster.ts';
import { processesOf } from '../support/cluster-leftovers.ts';
import { get, traffic } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const STORE = 'shop/store';
const COUNT = 4;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    nodes: 3,
    link: 'tls',
    // More than twice what lies between two reports: a busy machine is late with one.
    settings: ['lost_after: 12s'],
    files: {},
  });
  // Nothing moves to a node that comes later.
  await cluster.until('all nodes are heard', ({ view }) => {
    const heard = view.live.nodes.filter(({ connected }) => connected).length;
    return heard === 3 || `${heard} are`;
  });
  const files = {
    [FILE]: appJob({ image: '%APP%', version: '1', count: COUNT }),
    'jobs/shop/store.yaml': appJob({
      image: '%APP%',
      version: 's',
      count: 1,
      more: ['volumes: ["data:/data"]'],
    }),
  };
  cluster.commit(files, 'The jobs');
  await cluster.settled(WEB);
  await cluster.settled(STORE);
});
afterAll(() => cluster?.close());

const nodesOf = async (job: string): Promise<readonly string[]> =>
  liveCopies(await cluster.state(), job).map(({ node }) => node);

/** A node with copies of web that does not hold the store. */
const plainNode = async (): Promise<TestNode> => {
  const [home] = await nodesOf(STORE);
  const name = (await nodesOf(WEB)).find((node) => node !== home);
  return cluster.node(name ?? '');
};

const expectOnce = async (): Promise<void> => {
  const state = await onceEach(cluster, WEB, 60_000);
  const copies = liveCopies(state, WEB);
  expect(copies.length).toBe(COUNT);
  const all = [...copies, ...liveCopies(state, STORE)];
  const wanted = all.map(({ allocation, body }) => `${allocation}.${body.job}`).toSorted();
  await expect.poll(() => runningTasks(cluster), { interval: 200 }).toEqual(wanted);
  expect(await Promise.all(urlsOf(state, WEB).map(get))).toEqual(['1', '1', '1', '1']);
};

test('a drain empties a node one copy at a time, and nobody notices; undrain lets it work again', async () => {
  const node = await plainNode();
  const client = await traffic(cluster.socket, WEB);
  cluster.commit({ [`nodes/${node.name}.yaml`]: `node: ${node.name}\ndrain: true\n` }, 'drain');
  let least = COUNT;
  await cluster.until('the node is empty', (state) => {
    const copies = liveCopies(state, WEB);
    least = Math.min(least, copies.filter(({ health }) => health === 'healthy').length);
    const left = copies.filter((copy) => copy.node === node.name).length;
    return (left === 0 && copies.length === COUNT) || `${left} are left`;
  });
  await expectOnce();
  expect((await client.stop()).failures).toEqual([]);
  expect(least).toBeGreaterThanOrEqual(COUNT - 1);
  expect(await runningTasks(cluster, [node.name])).toEqual([]);
  cluster.commit({ [`nodes/${node.name}.yaml`]: `node: ${node.name}\n` }, 'undrain');
  await cluster.purser('scale', 'web=5');
  expect(await nodesOf(WEB)).toContain(node.name);
  await cluster.purser('scale', 'web=4');
  await expectOnce();
});

test('a drain leaves a named volume where it is, and says so', async () => {
  const [home = ''] = await nodesOf(STORE);
  const before = pidsOf(await cluster.state(), STORE);
  cluster.commit({ [`nodes/${home}.yaml`]: `node: ${home}\ndrain: true\n` }, 'drain the volume');
  const state = await cluster.until('the rest is gone', (now) => {
    const here = liveCopies(now, WEB).filter(({ node }) => node === home);
    return here.length === 0 || `${here.length} are left`;
  });
  expect(JSON.stringify(state.view.plan.blocked)).toContain('volume-drain');
  expect(pidsOf(await cluster.state(), STORE)).toEqual(before);
  cluster.commit({ [`nodes/${home}.yaml`]: `node: ${home}\n` }, 'undrain the volume');
  await expectOnce();
});

const containerdPid = ({ root }: TestNode): number =>
  Number(readFileSync(join(root, 'containerd/containerd.pid'), 'utf8'));

/** As a power cut: runner, containerd, shims and their containers die at once. */
const killNode = async (node: TestNode): Promise<void> => {
  const state = await cluster.state();
  const pids = state.view.live.nodes
    .filter(({ name }) => name === node.name)
    .flatMap(({ allocations }) => allocations.flatMap(({ tasks }) => tasks.map(({ pid }) => pid)));
  await node.runner.end('SIGKILL');
  const shims = processesOf(join(node.root, 'containerd')).map((line) =>
    Number(line.split(' ')[0]),
  );
  for (const pid of [containerdPid(node), ...shims, ...pids]) {
    try {
      if (pid !== null) process.kill(pid, 'SIGKILL');
    } catch {
      // It went with the one before it.
    }
  }
};

const elsewhere = (node: string) =>
  cluster.until(`nothing is wanted on ${node} any more`, (state) => {
    const copies = liveCopies(state, WEB).filter((copy) => copy.node !== node);
    const healthy = copies.filter(({ health }) => health === 'healthy');
    return healthy.length === COUNT || `${healthy.length} are healthy elsewhere`;
  });

test('the work of a node that died starts elsewhere, and it comes back without a duplicate', async () => {
  const node = await plainNode();
  await killNode(node);
  await elsewhere(node.name);
  node.runner.start();
  await cluster.until('it is back', ({ view }) =>
    view.live.nodes.some(({ name, connected }) => name === node.name && connected),
  );
  await expectOnce();
});

const cable = (node: TestNode, to: 'up' | 'down'): void => {
  execFileSync('ip', ['link', 'set', node.cable, to]);
};

test('a node that cannot be reached is replaced, and its copies go when it can be reached again', async () => {
  await cluster.purser('scale', 'web=5'); // every node has work
  await cluster.purser('scale', 'web=4');
  await expectOnce(); // what the second scaling stops has gone, from this node too
  const node = await plainNode();
  const before = await runningTasks(cluster, [node.name]);
  expect(before.length).toBeGreaterThan(0);
  cable(node, 'down');
  try {
    await elsewhere(node.name);
    expect(await runningTasks(cluster, [node.name])).toEqual(before); // nobody may tell it to stop
  } finally {
    cable(node, 'up');
  }
  await cluster.until('it is heard again', ({ view }) =>
    view.live.nodes.some(({ name, connected }) => name === node.name && connected),
  );
  await expectOnce();
});

test('a short cut moves nothing', async () => {
  const before = pidsOf(await cluster.settled(WEB), WEB);
  const node = await plainNode();
  cable(node, 'down');
  await new Promise((done) => setTimeout(done, 2000)); // less than lost_after
  cable(node, 'up');
  await cluster.until('all are heard', ({ view }) =>
    view.live.nodes.every(({ connected, silentForMs }) => connected && silentForMs < 12_000),
  );
  expect(pidsOf(await cluster.settled(WEB), WEB)).toEqual(before);
});

test('the volume waits for its node, with a reason, and is there again', async () => {
  const [home = ''] = await nodesOf(STORE);
  const node = cluster.node(home);
  const [url = ''] = urlsOf(await cluster.state(), STORE);
  const boots = (await get(`${url}/boots`)).split('\n').length;
  await killNode(node);
  await elsewhere(home);
  const state = await cluster.until('the store waits for its node', ({ view }) => {
    const blocked = JSON.stringify(view.plan.blocked);
    return blocked.includes('volume-node-lost') || blocked;
  });
  expect(liveCopies(state, STORE).filter((copy) => copy.node !== home)).toEqual([]);
  node.runner.start();
  await cluster.settled(STORE, 60_000);
  await expectOnce();
  const [again = ''] = urlsOf(await cluster.state(), STORE);
  expect(await nodesOf(STORE)).toEqual([home]);
  expect((await get(`${again}/boots`)).split('\n').length).toBe(boots + 1);
});

const stopStore = async (): Promise<void> => {
  await cluster.purser('stop', 'store');
  await cluster.until('the store is gone', ({ view }) => {
    const left = view.live.nodes.flatMap(({ allocations }) => allocations);
    return left.every(({ body }) => body.job !== 'store');
  });
};

test('an ended volume is removed on its node, also when the node was away', async () => {
  const [home = ''] = await nodesOf(STORE);
  const node = cluster.node(home);
  const folder = join(node.root, 'volumes/shop.store.store.0.data');
  expect(existsSync(join(folder, 'boots'))).toBe(true);
  const busy = await cluster.purser('volume', 'rm', 'store/data[0]', '--yes').catch(String);
  expect(busy).toContain('stop the job first');
  await stopStore();
  await node.runner.end('SIGTERM');
  const said = await cluster.purser('volume', 'rm', 'store/data[0]', '--yes');
  expect(said).toContain(`${home} is away`);
  expect(existsSync(folder)).toBe(true);
  node.runner.start();
  await expect.poll(() => existsSync(folder)).toBe(false);
  await cluster.purser('start', 'store');
  await cluster.settled(STORE, 60_000);
  const [url = ''] = urlsOf(await cluster.state(), STORE);
  expect((await get(`${url}/boots`)).trim().split('\n')).toHaveLength(1);
  await stopStore();
  const now = await cluster.purser('volume', 'rm', 'store/data[0]', '--yes');
  expect(now).toContain('are gone');
});

test('a node that is removed is emptied and let in no more; its machine may join anew', async () => {
  await expectOnce();
  const node = await plainNode();
  await cluster.purser('node', 'remove', node.name, '--yes');
  expect(await nodesOf(WEB)).not.toContain(node.name);
  expect(cluster.git('ls-tree', '--name-only', 'main', 'nodes/')).not.toContain(node.name);
  await cluster.until('the removed node is not heard', ({ view }) => {
    const found = view.live.nodes.find(({ name }) => name === node.name);
    return found === undefined || !found.connected;
  });
  // Its stream is cut first, and why it may not come again is said when it tries to.
  const words = `the certificate of ${node.name} was taken back`;
  await expect.poll(() => node.runner.tail(200)).toContain(words);
  await node.runner.end('SIGTERM');
  rmSync(join(node.root, 'identity'), { recursive: true });
  await cluster.joining(node);
  node.runner.start();
  await cluster.until('the node is back', ({ view }) => {
    const found = view.live.nodes.find(({ name }) => name === node.name);
    return found?.connected === true && view.desired.nodes.some(({ name }) => name === node.name);
  });
  const moved = appJob({ image: '%APP%', version: 'anew', count: 2 * COUNT });
  cluster.commit({ [FILE]: moved }, 'More copies');
  await cluster.settled(WEB);
  expect(await nodesOf(WEB)).toContain(node.name);
  expect(await nodesOf(WEB)).toHaveLength(2 * COUNT);
});
