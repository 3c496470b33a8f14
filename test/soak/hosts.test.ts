// Five hosts, four of them nodes, each with a network, an address, a containerd and a clock of its own,
// and what may come between one of them and the reconciler: reports that are lost, answers that are
// lost, a cut cable, a runner that is suspended or killed. All the while the kernel is asked which
// copies run: of a singleton there are never two (rules 9.3), others get another place after
// lost_after (9.1) and go back to one a slot (9.2), and a copy that was not concerned is not touched.
// The clocks of two nodes are wrong by minutes and by hours from the day they join.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReadyState } from '../../cli/state.ts';
import { appJob } from '../support/app.ts';
import type { Cluster, TestNode } from '../support/cluster.ts';
import { liveCopies, onceEach, pidsOf, runningTasks, startCluster } from '../support/cluster.ts';
import { type Sightings, watchCopies } from '../support/sightings.ts';
import { type Clearing, cut, lose, part, slow } from '../support/weather.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const COUNT = 4;
const LOST_MS = 20_000;
/** Between two reports: contact ended at most so long before the cut. */
const REPORT_MS = 5000;
const LIMIT_MS = 60_000;

/** stop_after + kill_timeout + 5 s is what lost_after leaves. */
const singleton = (elsewhere: readonly string[]): string =>
  appJob({ image: '%APP%', version: 's', count: 1 })
    .replace('shutdown_delay: 1s', 'shutdown_delay: 0s')
    .replace('kill_timeout: 3s', 'kill_timeout: 1s')
    .concat(
      'singleton: true\nstop_after: 14s\n',
      `constraints: [${elsewhere.map((node) => `"node.name != ${node}"`).join(', ')}]\n`,
    );

const clocks: Record<string, string | undefined> = { n1: '+10m', n3: '-2h' };

let cluster: Cluster;
let sightings: Sightings;
beforeAll(async () => {
  cluster = await startCluster({
    nodes: 4,
    link: 'tls',
    settings: [`lost_after: ${LOST_MS / 1000}s`],
    clock: (host) => clocks[host] ?? null,
    files: {
      [FILE]: appJob({ image: '%APP%', version: '1', count: COUNT }),
      'jobs/shop/one.yaml': singleton(['n3', 'n4']),
      'jobs/shop/two.yaml': singleton(['n1', 'n2']),
    },
  });
  sightings = await watchCopies(cluster);
  for (const job of [WEB, 'shop/one', 'shop/two']) await cluster.settled(job);
});
afterAll(async () => {
  sightings?.stop();
  await cluster?.close();
});

const homeOf = async (job: string): Promise<TestNode> =>
  cluster.node(liveCopies(await cluster.state(), job)[0]?.node ?? '');

const healthyOff = (state: ReadyState, job: string, away: readonly TestNode[]): number =>
  liveCopies(state, job).filter(
    ({ node, health }) => health === 'healthy' && away.every(({ name }) => name !== node),
  ).length;

/** Pids of the copies of web on other nodes than these. */
const pidsOff = async (away: readonly TestNode[]) => {
  const state = await cluster.state();
  const here = new Set(
    liveCopies(state, WEB)
      .filter(({ node }) => away.every(({ name }) => name !== node))
      .map(({ allocation }) => allocation),
  );
  return Object.entries(pidsOf(state, WEB)).filter(([id]) => here.has(id.split('.')[0] ?? ''));
};

interface Trouble {
  readonly begins: (node: TestNode) => Promise<void>;
  readonly ends: (node: TestNode) => Promise<void>;
}

/**
 * Each of two singletons' nodes has a trouble of its own until all is replaced elsewhere, and a
 * while longer; then both are over.
 */
const through = async (first: Trouble, second: Trouble): Promise<void> => {
  const away = [await homeOf('shop/one'), await homeOf('shop/two')] as const;
  const before = await pidsOff(away);
  const began = performance.now();
  await Promise.all([first.begins(away[0]), second.begins(away[1])]);
  try {
    await cluster.until('all of it runs elsewhere', (state) => {
      const counts = [WEB, 'shop/one', 'shop/two'].map((job) => healthyOff(state, job, away));
      return counts.join() === `${COUNT},1,1` || counts.join();
    });
    expect(performance.now() - began).toBeGreaterThan(LOST_MS - REPORT_MS);
  } finally {
    await Promise.all([first.ends(away[0]), second.ends(away[1])]);
  }
  await cluster.until('all are heard', ({ view }) =>
    view.live.nodes.every(({ connected, silentForMs }) => connected && silentForMs < 2 * REPORT_MS),
  );
  for (const job of [WEB, 'shop/one', 'shop/two']) await onceEach(cluster, job, LIMIT_MS);
  expect(await pidsOff(away)).toEqual(expect.arrayContaining(before));
  expect(sightings.twice('one')).toEqual([]);
  expect(sightings.twice('two')).toEqual([]);
};

/** Weather that comes and goes. */
const weather = (make: (node: TestNode) => Promise<Clearing>): Trouble => {
  const clearings = new Map<string, Clearing>();
  return {
    begins: async (node) => void clearings.set(node.name, await make(node)),
    ends: async (node) => clearings.get(node.name)?.(),
  };
};

