// Three reconcilers, of which one leads: what the others do when it is killed, suspended, or etcd is
// gone. Real Git server, real etcd, real containerd. No container may notice any of it.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReadyState } from '../../cli/state.ts';
import { appJob } from '../support/app.ts';
import { type Cluster, isSettled, pidsOf, startCluster } from '../support/cluster.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { type Said, startTrio, type Trio } from '../support/trio.ts';

const WEB = 'shop/web';

let etcd: Etcd;
let git: GitServer;
let cluster: Cluster;
let trio: Trio;
let pids: ReturnType<typeof pidsOf>;

beforeAll(async () => {
  etcd = await startEtcd();
  const words = ['--etcd', etcd.hosts.join(), '--lease', '3s'];
  let url = '';
  cluster = await startCluster({
    nodes: 2,
    link: 'tls',
    outside: true,
    files: { 'jobs/shop/web.yaml': appJob({ image: '%APP%', version: '1' }) },
    url: async (workTree) => {
      execFileSync('git', ['-C', workTree, 'config', 'receive.denyCurrentBranch', 'updateInstead']);
      git = await startGitServer({ root: path.dirname(workTree), login: null });
      url = `${git.url}/${path.basename(workTree)}/.git`;
      return url;
    },
    words: () => [...words, '--name', 'r1'],
  });
  await cluster.settled(WEB);
  pids = pidsOf(await cluster.state(), WEB);
  trio = await startTrio({ cluster, url, words });
  await trio.untilLed(
    'both standbys are heard from',
    ({ state }) => state.leader?.standbys.length === 2,
  );
  await trio.known();
});
afterAll(async () => {
  await trio?.close();
  await cluster?.close();
  await git?.close();
  await etcd?.close();
});

/** Whoever leads has the nodes, and what runs is what ran. */
const isWhole = ({ state }: Said): boolean =>
  state.view !== null &&
  state.view.live.nodes.filter(({ connected }) => connected).length === 2 &&
  JSON.stringify(pidsOf(state as ReadyState, WEB)) === JSON.stringify(pids);

/** The next deploy works, whoever leads by then. */
const deploys = async (name: string): Promise<Said> => {
  const file = appJob({ image: '%APP%', version: '1', count: 1 });
  const head = cluster.commit({ [`jobs/shop/${name}.yaml`]: file }, `Add ${name}`);
  return trio.untilLed(
    `${name} settles, and web is as it was`,
    (said) => isWhole(said) && isSettled(said.state as ReadyState, `shop/${name}`, head) === true,
  );
};

const leader = (): Promise<Said> => trio.untilLed('somebody leads', isWhole);

test('a leader that is killed is followed by another, which deploys, and no container notices', async () => {
  const { member, state } = await leader();
  expect(await trio.purser(member, 'status')).toContain(`${member.name} leads`);
  await member.program.end('SIGKILL');
  const next = await deploys('killed');
  expect(next.member.name).not.toBe(member.name);
  expect(next.state.leader?.term).toBeGreaterThan(state.leader?.term ?? 0);
  member.program.start();
  await trio.until('it is back, as a standby', async () =>
    (await trio.states()).some(
      (said) => said.member.name === member.name && said.state.leader?.leader !== null,
    ),
  );
  const now = await leader();
  const standby = trio.members.find(({ name }) => name !== now.member.name);
  if (standby === undefined) throw new Error('all of them lead');
  const said = await trio.purser(standby, 'status');
  expect(said).toMatch(/is a standby: r\d leads/);
  // The rest is what the leader says, by way of the standby.
  expect(said).toMatch(/shop\/web .* settled/);
  expect(await trio.purser(standby, 'logs', 'killed')).toContain('serving 1');
  expect(await trio.purser(standby, 'scale', 'killed=2')).toContain('killed');
  await trio.untilLed(
    'there is a second copy',
    ({ state }) => Object.keys(pidsOf(state as ReadyState, 'shop/killed')).length === 2,
  );
});

test('a leader that was suspended and wakes up does no harm, and what is watched goes on', async () => {
  const { member } = await leader();
  const standby = trio.members.find(({ name }) => name !== member.name);
  if (standby === undefined) throw new Error('all of them lead');
  const watched = trio.follow(standby, 'status', '--watch');
  await trio.until('a standby shows what the leader says', async () =>
    watched.said().includes('shop/web'),
  );
  member.program.signal('SIGSTOP');
  const next = await deploys('suspended');
  expect(next.member.name).not.toBe(member.name);
  await trio.until('the same command shows what the next leader says', async () =>
    watched.said().includes('shop/suspended'),
  );
  await watched.end();
  member.program.signal('SIGCONT');
  await trio.until('it says that it leads no more', async () =>
    (await trio.states()).some(
      (said) => said.member.name === member.name && said.state.leader?.leads === false,
    ),
  );
});

test('without one member of etcd all goes on; without all of them nobody leads, and all runs on', async () => {
  await etcd.kill(0);
  const { member } = await deploys('two-of-three');
  await Promise.all([1, 2].map(etcd.kill));
  await trio.until('nobody leads', async () => {
    const said = await trio.states();
    return said.length === 3 && said.every(({ state }) => state.leader?.leads === false);
  });
  expect(await trio.purser(member, 'status')).toContain('Nobody is known to lead');
  await expect(cluster.ctr('n1', 'tasks', 'list')).resolves.toContain('RUNNING');
  for (const at of [0, 1, 2]) etcd.start(at);
  await deploys('again');
});
