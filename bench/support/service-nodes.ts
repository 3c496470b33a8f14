// Node runners of one process whose copies become ready, and not ready, when the benchmark says so:
// the product's loop, link (TLS, a certificate each), store on the disk, and discovery on one of them;
// containerd and network are in memory. In: names, a reconciler's address. Out: levers, and the
// instants at which a runner learnt of a change. Not here: what is measured.

import fs from 'node:fs';
import path from 'node:path';
import { createDiscovery, type LoopbackAddress } from '../../node-runner/discovery.ts';
import { createClock } from '../../node-runner/edge/clock.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import { createStore } from '../../node-runner/edge/store/store.ts';
import type { ProbeAnswer } from '../../node-runner/ports.ts';
import { createTick, type Tick } from '../../node-runner/tick.ts';
import { containerId } from '../../schema/ids.ts';
import { nodeFacts } from '../../test/support/many-runners.ts';
import { identityOf } from '../../test/support/many-nodes.ts';
import { createWorld } from '../../test/support/runner-world.ts';

export interface ServiceNodesAsk {
  readonly address: string;
  readonly cluster: string;
  readonly root: string;
  readonly names: readonly string[];
  /** The node that is asked about services, and where. */
  readonly asked: { readonly name: string; readonly dns: LoopbackAddress; readonly files: string };
}

export interface ServiceNode {
  readonly name: string;
  /** Where its copies are found. */
  readonly address: string;
  /** Its copy of this job; null: it has none. */
  readonly copyOf: (job: string) => string | null;
  /** From now on its checks say so; resolves when the first has, with that instant. */
  readonly checksSay: (answer: ProbeAnswer) => Promise<number>;
  /** The copy's process ends; the instant. */
  readonly kill: (allocation: string, task: string) => number;
}

export interface ServiceNodes {
  readonly nodes: readonly ServiceNode[];
  readonly stop: () => Promise<void>;
}

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

export const startServiceNodes = async (ask: ServiceNodesAsk): Promise<ServiceNodes> => {
  const ends: { readonly abort: AbortController; readonly ended: Promise<unknown> }[] = [];
  const nodes: ServiceNode[] = [];
  for (const [at, name] of ask.names.entries()) {
    const abort = new AbortController();
    const one = await startOne(ask, { name, address: `192.0.2.${at + 1}`, signal: abort.signal });
    ends.push({ abort, ended: one.ended });
    nodes.push(one.node);
  }
  return {
    nodes,
    stop: async () => {
      for (const { abort } of ends) abort.abort();
      await Promise.all(ends.map(({ ended }) => ended));
    },
  };
};

interface One {
  readonly name: string;
  readonly address: string;
  readonly signal: AbortSignal;
}

const startOne = async (ask: ServiceNodesAsk, { name, address, signal }: One) => {
  const { cluster } = ask;
  const root = path.join(ask.root, 'nodes', name);
  fs.mkdirSync(root, { recursive: true });
  const clock = createClock();
  const world = createWorld(undefined, undefined, clock);
  const store = await createStore({ root, log: SILENT });
  const own: { tick: Tick | null } = { tick: null };
  const discovery =
    name === ask.asked.name
      ? await createDiscovery({
          node: name,
          cluster,
          root,
          copies: null,
          settings: { dns: ask.asked.dns, files: filesIn(ask.asked.files), consul: null },
          inventory: () => own.tick?.inventory() ?? null,
          trouble: () => undefined,
          log: SILENT,
        })
      : null;
  const link = createLink({
    address: ask.address,
    cluster,
    node: name,
    clock,
    log: SILENT,
    serve: () => Promise.reject(new Error('these runners serve no streams')),
    identity: identityOf(ask.root, name),
    ...(discovery === null ? {} : { catalogue: discovery.heard }),
  });
  const checks = createChecks();
  const ports = { ...world.ports, link: link.port, store, probes: { probe: checks.probe } };
  const tick = createTick(ports, { ...nodeFacts(name, cluster), address });
  own.tick = tick;
  const answering = discovery?.run(signal) ?? Promise.resolve();
  const running = [tick.run(signal), link.run(signal), answering];
  const node: ServiceNode = {
    name,
    address,
    copyOf: (job) => {
      const marks = [...tick.inventory().marks.values()];
      return marks.find(({ body }) => body.job === job)?.allocation ?? null;
    },
    checksSay: checks.say,
    kill: (allocation, task) => {
      const at = performance.now();
      world.exits(containerId(allocation, task), { code: 1 });
      return at;
    },
  };
  return { node, ended: Promise.all(running) };
};

const filesIn = (folder: string) =>
  (['haproxy', 'prometheus'] as const).map((kind) => ({ kind, path: path.join(folder, kind) }));

const createChecks = () => {
  let answer: ProbeAnswer = { ok: true };
  let told: ((at: number) => void) | null = null;
  return {
    probe: async (): Promise<ProbeAnswer> => {
      told?.(performance.now());
      told = null;
      return answer;
    },
    say: (next: ProbeAnswer): Promise<number> => {
      answer = next;
      return new Promise((resolve) => (told = resolve));
    },
  };
};