test('a node whose reports are lost, and one that hears no answer: nothing runs twice that may not', async () => {
  const reconciler = cluster.host('ctl');
  await through(
    weather((node) => lose({ from: node, to: reconciler })),
    weather((node) => lose({ from: reconciler, to: node })),
  );
  // The kernel's word is believed, so it must be able to say yes: web ran on where it was cut off.
  expect(sightings.twice('web')).not.toEqual([]);
});

test('a runner that sleeps past stop_after, and one that is killed while its cable is cut', async () => {
  const cable = weather(cut);
  await through(
    {
      begins: async ({ runner }) => runner.signal('SIGSTOP'),
      ends: async ({ runner }) => runner.signal('SIGCONT'),
    },
    {
      begins: async (node) => {
        await cable.begins(node);
        await node.runner.end('SIGKILL');
      },
      ends: async (node) => {
        await cable.ends(node);
        node.runner.start();
      },
    },
  );
});

const everything = async () => {
  const state = await cluster.state();
  return [WEB, 'shop/one', 'shop/two'].map((job) => pidsOf(state, job));
};

test('a short cut in both directions, on all nodes at once, moves nothing', async () => {
  const before = await everything();
  const reconciler = cluster.host('ctl');
  const clearings = await Promise.all(cluster.nodes.map((node) => part(node, reconciler)));
  // What is lost is sent again in twice this time; with 5 s between reports that is below stop_after.
  await new Promise((done) => setTimeout(done, 2000));
  for (const clear of clearings) await clear();
  const at = performance.now();
  await cluster.until('all are heard anew', ({ view }) =>
    view.live.nodes.every(
      ({ connected, silentForMs }) => connected && silentForMs < performance.now() - at,
    ),
  );
  expect(await everything()).toEqual(before);
});

test('lines that are slow and lose one packet of ten carry a rollout, and nobody is lost', async () => {
  const singles = (await everything()).slice(1);
  const reconciler = cluster.host('ctl');
  const clearings = await Promise.all(
    cluster.nodes.flatMap((node) => [
      slow(node, 256),
      lose({ from: node, to: reconciler, percent: 10 }),
      lose({ from: reconciler, to: node, percent: 10 }),
    ]),
  );
  try {
    cluster.commit({ [FILE]: appJob({ image: '%APP%', version: '2', count: COUNT }) }, 'Two');
    await cluster.settled(WEB);
    expect((await everything()).slice(1)).toEqual(singles);
  } finally {
    for (const clear of clearings) await clear();
  }
});

const websOn = async ({ name }: TestNode): Promise<readonly string[]> =>
  (await runningTasks(cluster, [name])).filter((id) => id.endsWith('.web'));

const DOUBT =
  /this machine's clock says 20\d\d-.*the clock of this machine or of the reconciler is wrong/;

test('a clock that is off by years is named by its node, whose containers run on', async () => {
  const node = cluster.node(liveCopies(await cluster.state(), WEB)[0]?.node ?? '');
  const before = await websOn(node);
  const clock = clocks[node.name];
  await node.runner.end('SIGTERM');
  clocks[node.name] = '+3y';
  node.runner.start();
  await expect.poll(() => node.runner.tail(50)).toMatch(DOUBT);
  expect(before.length).toBeGreaterThan(0);
  expect(await websOn(node)).toEqual(before);
  await node.runner.end('SIGTERM');
  clocks[node.name] = clock;
  node.runner.start();
  await cluster.until('it is heard', ({ view }) =>
    view.live.nodes.some(({ name, connected }) => name === node.name && connected),
  );
  await onceEach(cluster, WEB, LIMIT_MS);
  expect(sightings.twice('one')).toEqual([]);
  expect(sightings.twice('two')).toEqual([]);
});

test('a reconciler whose clock is off by years is heard by nobody, and every node says why', async () => {
  const webs = () => Promise.all(cluster.nodes.map(websOn));
  const before = await webs();
  // The clocks of these two are right: they have nothing to doubt but the reconciler's.
  const nodes = [cluster.node('n2'), cluster.node('n4')];
  const lines = () =>
    nodes.map(
      ({ runner }) =>
        runner
          .tail(20)
          .split('\n')
          .filter((line) => DOUBT.test(line) && line.includes('is not yet valid')).length > 0,
    );
  await cluster.reconciler.end('SIGTERM');
  clocks['ctl'] = '+3y';
  cluster.reconciler.start();
  await expect.poll(lines).toEqual([true, true]);
  expect(await webs()).toEqual(before);
  await cluster.reconciler.end('SIGTERM');
  delete clocks['ctl'];
  cluster.reconciler.start();
  await cluster.until(
    'all are heard',
    ({ view }) =>
      view.live.nodes.length === cluster.nodes.length &&
      view.live.nodes.every(({ connected }) => connected),
  );
  for (const job of [WEB, 'shop/one', 'shop/two']) await onceEach(cluster, job, LIMIT_MS);
  expect(await webs()).toEqual(before);
});
