// A real cluster for benchmarks: dist/main.js as reconciler and as node runners, a private
// containerd each, a bare repository. In: a seed repository. Out: handles, and a way to remove it
// all. One node lives in the machine's own network, several each in a name space of their own, as
// with `purser up`. Not here: what is measured.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Control } from '../../cli/client.ts';
import { RECONCILER_NODE_FLAGS, RUNNER_NODE_FLAGS } from '../../cli/up/children.ts';
import { joinNodes, partNodes } from '../../cli/up/networks.ts';
import type { BuiltImage } from '../../cli/image-build.ts';
import { cleanNode } from '../../node-runner/clean.ts';
import { socketOf } from '../../node-runner/edge/containerd/daemon.ts';
import { createContainerdRuntime } from '../../node-runner/edge/containerd/runtime.ts';
import { CONTAINERD_NAMESPACE } from '../../node-runner/main.ts';
import type { StateAnswer } from '../../schema/control.ts';
import { inNetns } from '../../test/support/netns.ts';
import { CTR_NAMESPACE } from './ctr.ts';
import { createRepository, type BenchRepository } from './repository.ts';
import { type Starts, watchStarts } from './starts.ts';

export interface BenchCluster {
  readonly root: string;
  readonly socket: string;
  /** Of each node's containerd. */
  readonly sockets: readonly string[];
  readonly repository: BenchRepository;
  readonly starts: Starts;
  readonly control: Control;
  /** Process ids of the two programs now; the runner's is the first node's. */
  readonly pids: () => { readonly reconciler: number; readonly runner: number };
  readonly state: () => Promise<StateAnswer>;
  /** Waits until the newest view says so. */
  readonly until: (holds: (state: StateAnswer) => boolean, limitMs?: number) => Promise<void>;
  /** Ends the reconciler (SIGKILL) and starts another; returns the instant of its start. */
  readonly restartReconciler: () => Promise<number>;
  /** Ends the runner of the node at this place (SIGKILL); its containers run on. */
  readonly killRunner: (place: number) => Promise<void>;
  readonly startRunner: (place: number) => void;
  readonly close: () => Promise<void>;
}

export interface ClusterOptions {
  readonly images: Readonly<Record<string, BuiltImage>>;
  readonly files: Readonly<Record<string, string>>;
  readonly insecure?: readonly string[];
  /** Directory with dist/main.js; another checkout's, to compare two versions. */
  readonly program?: string;
  /** How many nodes, n1 and so on; 1 when left out. */
  readonly nodes?: number;
}

const START_MAX_MS = 30_000;

export const CLUSTER_FILES = {
  'cluster.yaml':
    'name: bench\npolicies: { registries: [bench.local] }\nguards: { own_approval: true }\n',
  'nodes/n1.yaml': 'node: n1\n',
};

interface BenchNode {
  readonly name: string;
  readonly root: string;
  readonly socket: string;
  readonly address: string;
  /** null: the machine's own network. */
  readonly netns: string | null;
}

const nodesOf = async (root: string, count: number): Promise<readonly BenchNode[]> => {
  const names = Array.from({ length: count }, (_, at) => `n${at + 1}`);
  const networks = count === 1 ? null : await joinNodes(root, names);
  return names.map((name, at) => {
    const nodeRoot = path.join(root, at === 0 ? 'n' : name);
    const { netns, address } = networks?.get(name) ?? { netns: null, address: '127.0.0.1' };
    const socket = socketOf(path.join(nodeRoot, 'containerd'));
    return { name, root: nodeRoot, socket, address, netns };
  });
};

