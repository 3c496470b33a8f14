// Many node runners in one process: the product's loop and its end of the link, each over TLS with a
// certificate of its own; containerd, disk and network are those in memory (runner-world.ts), on the
// real clock. In: an address, names, their identities. Out: who was acknowledged, who got orders, how
// long reports took until their answer. Not here: the reconciler.

import { setTimeout as sleep } from 'node:timers/promises';
import type { RunnerConfig } from '../../node-runner/config.ts';
import { createClock } from '../../node-runner/edge/clock.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import type { LinkPort, RunnerClock } from '../../node-runner/ports.ts';
import { createTick } from '../../node-runner/tick.ts';
import { identityOf } from './many-nodes.ts';
import { createWorld } from './runner-world.ts';

export interface ManyRunners {
  readonly counts: () => RunnerCounts;
  /** Containers that run, sorted. */
  readonly containers: () => readonly string[];
  /** Counts anew; orders count where they are of this commit, all of them where it is ''. */
  readonly mark: (commit: string) => void;
  readonly stop: () => Promise<void>;
}

/** Since the last mark; instants in milliseconds since 1970. */
export interface RunnerCounts {
  /** Nodes of which a report was acknowledged. */
  readonly heard: number;
  readonly lastHeardAt: number;
  /** Nodes that took orders. */
  readonly ordered: number;
  readonly lastOrderedAt: number;
  /** From the sending of a report to its acknowledgement, to about LOOK_EVERY_MS. */
  readonly tookMs: readonly number[];
  /** Sessions refused by the reconciler, and links that were cut. */
  readonly cuts: number;
  /** Containers that run. */
  readonly running: number;
}

export interface ManyRunnersAsk {
  readonly cluster: string;
  readonly root: string;
  readonly nodes: readonly ManyNode[];
}

export interface ManyNode {
  readonly name: string;
  /** Where it finds the reconciler. */
  readonly address: string;
}

const LOOK_EVERY_MS = 3;
/**
 * So many at most have dialled and were not heard yet: they share a core, on which hundreds of
 * handshakes at once would all come too late.
 */
const DIALLING = 100;
const GIB = 1024 ** 3;
/** Of one node: room for one copy that asks for most of it. */
export const NODE_CPU_MILLI = 1000;

export const startRunners = (ask: ManyRunnersAsk): ManyRunners => {
  const clock = createClock();
  const abort = new AbortController();
  const seen = newSeen();
  // A signal each: that of all would have thousands of listeners.
  const ends = ask.nodes.map(() => new AbortController());
  const waiting: (() => void)[] = [];
  const turnOf = async (at: number): Promise<void> => {
    if (at >= DIALLING) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const runners = ask.nodes.map((node, at) =>
    startOne(ask, { node, clock, seen, signal: (ends[at] ?? abort).signal, turn: turnOf(at) }),
  );
  const next = (): void => waiting.shift()?.();
  const following = follow(runners, { clock, seen, signal: abort.signal, next });
  return {
    counts: () => ({
      heard: seen.heard.size,
      lastHeardAt: seen.lastHeardAt,
      ordered: seen.ordered.size,
      lastOrderedAt: seen.lastOrderedAt,
      tookMs: [...seen.tookMs],
      cuts: seen.cuts,
      running: runners.reduce((sum, { running }) => sum + running().length, 0),
    }),
    containers: () => runners.flatMap(({ running }) => running()).toSorted(),
    mark: (commit) => Object.assign(seen, newSeen(), { commit }),
    stop: async () => {
      for (const one of [abort, ...ends]) one.abort();
      for (const begin of waiting) begin();
      await Promise.all([following, ...runners.map(({ ended }) => ended)]);
    },
  };
};

interface Seen {
  commit: string;
  heard: Set<string>;
  lastHeardAt: number;
  ordered: Set<string>;
  lastOrderedAt: number;
  tookMs: number[];
  cuts: number;
}

const newSeen = (): Seen => ({
  commit: '',
  heard: new Set(),
  lastHeardAt: 0,
  ordered: new Set(),
  lastOrderedAt: 0,
  tookMs: [],
  cuts: 0,
});

interface Shared {
  readonly clock: RunnerClock;
  readonly seen: Seen;
  readonly signal: AbortSignal;
}

interface One {
  readonly node: ManyNode;
  /** Before it, it does not dial. */
  readonly turn: Promise<void>;
}

const epochMs = (): number => performance.timeOrigin + performance.now();

const startOne = (
  { cluster, root }: ManyRunnersAsk,
  { node: { name, address }, clock, seen, signal, turn }: Shared & One,
) => {
  const world = createWorld(undefined, undefined, clock);
  const cut = (): void => void (seen.cuts += 1);
  const log = { info: cut, warn: cut, error: cut };
  const serve = () => Promise.reject(new Error('these runners serve no streams'));
  const identity = identityOf(root, name);
  const link = createLink({ address, cluster, node: name, clock, log, serve, identity });
  const port: LinkPort = {
    ...link.port,
    take: () => {
      const orders = link.port.take();
      if (orders !== null && (seen.commit === '' || orders.commit === seen.commit)) {
        seen.ordered.add(name);
        seen.lastOrderedAt = epochMs();
      }
      return orders;
    },
  };
  const tick = createTick({ ...world.ports, link: port }, nodeFacts(name, cluster));
  return {
    name,
    acknowledged: link.port.acknowledged,
    running: () =>
      [...world.containers.values()].flatMap(({ id, task }) => (task === 'running' ? [id] : [])),
    ended: turn.then(() => Promise.all([tick.run(signal), link.run(signal)])),
  };
};

/** What such a runner says of its node. */
export const nodeFacts = (name: string, cluster: string): RunnerConfig => ({
  node: name,
  cluster,
  address: '192.0.2.1',
  architecture: 'amd64',
  capacity: { cpuMilli: NODE_CPU_MILLI, memoryBytes: GIB },
  attributes: [['node.arch', 'amd64']],
  cgroupParent: `/purser/${name}`,
  resolvConf: '',
  diskReserveBytes: GIB,
});

type Followed = Pick<ReturnType<typeof startOne>, 'name' | 'acknowledged'>;

/** The link says when the newest acknowledged report was sent: how long that took is seen by looking. */
const follow = async (
  runners: readonly Followed[],
  { clock, seen, signal, next }: Shared & { readonly next: () => void },
): Promise<void> => {
  const before = new Map<string, number | null>();
  while (!signal.aborted) {
    for (const { name, acknowledged } of runners) {
      const at = acknowledged();
      if (at === null || at === before.get(name)) continue;
      if (!before.has(name)) next();
      before.set(name, at);
      seen.tookMs.push(clock.now() - at);
      seen.heard.add(name);
      seen.lastHeardAt = epochMs();
    }
    await sleep(LOOK_EVERY_MS);
  }
};
