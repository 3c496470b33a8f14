// A copy becomes ready, or leaves: how long until another node's runner says so by DNS, and until its
// files for load balancers do. From the instant at which the copy's own runner learns of it (the
// answer of a check, the end of a process). The reconciler is the real program; the runners are the
// product's loops, links (TLS), stores and discovery in one process, with containerd in memory: a
// container's start is measured elsewhere. Floor: calls of the same reconciler over the same TLS that
// it answers at once, in the same run.

import { createSocket } from 'node:dgram';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Metadata, status } from '@grpc/grpc-js';
import { decode, encode } from 'dns-packet';
import { readIdentity } from '../../node-runner/edge/identity.ts';
import { credentialsOf, TLS_CHANNEL } from '../../node-runner/edge/tls.ts';
import { TLS_SCHEME } from '../../schema/identity.ts';
import { admitNodes, identityOf } from '../../test/support/many-nodes.ts';
import { startManyReconciler } from '../../test/support/many-reconciler.ts';
import { numbersFrom } from '../../test/support/numbers.ts';
import { withEnds, type Ends } from '../support/ends.ts';
import {
  type Figure,
  type FigureOptions,
  median,
  ms,
  quantile,
  type Row,
} from '../support/figure.ts';
import { createRepository } from '../support/repository.ts';
import {
  type ServiceNode,
  type ServiceNodes,
  startServiceNodes,
} from '../support/service-nodes.ts';

const NODES = 10;
const COPIES = 5;
/** Jobs beside the one that changes, of two copies each; they are in the files too. */
const OTHERS = 40;
const ROUNDS = 60;
const CLUSTER = 'bench';
const JOB = 'web';
const NAME = `${JOB}.shop.svc.purser`;
const GOAL_MS = 50;
const LIMIT_MS = 60_000;
/** Reports without news come every five seconds: rounds begin anywhere between them. */
const PAUSE_MAX_MS = 1200;
const LOOK_MS = 2;
const DIGEST = `sha256:${'a'.repeat(64)}`;
const KINDS = ['not ready', 'ready', 'ended', 'started'] as const;
type Kind = (typeof KINDS)[number];

export const serviceChange: Figure = {
  name: 'service-change',
  what: 'a copy becomes ready or leaves → DNS and files of another node, beside the link’s round trip',
  run: (options) => withEnds((ends) => run(ends, options)),
};

interface Sample {
  readonly kind: Kind;
  readonly dnsMs: number;
  readonly fileMs: number;
}

interface Scene {
  readonly nodes: ServiceNodes['nodes'];
  readonly seen: Watching;
  readonly ping: () => Promise<number>;
}

const run = async (ends: Ends, { count, seed, say }: FigureOptions): Promise<readonly Row[]> => {
  const scene = await prepare(ends);
  say(`${NODES} nodes, ${COPIES} copies of ${NAME}, ${OTHERS} other services`);
  const random = numbersFrom(seed);
  const samples: Sample[] = [];
  const pings: number[] = [];
  for (let round = 0; round < (count ?? ROUNDS); round += 1) {
    for (const kind of KINDS.slice(round % 2 === 0 ? 0 : 2).slice(0, 2)) {
      pings.push(await scene.ping());
      samples.push(await change(scene, { kind, round }));
      // What follows a start follows at once, as it does after one that nobody waited for.
      if (kind !== 'ended') await sleep(random() * PAUSE_MAX_MS);
    }
  }
  for (const kind of KINDS) {
    const some = samples.filter((one) => one.kind === kind);
    if (some.length === 0) continue;
    const [dns, file] = [some.map(({ dnsMs }) => dnsMs), some.map(({ fileMs }) => fileMs)];
    say(`${kind}: DNS ${text(dns)}; files ${text(file)}`);
  }
  const dns = samples.map(({ dnsMs }) => dnsMs);
  const file = samples.map(({ fileMs }) => fileMs);
  return [rowOf('DNS', dns, pings), rowOf('HAProxy’s and Prometheus’ files', file, pings)];
};

const text = (samples: readonly number[]): string =>
  `${ms(median(samples))}, p99 ${ms(quantile(samples, 0.99))}, most ${ms(Math.max(...samples))}`;

const rowOf = (where: string, samples: readonly number[], pings: readonly number[]): Row => {
  const beyond = quantile(samples, 0.99) - median(pings);
  return {
    what: `a copy is ready or leaves → ${where} of another node, ${samples.length} changes`,
    ours: `median ${ms(median(samples))}, p99 ${ms(quantile(samples, 0.99))}`,
    floor: `the link’s round trip ${ms(median(pings))}`,
    result: `p99 +${beyond.toFixed(0)} ms`,
    goal: `p99 ≤ +${GOAL_MS} ms`,
    met: beyond <= GOAL_MS,
  };
};