export const startCluster = async (options: ClusterOptions): Promise<BenchCluster> => {
  const root = fs.mkdtempSync(path.join(tmpdir(), 'pb-'));
  const nodes = await nodesOf(root, options.nodes ?? 1);
  const program = options.program ?? path.resolve(import.meta.dirname, '../../dist/main.js');
  const repository = createRepository(root);
  const files = Object.fromEntries(
    nodes.map(({ name }) => [`nodes/${name}.yaml`, `node: ${name}\n`]),
  );
  repository.move(repository.prepare({ ...CLUSTER_FILES, ...files, ...options.files }));
  const children = createPrograms({ root, nodes, program, repository: repository.folder });
  const insecure = options.insecure ?? [];
  children.startRunners(insecure);
  const socket = nodes[0]?.socket ?? '';
  for (const node of nodes) {
    await patiently(() => fs.existsSync(node.socket));
    await importImages({ root, socket: node.socket, images: options.images });
  }
  children.startReconciler(insecure);
  const controlSocket = path.join(root, 'control.sock');
  const control = await connected(controlSocket);
  const starts = await watchStarts(socket);
  const state = () => control.call<StateAnswer>('state');
  let closing: Promise<void> | null = null;
  const remove = async (): Promise<void> => {
    control.close();
    starts.close();
    await children.close();
    await removeOthers({ root, socket });
    for (const { name, root: nodeRoot, netns } of nodes) {
      await cleanNode({ node: name, root: nodeRoot, netns });
    }
    if (nodes.length > 1)
      await partNodes(
        root,
        nodes.map(({ name }) => name),
      );
    fs.rmSync(root, { recursive: true, force: true });
  };
  const cluster: BenchCluster = {
    root,
    socket,
    sockets: nodes.map((node) => node.socket),
    repository,
    starts,
    control,
    pids: children.pids,
    state,
    until: (holds, limitMs = START_MAX_MS) => follow(control, holds, limitMs),
    restartReconciler: async () => {
      await children.endReconciler();
      fs.rmSync(controlSocket, { force: true });
      return children.startReconciler(insecure);
    },
    killRunner: children.killRunner,
    startRunner: (place) => children.startRunner(place, insecure),
    close: () => (closing ??= remove()),
  };
  // Ctrl-C and a time limit of the caller leave nothing behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cluster.close().finally(() => process.exit(130)));
  }
  try {
    await cluster.until(
      ({ view }) => view?.live.nodes.filter(({ connected: on }) => on).length === nodes.length,
    );
    return cluster;
  } catch (error) {
    for (const name of ['runner', 'reconciler']) {
      console.error(fs.readFileSync(path.join(root, `${name}.log`), 'utf8').slice(-LOG_CHARACTERS));
    }
    await cluster.close();
    throw error;
  }
};

/** The end of a program's log, shown when the cluster does not come up. */
const LOG_CHARACTERS = 2000;

const follow = async (
  control: Control,
  holds: (state: StateAnswer) => boolean,
  limitMs: number,
): Promise<void> => {
  const signal = AbortSignal.timeout(limitMs);
  for await (const state of control.watch<StateAnswer>('state', signal)) {
    if (holds(state)) return;
  }
  const { view, failure, write } = await control.call<StateAnswer>('state');
  const why = JSON.stringify({ failure, write, blocked: view?.plan.blocked.slice(0, 3) });
  throw new Error(`the cluster did not get there within ${limitMs} ms: ${why}`);
};

const connected = async (socket: string): Promise<Control> => {
  await patiently(() => fs.existsSync(socket));
  const control = await connect(socket);
  await control.call('state');
  return control;
};

const patiently = async (holds: () => boolean): Promise<void> => {
  const until = performance.now() + START_MAX_MS;
  while (!holds()) {
    if (performance.now() > until) throw new Error('a program did not start; see its log');
    await sleep(10);
  }
};

/** What `ctr` started and a figure that failed did not remove. */
const removeOthers = async (at: {
  readonly root: string;
  readonly socket: string;
}): Promise<void> => {
  const runtime = runtimeAt(at, CTR_NAMESPACE);
  for (const { id } of await runtime.list()) await runtime.remove(id);
  runtime.close();
};

