// Deploying, rolling and going back on real containers: nobody who asks a healthy copy sees a
// failure.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import type { Cluster } from '../support/cluster.ts';
import { deploymentOf, liveCopies, pidsOf, startCluster, urlsOf } from '../support/cluster.ts';
import { get, traffic } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string, changes: Partial<Parameters<typeof appJob>[0]> = {}) =>
  appJob({ image: '%APP%', version, count: 3, ...changes });

const STORE = 'shop/store';
const store = (version: string) =>
  appJob({
    image: '%APP%',
    version,
    count: 1,
    more: ['volumes: ["data:/data"]'],
  }).replace('{ http: 8080 }', '{ http: { port: 8080, host: 8085 } }');

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({
    nodes: 3,
    files: { [FILE]: web('1'), 'jobs/shop/store.yaml': store('1') },
  });
});
afterAll(() => cluster?.close());

const answers = async (job: string): Promise<readonly string[]> =>
  Promise.all(urlsOf(await cluster.state(), job).map(get));

test('a commit deploys, spread over the nodes, and every copy answers', async () => {
  const state = await cluster.settled(WEB);
  expect(
    liveCopies(state, WEB)
      .map(({ node }) => node)
      .toSorted(),
  ).toEqual(['n1', 'n2', 'n3']);
  expect(await answers(WEB)).toEqual(['1', '1', '1']);
});

test.each(['start-first', 'stop-first'] as const)(
  'a rollout %s fails no request and replaces one copy at a time',
  async (order) => {
    cluster.commit({ [FILE]: web(`${order} 0`, { order }) }, 'before');
    await cluster.settled(WEB);
    const client = await traffic(cluster.socket, WEB);
    cluster.commit({ [FILE]: web(order, { order }) }, `roll ${order}`);
    let most = 0;
    let least = 3;
    await cluster.until('the rollout ends', (state) => {
      const found = deploymentOf(state, WEB);
      const [group] = found?.groups ?? [];
      most = Math.max(most, liveCopies(state, WEB).length);
      least = Math.min(least, group?.healthyAny ?? 3);
      const head = state.view.desired.commit.subject === `roll ${order}`;
      return head && found?.status === 'settled' && group?.live === 3;
    });
    const seen = await client.stop();
    expect(seen.failures).toEqual([]);
    expect(seen.requests).toBeGreaterThan(50);
    expect(seen.answers).toEqual([`${order} 0`, order]);
    expect(most).toBeLessThanOrEqual(order === 'start-first' ? 4 : 3);
    expect(least).toBeGreaterThanOrEqual(order === 'start-first' ? 3 : 2);
    expect(await answers(WEB)).toEqual([order, order, order]);
  },
);

test('git revert rolls back, and is a rollback', async () => {
  cluster.git('revert', '--no-edit', 'HEAD');
  const seen = { rollback: false };
  await cluster.until('the rollback is under way', (state) => {
    seen.rollback ||= deploymentOf(state, WEB)?.isRollback === true;
    return seen.rollback;
  });
  await cluster.settled(WEB);
  expect(await answers(WEB)).toEqual(['stop-first 0', 'stop-first 0', 'stop-first 0']);
});

test('a change in place, and an empty commit, replace nothing', async () => {
  const before = pidsOf(await cluster.state(), WEB);
  const text = web('stop-first 0', { maxParallel: 2 }).replace(
    'kill_timeout: 3s',
    'kill_timeout: 4s',
  );
  cluster.commit({ [FILE]: text }, 'in place');
  await cluster.settled(WEB);
  cluster.commit({}, 'nothing at all');
  const state = await cluster.settled(WEB);
  expect(pidsOf(state, WEB)).toEqual(before);
  const timeouts = liveCopies(state, WEB).flatMap(({ body }) =>
    body.spec.tasks.map(({ killTimeoutMs }) => killTimeoutMs),
  );
  expect(timeouts).toEqual([4000, 4000, 4000]);
});

test('scaling up and down touches no other copy', async () => {
  const before = pidsOf(await cluster.state(), WEB);
  await cluster.purser('scale', 'web=5');
  const more = await cluster.settled(WEB);
  expect(pidsOf(more, WEB)).toMatchObject(before);
  expect(Object.keys(pidsOf(more, WEB))).toHaveLength(5);
  await cluster.purser('scale', 'web=3');
  expect(pidsOf(await cluster.settled(WEB), WEB)).toEqual(before);
});

test('purser restart replaces every copy', async () => {
  const before = Object.values(pidsOf(await cluster.state(), WEB));
  await cluster.purser('restart', 'web');
  const after = Object.values(pidsOf(await cluster.settled(WEB), WEB));
  expect(after).toHaveLength(3);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
});

test('a pinned port answers, and a named volume survives rollout and revert', async () => {
  const state = await cluster.settled(STORE);
  const [home] = liveCopies(state, STORE);
  const url = `http://${cluster.node(home?.node ?? '').address}:8085/boots`;
  expect(await get(url)).toBe('1');
  cluster.commit({ 'jobs/shop/store.yaml': store('2') }, 'store 2');
  await cluster.settled(STORE);
  expect(await get(url)).toBe('1\n2');
  cluster.git('revert', '--no-edit', 'HEAD');
  const after = await cluster.settled(STORE);
  expect(await get(url)).toBe('1\n2\n1');
  expect(liveCopies(after, STORE).map(({ node }) => node)).toEqual([home?.node]);
});
