// A cluster under load: three reconcilers by etcd, three nodes, HAProxy on the first of them, clients
// that ask through it and by DNS; and rounds of changes. In: how many jobs, how much is asked. Out:
// rounds done one after the other, what failed. Not here: which rounds (changes.ts).

import path from 'node:path';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { benchImage } from '../../../bench/support/images.ts';
import { namesFor } from '../../../node-runner/edge/network/names.ts';
import { runCommand } from '../../../node-runner/edge/command.ts';
import { networkIdentity } from '../../../node-runner/main.ts';
import type { StateAnswer } from '../../../schema/control.ts';
import { type Cluster, type ClusterOptions, startCluster, type TestNode } from '../cluster.ts';
import { startEtcd } from '../etcd.ts';
import { type Said, startTrio, type Trio } from '../trio.ts';
import {
  after,
  type Blow,
  COPIES,
  FIRST,
  filesOf,
  type JobsAsk,
  type Round,
  type Wish,
  wordsOf,
} from './changes.ts';
import { type Clients, type ClientAsk, type Way, startClients } from './clients.ts';
import { type Haproxy, startHaproxy } from './haproxy.ts';

export interface LoadWorld {
  readonly nodes: readonly string[];
  readonly clients: Clients;
  readonly haproxy: Haproxy;
  readonly wish: () => Wish;
  /** Commits, strikes, and waits until all is as the repository says. */
  readonly round: (round: Round) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface LoadAsk {
  readonly jobs: number;
  /** Of each client. */
  readonly perSecond: {
    readonly proxy: Readonly<Partial<Record<Way, number>>>;
    readonly dns: Readonly<Partial<Record<Way, number>>>;
  };
  /** Asked at each start of a runner. */
  readonly programs?: ClusterOptions['programs'];
}

const NODES = 3;
const PROXY_PORT = 81;
const LOOK_EVERY_MS = 250;
const LEASE = '3s';

export const startLoad = async (ask: LoadAsk): Promise<LoadWorld> => {
  const ends: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    while (ends.length > 0) await ends.pop()?.();
  };
  try {
    return { ...(await assemble(ask, ends)), close };
  } catch (error) {
    await close();
    throw error;
  }
};

const assemble = async (
  ask: LoadAsk,
  ends: (() => Promise<void>)[],
): Promise<Omit<LoadWorld, 'close'>> => {
  const etcd = await startEtcd();
  ends.push(etcd.close);
  const words = ['--etcd', etcd.hosts.join(), '--lease', LEASE];
  const cluster = await startCluster({
    nodes: NODES,
    link: 'tls',
    outside: true,
    files: {},
    settings: ['lost_after: 30s', 'max_deployments: 100'],
    words: () => [...words, '--name', 'r1'],
    runnerWords: ({ root }) => ['--haproxy-file', backendsOf(root)],
    ...(ask.programs === undefined ? {} : { programs: ask.programs }),
  });
  ends.push(cluster.close);
  const { image, digest } = await pushImage(cluster);
  const trio = await startTrio({ cluster, url: cluster.repository, words });
  ends.push(trio.close);
  const nodes = cluster.nodes.map(({ name }) => name);
  const jobs = Array.from({ length: ask.jobs }, (_, at) => `web${at + 1}`);
  const files: JobsAsk = { image: `${image}@${digest}`, jobs, nodes };
  const place: Place = { cluster, trio, files };
  let wish = FIRST;
  await untilReached(place, wish, cluster.commit(filesOf(wish, files), 'The jobs'));
  const [first] = cluster.nodes;
  if (first === undefined) throw new Error('there are no nodes');
  const backends = backendsOf(first.root);
  await trio.until('the file of HAProxy is there', async () => existsSync(backends));
  const { netns, address } = first;
  const haproxy = await startHaproxy({
    netns,
    folder: cluster.root,
    backends,
    host: address,
    port: PROXY_PORT,
  });
  ends.push(haproxy.close);
  const done: { readonly at: number; readonly words: string }[] = [];
  const doing = (at: number): string => {
    const last = done.findLast((one) => one.at <= at);
    return last === undefined ? 'before all changes' : `${at - last.at} ms after: ${last.words}`;
  };
  const asks = await clientsOf(ask, { nodes: cluster.nodes, jobs });
  const clients = startClients(asks, doing);
  ends.push(clients.stop);
  return {
    nodes,
    clients,
    haproxy,
    wish: () => wish,
    round: async (round) => {
      const words = wordsOf(round);
      done.push({ at: Date.now(), words });
      wish = after(wish, round.commit);
      const head = cluster.commit(filesOf(wish, files), words);
      if (round.blow !== null) {
        await sleep(round.blow.afterMs);
        await strike(place, round.blow);
      }
      await untilReached(place, wish, head);
    },
  };
};