const runtimeAt = (
  { root, socket }: { readonly root: string; readonly socket: string },
  namespace: string,
) =>
  createContainerdRuntime({
    socket,
    namespace,
    runcRoot: path.join(root, 'n/runc'),
    execFolder: path.join(root, 'n/exec'),
    registry: { loginsPath: null, insecure: [] },
  });

const importImages = async (ask: {
  readonly root: string;
  readonly socket: string;
  readonly images: ClusterOptions['images'];
}): Promise<void> => {
  const runtime = runtimeAt(ask, CONTAINERD_NAMESPACE);
  for (const [name, image] of Object.entries(ask.images)) await runtime.importImage(image, name);
  runtime.close();
};

interface Places {
  readonly root: string;
  readonly nodes: readonly BenchNode[];
  readonly program: string;
  readonly repository: string;
}

const createPrograms = ({ root, nodes, program, repository }: Places) => {
  const link = ['--link', `unix:${root}/link.sock`, '--cluster', 'bench', '--end-with-stdin'];
  const start = (
    name: 'runner' | 'reconciler',
    args: readonly string[],
    netns: string | null = null,
  ): ChildProcess => {
    const log = fs.openSync(path.join(root, `${name}.log`), 'a');
    const flags = name === 'runner' ? RUNNER_NODE_FLAGS : RECONCILER_NODE_FLAGS;
    const words = [process.execPath, ...flags, program, ...args, ...link];
    const [command, ...rest] = inNetns(netns, words);
    const child = spawn(command, rest, { stdio: ['pipe', log, log] });
    fs.closeSync(log);
    return child;
  };
  const flags = (insecure: readonly string[]): readonly string[] =>
    insecure.length === 0 ? [] : ['--insecure-registry', ...insecure];
  const runners: ChildProcess[] = [];
  const startRunner = (place: number, insecure: readonly string[]): void => {
    const node = nodes[place];
    if (node === undefined) throw new Error(`there is no node ${place}`);
    const where = ['--node-root', node.root, '--address', node.address];
    const words = ['node', '--name', node.name, ...where, ...flags(insecure)];
    runners[place] = start('runner', words, node.netns);
  };
  let reconciler: ChildProcess | null = null;
  return {
    pids: () => ({ reconciler: reconciler?.pid ?? 0, runner: runners[0]?.pid ?? 0 }),
    startRunner,
    killRunner: (place: number) => end(runners[place] ?? null, 'SIGKILL'),
    startRunners: (insecure: readonly string[]) => {
      for (const place of nodes.keys()) startRunner(place, insecure);
    },
    startReconciler: (insecure: readonly string[]): number => {
      const place = ['--root', root, '--socket', path.join(root, 'control.sock')];
      const source = ['--repository', repository, '--branch', 'main'];
      const at = performance.now();
      reconciler = start('reconciler', ['reconciler', ...place, ...source, ...flags(insecure)]);
      return at;
    },
    endReconciler: () => end(reconciler, 'SIGKILL'),
    close: async () => {
      await end(reconciler, 'SIGTERM');
      await Promise.all(runners.map((runner) => end(runner, 'SIGTERM')));
    },
  };
};

const end = async (child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> => {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
};

export type Copy = NonNullable<StateAnswer['view']>['live']['nodes'][number]['allocations'][number];

/** Copies of one job, as last reported. */
export const copiesOf = ({ view }: StateAnswer, job: string): readonly Copy[] =>
  (view?.live.nodes ?? []).flatMap(({ allocations }) =>
    allocations.filter(({ body }) => `${body.namespace}/${body.job}` === job),
  );

/** Exactly so many copies run and are healthy, and nothing else of the job is there. */
export const settledAt =
  (job: string, count: number) =>
  (state: StateAnswer): boolean => {
    const copies = copiesOf(state, job);
    const good = copies.filter(({ phase, health }) => phase === 'running' && health === 'healthy');
    return good.length === count && copies.length === count;
  };
