// Three reconcilers on hosts of their own, each with a member of etcd beside it, and two nodes: the
// leader is cut from etcd, from Git, from one node, from all nodes, or sleeps. All the while the kernel
// is asked which copies run: of the singleton there are never two, and copies of the other job are
// replaced only where their node was lost (OPERATIONS, Partitions). No two reconcilers' clocks agree.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReadyState } from '../../cli/state.ts';
import { appJob } from '../support/app.ts';
import type { Cluster, TestHost } from '../support/cluster.ts';
import { isSettled, liveCopies, pidsOf, runningTasks, startCluster } from '../support/cluster.ts';
import { type Etcd, LOCAL_ETCD, startEtcd } from '../support/etcd.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { type Sightings, watchCopies } from '../support/sightings.ts';
import { type Member, type Said, startTrio, type Trio } from '../support/trio.ts';
import { all, type Clearing, deafen, part } from '../support/weather.ts';

const WEB = 'shop/web';
const ONE = 'shop/one';
const JOBS = [WEB, ONE];
const HOSTS = ['ctl', 'r2', 'r3'];
const LOST_MS = 18_000;
const REPORT_MS = 5000;

let etcd: Etcd;
let git: GitServer;
let cluster: Cluster;
let trio: Trio;
let sightings: Sightings;

beforeAll(async () => {
  let url = '';
  const words = ['--etcd', LOCAL_ETCD, '--lease', '3s'];
  cluster = await startCluster({
    nodes: 2,
    link: 'tls',
    hosts: ['r2', 'r3'],
    settings: [`lost_after: ${LOST_MS / 1000}s`],
    files: {
      'jobs/shop/web.yaml': appJob({ image: '%APP%', version: '1' }),
      // stop_after + kill_timeout + 5 s is what lost_after leaves.
      'jobs/shop/one.yaml': appJob({ image: '%APP%', version: 's', count: 1 })
        .replace('shutdown_delay: 1s', 'shutdown_delay: 0s')
        .replace('kill_timeout: 3s', 'kill_timeout: 1s')
        .concat('singleton: true\nstop_after: 12s\n'),
    },
    url: async (workTree, hub) => {
      execFileSync('git', ['-C', workTree, 'config', 'receive.denyCurrentBranch', 'updateInstead']);
      git = await startGitServer({ root: path.dirname(workTree), login: null, address: hub });
      url = `${git.url}/${path.basename(workTree)}/.git`;
      return url;
    },
    words: async ({ host }) => {
      etcd = await startEtcd(3, { hosts: HOSTS.map(host) });
      return [...words, '--name', 'r1'];
    },
  });
  sightings = await watchCopies(cluster);
  for (const job of JOBS) await cluster.settled(job);
  const clocks = { r2: '+7h', r3: '-3m' };
  trio = await startTrio({ cluster, url, words, hosts: HOSTS, clocks });
  await trio.untilLed(
    'both standbys are heard',
    ({ state }) => state.leader?.standbys.length === 2,
  );
  await trio.known();
});
afterAll(async () => {
  sightings?.stop();
  await trio?.close();
  await etcd?.close();
  await cluster?.close();
  await git?.close();
});

const webOf = ({ state }: Said) => pidsOf(state as ReadyState, WEB);

/** Both nodes are heard, and each job has the copies that it wants, healthy, and no more. */
const isWhole = ({ state }: Said): boolean => {
  if (state.view === null) return false;
  const heard = state.view.live.nodes.filter(({ connected }) => connected).length;
  const copies = JOBS.map((job) => liveCopies(state as ReadyState, job));
  const healthy = copies.map((some) => some.filter(({ health }) => health === 'healthy').length);
  return (
    heard === 2 && healthy.join() === '2,1' && copies.map(({ length }) => length).join() === '2,1'
  );
};

const whole = (): Promise<Said> => trio.untilLed('all is as it is wanted', isWhole);

const hostOf = ({ host }: Member): TestHost => {
  if (host === null) throw new Error('this reconciler has no host of its own');
  return host;
};

const parted = async (one: TestHost, others: readonly TestHost[]): Promise<Clearing> =>
  all(await Promise.all(others.map((other) => part(one, other))));

/**
 * The next deploy works under another leader, and web is not touched. The singleton may have ended:
 * nodes hear nothing for ten seconds before they look for another leader, and etcd elects one of its
 * own first.
 */