const backendsOf = (nodeRoot: string): string => path.join(nodeRoot, 'backends.cfg');

const pushImage = async ({ registry, proxy }: Cluster) => {
  const image = await benchImage();
  await registry.push('bench', image);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  await registry.put({ path: 'bench', digest: '1', bytes: image.manifest, type });
  return { image: `${proxy.host}/bench:1`, digest: image.digest };
};

/** One outside that goes through HAProxy; on each other node a program that asks DNS. */
const clientsOf = async (
  { perSecond }: LoadAsk,
  { nodes, jobs }: { readonly nodes: readonly TestNode[]; readonly jobs: readonly string[] },
): Promise<readonly ClientAsk[]> => {
  const [first, ...others] = nodes;
  const proxy = { kind: 'proxy', host: first?.address ?? '', port: PROXY_PORT } as const;
  const byName = others.map(async ({ name, root, netns }) => {
    const { bridge } = namesFor(networkIdentity({ root, node: name }));
    const args = [`--net=/run/netns/${netns}`, 'ip', '-j', '-4', 'address', 'show', 'dev', bridge];
    const [link] = JSON.parse(await runCommand({ program: 'nsenter', args })) as readonly {
      readonly addr_info: readonly { readonly local: string }[];
    }[];
    const to = { kind: 'dns', server: link?.addr_info[0]?.local ?? '' } as const;
    return {
      name: `by DNS of ${name}`,
      netns,
      plan: { to, services: jobs, perSecond: perSecond.dns },
    };
  });
  const plan = { to: proxy, services: jobs, perSecond: perSecond.proxy };
  return [{ name: 'through HAProxy', netns: null, plan }, ...(await Promise.all(byName))];
};

interface Place {
  readonly cluster: Cluster;
  readonly trio: Trio;
  readonly files: JobsAsk;
}

/** A runner ends and starts as in an upgrade; a leader dies at once, and is back once another leads. */
const strike = async ({ cluster, trio }: Place, blow: Blow): Promise<void> => {
  if (blow.kind === 'runner') {
    const { runner } = cluster.node(blow.node);
    await runner.end('SIGTERM');
    runner.start();
    return;
  }
  const { member } = await trio.untilLed('somebody leads', () => true);
  await member.program.end('SIGKILL');
  await trio.untilLed('another one leads', (said) => said.member.name !== member.name);
  member.program.start();
};

const untilReached = async ({ trio, files }: Place, wish: Wish, head: string): Promise<void> => {
  let last = '';
  await trio
    .until('all is as the repository says', async () => {
      await sleep(LOOK_EVERY_MS);
      const states = await trio.states();
      const led = states.find(({ state }) => state.leader?.leads === true);
      const missing = led === undefined ? 'nobody leads' : missingIn(led, { wish, head, files });
      const now = states.length < trio.members.length ? 'a reconciler does not answer' : missing;
      if (now !== null) last = now;
      return now === null;
    })
    .catch((error: unknown) => {
      throw new Error(`${last}\n${String(error)}`);
    });
};

/** null: nothing. */
const missingIn = (
  { state: { view } }: Said,
  { wish, head, files }: { readonly wish: Wish; readonly head: string; readonly files: JobsAsk },
): string | null => {
  if (view?.desired.commit.oid !== head) return 'HEAD is not read';
  const silent = view.live.nodes.filter(({ connected }) => !connected);
  if (silent.length > 0) return `${silent.map(({ name }) => name).join()} are not heard`;
  const wrong = files.jobs.find((job) => !isReached(view, `shop/${job}`, wish));
  if (wrong !== undefined) return `${wrong} is not as it should be`;
  return view.plan.steps.length === 0 ? null : 'the plan has steps';
};

/** So many copies of the version at HEAD, each ready, none on a drained node, and no others. */
const isReached = (
  { desired, live }: NonNullable<StateAnswer['view']>,
  id: string,
  { drained }: Wish,
): boolean => {
  const job = desired.jobs.find((one) => one.id === id);
  const copies = live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body }) => `${body.namespace}/${body.job}` === id);
  const good = copies.filter(
    ({ phase, health, stopping, node, body }) =>
      phase === 'running' &&
      health === 'healthy' &&
      !stopping &&
      node !== drained &&
      (job?.spec.groups.some(({ hash }) => hash === body.spec.hash) ?? false),
  );
  return good.length === COPIES && copies.length === COPIES;
};