const jobText = (count: number, more: string): string =>
  `image: bench.local/app:1@${DIGEST}\ncount: ${count}\nports: { http: 8080 }\n` +
  'update: { min_healthy_time: 0s, max_parallel: 100% }\n' +
  `resources: { cpu: 10m, memory: 8MiB }\nservices: [{ port: http }]\n${more}`;

/** `retries: 1`: what one check says is what is known. It is restarted at once, however often. */
const SUBJECT =
  'spread: [{ attribute: node.name, weight: 100 }]\n' +
  'restart: { attempts: 1000, interval: 24h, delay: 0s }\n' +
  'checks: { ready: { tcp: http, interval: 400ms, timeout: 300ms, retries: 1 } }\n';

const prepare = async (ends: Ends): Promise<Scene> => {
  const root = ends.folder();
  const names = Array.from({ length: NODES }, (_, at) => `n${at + 1}`);
  const repository = createRepository(root);
  const nodes = Object.fromEntries(names.map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`]));
  const others = Array.from({ length: OTHERS }, (_, at) => [
    `jobs/other/job-${at}.yaml`,
    jobText(2, ''),
  ]);
  const files = { [`jobs/shop/${JOB}.yaml`]: jobText(COPIES, SUBJECT) };
  const cluster = `name: ${CLUSTER}\npolicies: { registries: [bench.local] }\nguards: { own_approval: true }\n`;
  const all = { 'cluster.yaml': cluster, ...nodes, ...files, ...Object.fromEntries(others) };
  repository.move(repository.prepare(all));
  await admitNodes({ root, cluster: CLUSTER, names });
  const program = { root, cluster: CLUSTER, repository: repository.folder };
  const reconciler = await startManyReconciler(program);
  ends.add(reconciler.kill);
  const { address } = reconciler;
  const asked = {
    name: names[0] ?? '',
    dns: { address: `127.${1 + (process.pid % 250)}.53.1`, port: 53 },
    files: ends.folder(),
  };
  const runners = await startServiceNodes({ address, cluster: CLUSTER, root, names, asked });
  ends.add(runners.stop);
  const seen = watchServices(asked);
  ends.add(seen.close);
  const pinger = pingsOf(address, identityOf(root, names[0] ?? ''));
  ends.add(pinger.close);
  await seen.until(({ dns, file }) => dns.size === COPIES && file.size === COPIES);
  // Whatever starting brought is over.
  await sleep(2 * PAUSE_MAX_MS);
  return { nodes: runners.nodes, seen, ping: pinger.ping };
};

/** One change of one copy, and how long until both have shown it. */
const change = async (
  { nodes, seen }: Scene,
  ask: { kind: Kind; round: number },
): Promise<Sample> => {
  const { kind, round } = ask;
  // Never the node that is asked: it knows of its own before the reconciler does.
  const holders = nodes.slice(1).filter((node) => node.copyOf(JOB) !== null);
  const node = holders[round % holders.length];
  if (node === undefined) throw new Error('no other node has a copy');
  const isThere = kind === 'ready' || kind === 'started';
  const at = await begin(node, kind);
  const when = await seen.until(
    ({ dns, file }) => dns.has(node.address) === isThere && file.has(node.address) === isThere,
    node.address,
  );
  return { kind, dnsMs: when.dns - at, fileMs: when.file - at };
};

const begin = async (node: ServiceNode, kind: Kind): Promise<number> => {
  const copy = node.copyOf(JOB) ?? '';
  switch (kind) {
    case 'ready':
    case 'started':
      return node.checksSay({ ok: true });
    case 'not ready':
      return node.checksSay({ ok: false, message: 'the benchmark says no' });
    case 'ended':
      return node.kill(copy, JOB);
  }
};

interface Shown {
  /** Addresses of the service's copies, as each was seen last. */
  readonly dns: ReadonlySet<string>;
  readonly file: ReadonlySet<string>;
}

interface Watching {
  /** Resolves with the instants at which `address` came or went last. */
  readonly until: (
    holds: (shown: Shown) => boolean,
    address?: string,
  ) => Promise<{ readonly dns: number; readonly file: number }>;
  readonly close: () => void;
}

/** Asks and reads all the time, as often as costs little. */
const watchServices = (asked: {
  readonly dns: { readonly address: string; readonly port: number };
  readonly files: string;
}): Watching => {
  const ask = askerOf(asked.dns);
  const inFiles = filesOf(asked.files);
  let [dns, file] = [new Set<string>(), new Set<string>()];
  const changed = { dns: new Map<string, number>(), file: new Map<string, number>() };
  const note = (where: 'dns' | 'file', before: Set<string>, after: Set<string>): Set<string> => {
    for (const one of new Set([...before, ...after])) {
      if (before.has(one) !== after.has(one)) changed[where].set(one, performance.now());
    }
    return after;
  };
  const look = async (): Promise<void> => {
    dns = note('dns', dns, (await ask.addresses()) ?? dns);
    file = note('file', file, inFiles());
  };
  return {
    until: async (holds, address = '') => {
      const limit = performance.now() + LIMIT_MS;
      for (; !holds({ dns, file }); await sleep(LOOK_MS)) {
        await look();
        if (performance.now() > limit) throw new Error(`${address} was not seen to change`);
      }
      return { dns: changed.dns.get(address) ?? 0, file: changed.file.get(address) ?? 0 };
    },
    close: ask.close,
  };
};

/** Addresses that both files hold; they are read when they were replaced. */
const filesOf = (folder: string): (() => Set<string>) => {
  const haproxy = readerOf(path.join(folder, 'haproxy'), (text) => {
    const backend = /backend shop_web\n((?: .*\n)*)/.exec(text)?.[1] ?? '';
    return [...backend.matchAll(/server \S+ ([\d.]+):/g)].map(([, one = '']) => one);
  });
  const prometheus = readerOf(path.join(folder, 'prometheus'), (text) => {
    const targets = JSON.parse(text) as readonly Target[];
    const web = targets.filter(({ labels }) => labels['purser_service'] === JOB);
    return web.map(({ targets: [one = ''] }) => one.replace(/:\d+$/, ''));
  });
  return () => {
    const others = prometheus();
    return new Set(haproxy().filter((one) => others.includes(one)));
  };
};

const readerOf = (file: string, addressesOf: (text: string) => readonly string[]) => {
  let [seen, addresses]: [string, readonly string[]] = ['', []];
  return (): readonly string[] => {
    const found = fs.statSync(file, { throwIfNoEntry: false });
    const now = `${found?.ino} ${found?.mtimeMs}`;
    if (found !== undefined && now !== seen) addresses = addressesOf(fs.readFileSync(file, 'utf8'));
    seen = now;
    return addresses;
  };
};

interface Target {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

const ANSWER_MS = 1000;

const askerOf = ({ address, port }: { readonly address: string; readonly port: number }) => {
  const socket = createSocket('udp4');
  let answered: (message: Buffer) => void = () => undefined;
  socket.on('message', (message) => answered(message));
  socket.on('error', () => undefined);
  const question = encode({
    type: 'query',
    id: 1,
    flags: 0,
    questions: [{ type: 'A', name: NAME, class: 'IN' }],
  });
  return {
    /** null: no answer, as long as nobody listens there. */
    addresses: async (): Promise<Set<string> | null> => {
      const message = await new Promise<Buffer | null>((resolve) => {
        const timer = setTimeout(() => resolve(null), ANSWER_MS);
        answered = (bytes) => {
          clearTimeout(timer);
          resolve(bytes);
        };
        socket.send(question, port, address);
      });
      if (message === null) return null;
      const answers = decode(message).answers ?? [];
      return new Set(answers.flatMap((one) => (one.type === 'A' ? [one.data] : [])));
    },
    close: () => socket.close(),
  };
};

/** Calls of a method that there is none of: the server’s answer needs no work of the reconciler. */
const pingsOf = (address: string, identity: string) => {
  const credentials = credentialsOf(readIdentity(identity));
  const client = new Client(address.slice(TLS_SCHEME.length), credentials, TLS_CHANNEL);
  const asIs = (bytes: Buffer): Buffer => bytes;
  return {
    ping: (): Promise<number> =>
      new Promise((resolve, reject) => {
        const began = performance.now();
        const nothing = Buffer.alloc(0);
        client.makeUnaryRequest(
          '/bench.Ping/Ping',
          asIs,
          asIs,
          nothing,
          new Metadata(),
          (error) => {
            if (error?.code === status.UNIMPLEMENTED) resolve(performance.now() - began);
            else reject(error ?? new Error('there is such a method'));
          },
        );
      }),
    close: () => client.close(),
  };
};