const another = async (name: string, before: Said): Promise<void> => {
  const file = appJob({ image: '%APP%', version: '1', count: 1 });
  const head = cluster.commit({ [`jobs/shop/${name}.yaml`]: file }, `Add ${name}`);
  const next = await trio.untilLed(
    `${name} settles under another leader`,
    (said) =>
      said.member.name !== before.member.name &&
      isWhole(said) &&
      isSettled(said.state as ReadyState, `shop/${name}`, head) === true,
  );
  expect(webOf(next)).toEqual(webOf(before));
};

const followsAgain = ({ name }: Member): Promise<void> =>
  trio.until(`${name} follows`, async () =>
    (await trio.states()).some(
      ({ member, state }) =>
        member.name === name && state.leader?.leads === false && state.leader.leader !== null,
    ),
  );

test('a leader that is cut from etcd, and reaches every node, leads no more', async () => {
  const before = await whole();
  const others = trio.members.filter(({ name }) => name !== before.member.name).map(hostOf);
  const clear = await parted(hostOf(before.member), others);
  try {
    await another('without-etcd', before);
    expect(await trio.purser(before.member, 'status')).toMatch(
      /Nobody is known to lead|cannot be looked at/,
    );
  } finally {
    await clear();
  }
  await followsAgain(before.member);
  expect(sightings.twice('one')).toEqual([]);
});

test('a leader that sleeps, and wakes up, has done no harm', async () => {
  const before = await whole();
  before.member.program.signal('SIGSTOP');
  try {
    await another('asleep', before);
  } finally {
    before.member.program.signal('SIGCONT');
  }
  await followsAgain(before.member);
  expect(webOf(await whole())).toEqual(webOf(before));
  expect(sightings.twice('one')).toEqual([]);
});

test('a leader that cannot reach Git heals with what it knows: a node that it cannot reach either', async () => {
  const before = await whole();
  const host = hostOf(before.member);
  const [copy] = liveCopies(before.state as ReadyState, ONE);
  const node = cluster.node(copy?.node ?? '');
  const clears = [await deafen(host, cluster.hub), await part(host, node)];
  const began = performance.now();
  const head = cluster.commit({ 'jobs/shop/later.yaml': LATER }, 'Add later');
  try {
    await trio.untilLed('all of it runs elsewhere', ({ member, state }) => {
      const live = JOBS.flatMap((job) => liveCopies(state as ReadyState, job));
      const there = live.filter((one) => one.node !== node.name && one.health === 'healthy');
      return member.name === before.member.name && there.length === 3;
    });
    expect(performance.now() - began).toBeGreaterThan(LOST_MS - REPORT_MS);
    // A fetch whose packets go nowhere is given up after a while.
    await trio.until('it says that Git is away', async () =>
      (await trio.purser(before.member, 'status')).includes('Git cannot be read'),
    );
    // The node reaches the others, which lead nothing: its singleton has ended by itself.
    const left = await runningTasks(cluster, [node.name]);
    expect(left.filter((id) => id.endsWith('.one'))).toEqual([]);
  } finally {
    await all(clears)();
  }
  await trio.untilLed(
    'what was committed meanwhile settles, and all is as it is wanted',
    (said) => isWhole(said) && isSettled(said.state as ReadyState, 'shop/later', head) === true,
  );
  expect(sightings.twice('one')).toEqual([]);
  // The kernel's word is believed, so it must be able to say yes: web ran on where it was cut off.
  expect(sightings.twice('web')).not.toEqual([]);
});

const LATER = appJob({ image: '%APP%', version: '1', count: 1 });

test('a leader that reaches etcd and no node: singletons end, all else runs on, and all comes back', async () => {
  const before = await whole();
  const web = webOf(before);
  const clear = await parted(hostOf(before.member), cluster.nodes);
  try {
    await expect
      .poll(async () => (await runningTasks(cluster)).filter((id) => id.endsWith('.one')))
      .toEqual([]);
    const tasks = await runningTasks(cluster);
    expect(tasks).toEqual(expect.arrayContaining(Object.keys(web)));
  } finally {
    await clear();
  }
  const after = await whole();
  expect(webOf(after)).toEqual(web);
  expect(sightings.twice('one')).toEqual([]);
});
