// Processes killed at random moments, on real containers: what runs keeps running, what was begun
// is finished, and
// nothing runs twice. PURSER_SEED has them killed at other moments.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { socketOf } from '../../node-runner/edge/containerd/daemon.ts';
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
import { get } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const COUNT = 4;
const web = (version: string, fail?: 'crash') =>
  appJob({
    image: '%APP%',
    version,
    count: COUNT,
    maxParallel: 2,
    order: 'start-first',
    ...(fail === undefined ? {} : { fail }),
  });

const SEED = Number(process.env['PURSER_SEED'] ?? 1);
const random = seeded(SEED);

let cluster: Cluster;
beforeAll(async () => {
  process.stdout.write(`PURSER_SEED=${SEED}\n`);
  const settings = ['lost_after: 40s']; // stop_after and the stop fit in
  cluster = await startCluster({ nodes: 3, files: { [FILE]: web('1') }, settings });
  await cluster.settled(WEB);
});
afterAll(() => cluster?.close());

/** A report comes every 5 s, and runners take some seconds to come back on a busy machine. */
const STOP_AFTER_MS = 20_000;

/** What was told to stop has gone by then: shutdown_delay, kill_timeout, and time to notice. */
const STOP_LIMIT_MS = 60_000;

/** Every slot once, in containerd as in status, and the version answers everywhere. */
const expectWhole = async (version: string): Promise<void> => {
  const state = await onceEach(cluster, WEB, 60_000);
  const copies = liveCopies(state, WEB);
  expect(copies.length).toBe(COUNT);
  const wanted = copies.map(({ allocation }) => `${allocation}.web`).toSorted();
  await expect
    .poll(() => runningTasks(cluster), { timeout: STOP_LIMIT_MS, interval: 200 })
    .toEqual(wanted);
  expect(await Promise.all(urlsOf(state, WEB).map(get))).toEqual(copies.map(() => version));
};

const containerdPid = ({ root }: TestNode): number =>
  Number(readFileSync(join(root, 'containerd/containerd.pid'), 'utf8'));

/** Shims of one node: their command line names its containerd. */
const shimsOf = ({ root }: TestNode): readonly number[] =>
  processesOf(socketOf(join(root, 'containerd')))
    .filter((line) => /^\d+ \S*containerd-shim/.test(line))
    .map((line) => Number(line.split(' ')[0]));

/** One that is gone already is fine: chance hits the same twice. */
const killHard = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!String(error).includes('ESRCH')) throw error;
  }
};

const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];

test('reconciler, runners and containerds may die while nothing changes: no container notices', async () => {
  const before = pidsOf(await cluster.state(), WEB);
  await cluster.reconciler.end('SIGKILL');
  for (const { runner } of cluster.nodes) await runner.end('SIGKILL');
  for (const node of cluster.nodes) killHard(containerdPid(node));
  for (const { runner } of cluster.nodes) runner.start();
  cluster.reconciler.start();
  const after = await cluster.settled(WEB);
  await cluster.until(
    'all nodes report',
    ({ view }) => view.live.nodes.filter(({ connected }) => connected).length === 3,
  );
  expect(pidsOf(after, WEB)).toEqual(before);
  for (const node of cluster.nodes) killHard(containerdPid(node)); // under a runner that lives
  await sleep(3000);
  expect(pidsOf(await cluster.settled(WEB), WEB)).toEqual(before);
  await expectWhole('1');
});

test('a container killed behind our back is started again', async () => {
  const [victim] = liveCopies(await cluster.settled(WEB), WEB);
  if (victim === undefined) throw new Error('no copy');
  const before = pidsOf(await cluster.state(), WEB)[`${victim.allocation}.web`];
  await cluster.ctr(victim.node, 'tasks', 'kill', '-s', 'SIGKILL', `${victim.allocation}.web`);
  await cluster.until('a new process', (state) => {
    const pid = pidsOf(state, WEB)[`${victim.allocation}.web`];
    return (pid !== before && pid !== null && pid !== undefined) || `${pid}`;
  });
  await expectWhole('1');
});

test('an exit while the runner was down is seen', async () => {
  const victim = liveCopies(await cluster.settled(WEB), WEB)[1];
  if (victim === undefined) throw new Error('no copy');
  const { runner } = cluster.node(victim.node);
  const pid = pidsOf(await cluster.state(), WEB)[`${victim.allocation}.web`];
  await runner.end('SIGKILL');
  process.kill(pid ?? 0, 'SIGKILL');
  await sleep(500);
  runner.start();
  const state = await cluster.until('the exit is seen and answered', ({ view }) => {
    const copies = view.live.nodes.flatMap(({ allocations }) => allocations);
    const copy = copies.find(({ allocation }) => allocation === victim.allocation);
    const [task] = copy?.tasks ?? [];
    return (task?.state === 'running' && task.pid !== pid) || JSON.stringify(task ?? null);
  });
  const task = liveCopies(state, WEB)[1]?.tasks[0];
  expect(task?.restarts).toBeGreaterThanOrEqual(1);
  await expectWhole('1');
});

const KILLS: readonly (readonly [string, () => Promise<void>])[] = [
  [
    'the reconciler',
    async () => {
      await cluster.reconciler.end('SIGKILL');
      await sleep(random() * 500);
      cluster.reconciler.start();
    },
  ],
  [
    'a runner',
    async () => {
      const node = pick(cluster.nodes);
      await node?.runner.end('SIGKILL');
      await sleep(random() * 500);
      node?.runner.start();
    },
  ],
  [
    'a containerd',
    async () => {
      const node = pick(cluster.nodes);
      if (node !== undefined) killHard(containerdPid(node));
    },
  ],
  [
    'a shim',
    async () => {
      const shim = pick(cluster.nodes.flatMap(shimsOf));
      if (shim !== undefined) killHard(shim);
    },
  ],
];

test.each(KILLS)(
  '%s is killed again and again during a rollout, which ends all the same',
  async (name, kill) => {
    const version = `while ${name} dies`;
    cluster.commit({ [FILE]: web(version) }, version);
    const head = cluster.git('rev-parse', 'HEAD');
    for (let round = 0; round < 3; round += 1) {
      await sleep(200 + random() * 1500);
      await kill();
    }
    await expectWhole(version);
    expect(cluster.git('rev-parse', 'HEAD')).toBe(head); // a platform's trouble reverts nothing
  },
);

test('anything is killed at any moment, through three rollouts', async () => {
  for (const version of ['a', 'b', 'c']) {
    cluster.commit({ [FILE]: web(version) }, `version ${version}`);
    for (let round = 0; round < 4; round += 1) {
      await sleep(random() * 900);
      const [name, kill] = pick(KILLS) ?? [];
      process.stdout.write(`${version}: ${name}\n`);
      await kill?.();
    }
  }
  const state = await cluster.settled(WEB, 60_000);
  expect(cluster.git('log', '--format=%B', '--author=Purser')).toBe(''); // the platform reverts nothing
  expect(state.view.desired.commit.subject).toBe('version c');
  await expectWhole('c');
});

test('the reconciler is killed while it reverts: one revert, and a clean work tree', async () => {
  const before = cluster.git('rev-parse', 'HEAD');
  cluster.commit({ [FILE]: web('bad', 'crash') }, 'a version that crashes');
  for (let round = 0; round < 10; round += 1) {
    await sleep(400 + random() * 1600);
    await cluster.reconciler.end('SIGKILL');
    cluster.reconciler.start();
  }
  await cluster.until('the revert', () => cluster.git('log', '-1', '--format=%an') === 'Purser');
  await expectWhole('c');
  expect(cluster.git('log', '--format=%an %s', `${before}..HEAD`).split('\n')).toHaveLength(2);
  expect(cluster.git('status', '--porcelain')).toBe('');
  expect(cluster.git('diff', before, 'HEAD', '--stat')).toBe('');
});

test('runners that had nothing to do for long are killed: a group with stop_after runs on', async () => {
  const [job, more] = ['shop/guarded', [`stop_after: ${STOP_AFTER_MS / 1000}s`]];
  const file = appJob({ image: '%APP%', version: '1', more });
  cluster.commit({ [`jobs/${job}.yaml`]: file }, 'A job that stops when nobody answers');
  const before = pidsOf(await cluster.settled(job), job);
  // Nothing changes on its node, so nothing but the last contact is written there.
  await sleep(STOP_AFTER_MS + 2000);
  for (const { runner } of cluster.nodes) await runner.end('SIGKILL');
  for (const { runner } of cluster.nodes) runner.start();
  await cluster.until(
    'all nodes report',
    ({ view }) => view.live.nodes.filter(({ connected }) => connected).length === 3,
  );
  await sleep(3000); // one that believed its time to be over would have ended it at once
  expect(pidsOf(await cluster.settled(job), job)).toEqual(before);
});

/** mulberry32: a small generator of its own, so that a seed means the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
