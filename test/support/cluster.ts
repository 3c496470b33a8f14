// A whole cluster for end-to-end tests: one reconciler and several runners as real processes, each
// runner with its own root, containerd, runc root, cgroup and network namespace; a repository; a
// registry with a proxy in front of it.
// In: what to begin with. Out: ways to commit, to wait with a clear end, to kill and start again,
// to clean up all.
// A wait that ends without its condition throws status and logs. Not here: what is deployed
// (app.ts).

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '../../cli/client.ts';
import type { ReadyState } from '../../cli/state.ts';
import { ready } from '../../cli/state.ts';
import { RECONCILER_PRIORITY } from '../../cli/up/children.ts';
import { hubName, joinNodes, netnsName, partNodes } from '../../cli/up/networks.ts';
import { cleanNode } from '../../node-runner/clean.ts';
import { namesFor } from '../../node-runner/edge/network/names.ts';
import { cgroupParent, networkIdentity } from '../../node-runner/main.ts';
import type { StateAnswer } from '../../schema/control.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { DeploymentView } from '../../schema/plan.ts';
import { appImage } from './app.ts';
import { clockWords } from './clock-offset.ts';
import { endAllOf, leftForGood, mountsBelow } from './cluster-leftovers.ts';
import type { Program } from './cluster-process.ts';
import { program } from './cluster-process.ts';
import type { FileSet } from './git-repo.ts';
import { commitFiles, git, initRepository } from './git-repo.ts';
import type { TestProxy, TestRegistry } from './registry.ts';
import { testProxy, testRegistry } from './registry.ts';

const exec = promisify(execFile);

/** A network namespace with an address of its own on the cluster's bridge. */
export interface TestHost {
  readonly netns: string;
  readonly address: string;
  /** The machine's end of its cable: down is cut. */
  readonly cable: string;
}

export interface TestNode extends TestHost {
  readonly name: string;
  readonly root: string;
  readonly runner: Program;
}

export interface Cluster {
  readonly root: string;
  /** Address of this machine at which nodes reach it. */
  readonly hub: string;
  readonly socket: string;
  readonly repository: string;
  readonly nodes: readonly TestNode[];
  readonly node: (name: string) => TestNode;
  readonly reconciler: Program;
  /** `ctl`, where the reconciler lives unless it is outside, and those that were asked for. */
  readonly host: (name: string) => TestHost;
  /** Lets a node's machine join, with `tls`; its runner is not started. */
  readonly joining: (node: TestNode) => Promise<void>;
  readonly registry: TestRegistry;
  /** What job files name, and where registries can be made to fail. */
  readonly proxy: TestProxy;
  /** docker's config.json of the reconciler and of all runners. */
  readonly logins: string;
  /** `host/app:1`, the program of app.ts. */
  readonly image: string;
  readonly commit: (files: FileSet, message: string) => string;
  readonly git: (...args: readonly string[]) => string;
  readonly call: <Answer>(method: string, argument?: unknown) => Promise<Answer>;
  readonly state: () => Promise<ReadyState>;
  /** Waits until `holds` returns true; what it returns otherwise is shown when the time is up. */
  readonly until: (
    what: string,
    holds: (state: ReadyState) => true | string | false,
    limitMs?: number,
  ) => Promise<ReadyState>;
  /** HEAD is what is followed, and this job at HEAD is settled. */
  readonly settled: (job: string, limitMs?: number) => Promise<ReadyState>;
  readonly purser: (...args: readonly string[]) => Promise<string>;
  readonly ctr: (node: string, ...args: readonly string[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface ClusterOptions {
  readonly nodes: number;
  /** Files besides cluster.yaml and nodes/. `%APP%` is the image. */
  readonly files: FileSet;
  /** Lines of cluster.yaml besides name and policies. */
  readonly settings?: readonly string[];
  /** `tls`: the reconciler lives in a namespace of its own, and the nodes join it by tokens. */
  readonly link?: 'unix' | 'tls';
  /** With `tls`: the reconciler lives beside the nodes' namespaces, where servers of tests are. */
  readonly outside?: true;
  /** Another repository than the work tree: an http URL. */
  readonly url?: (workTree: string, hub: string) => Promise<string>;
  /** Before the runners start: mounts below a node's root. */
  readonly prepare?: (node: { readonly name: string; readonly root: string }) => void;
  readonly memory?: string;
  /** Further hosts, by name. */
  readonly hosts?: readonly string[];
  /** More words for the reconciler, made once the repository and the hosts are there. */
  readonly words?: (place: {
    readonly root: string;
    readonly host: Cluster['host'];
  }) => readonly string[] | Promise<readonly string[]>;
  /**
   * Asked at each start of a node's runner, or of the reconciler (`ctl`): how far its wall clock is
   * off, as `+10m`; null: it is right.
   */
  readonly clock?: (host: string) => string | null;
  /** More words for a node's runner. */
  readonly runnerWords?: (node: {
    readonly name: string;
    readonly root: string;
  }) => readonly string[];
  /** Variables of the reconciler and of all runners. */
  readonly env?: Readonly<Record<string, string>>;
  /** Asked at each start: what Node is given for each program. Absent: the build of this clone. */
  readonly programs?: () => Programs;
}

export interface Programs {
  readonly runner: readonly string[];
  readonly reconciler: readonly string[];
}

const CLUSTER = 'e2e';
const LINK_PORT = 7420;
const LIMIT_MS = 120_000;
const STEP_MS = 100;
const LOG_LINES = 30;
const HERE = resolve(import.meta.dirname, '../..');
const MAIN = join(HERE, 'dist/main.js');
const BUILT: Programs = { runner: [MAIN, 'node'], reconciler: [MAIN, 'reconciler'] };

export const startCluster = async (options: ClusterOptions): Promise<Cluster> => {
  execFileSync(join(HERE, 'purser'), ['--version'], { stdio: 'ignore' }); // builds dist/ where it is old
  const root = mkdtempSync(join(tmpdir(), 'pe-'));
  const undo: (() => Promise<void> | void)[] = [];
  try {
    return await assemble(root, options, undo);
  } catch (error) {
    await tearDown(undo);
    throw error;
  }
};

type Undo = (() => Promise<void> | void)[];

const assemble = async (root: string, options: ClusterOptions, undo: Undo): Promise<Cluster> => {
  undo.push(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
  const names = Array.from({ length: options.nodes }, (_, index) => `n${index + 1}`);
  const spaces = [...names, 'ctl', ...(options.hosts ?? [])];
  undo.push(() => partNodes(root, spaces));
  const networks = await joinNodes(root, spaces);
  const host = (name: string): TestHost => {
    const network = networks.get(name);
    if (network === undefined) throw new Error(`the test has no host ${name}`);
    return { ...network, cable: `${hubName(root)}-${spaces.indexOf(name)}` };
  };
  const control = host('ctl');
  const hub = control.address.replace(/\.\d+$/, '.1');
  const registry = await testRegistry();
  undo.push(registry.close);
  const proxy = await testProxy(registry.host, hub);
  undo.push(proxy.close);
  const image = `${proxy.host}/app:1`;
  await pushApp(registry, '1');
  const listed = options.link === 'tls' ? [] : names; // those that join are listed then
  const repository = makeRepository(root, { options, names: listed, image, host: proxy.host });
  const logins = join(root, 'logins.json');
  writeFileSync(logins, '{}');
  mkdirSync(join(root, 'logs'));
  const isTls = options.link === 'tls';
  const isOutside = !isTls || options.outside === true;
  const door = `${isOutside ? hub : control.address}:${LINK_PORT}`;
  const link = isTls ? [] : ['--link', `unix:${join(root, 'link.sock')}`];
  const socket = join(root, 'control.sock');
  const registries = ['--registry-credentials', logins, '--insecure-registry', proxy.host];
  const common = ['--root', root, '--cluster', CLUSTER, ...link, ...registries];
  const url = (await options.url?.(repository, hub)) ?? repository;
  const words = [
    ...(isTls ? ['--listen', door] : []),
    ...((await options.words?.({ root, host })) ?? []),
  ];
  const programs = options.programs ?? (() => BUILT);
  const told = [...common, '--repository', url, ...words, '--end-with-stdin'];
  const clock = (name: string) => options.clock?.(name) ?? null;
  const reconciler = program({
    name: 'the reconciler',
    args: () => [...programs().reconciler, ...told],
    log: join(root, 'logs/reconciler.log'),
    netns: isOutside ? null : netnsName(root, 'ctl'),
    env: options.env ?? {},
    // As `purser up` starts it: beside hundreds of containers that start it would wait for its turn.
    priority: RECONCILER_PRIORITY,
    clock: () => clock('ctl'),
  });
  const nodes = names.map((name): TestNode => {
    const nodeRoot = join(root, name);
    const { address, netns, cable } = host(name);
    const room = ['--cpu', '2', '--memory', options.memory ?? '1GiB', '--address', address];
    const more = options.runnerWords?.({ name, root: nodeRoot }) ?? [];
    const named = [...common, '--name', name, '--node-root', nodeRoot, ...room, ...more];
    mkdirSync(nodeRoot);
    options.prepare?.({ name, root: nodeRoot });
    return {
      name,
      root: nodeRoot,
      netns,
      address,
      cable,
      runner: program({
        name: `the runner of ${name}`,
        args: () => [...programs().runner, ...named, '--end-with-stdin'],
        log: join(root, `logs/${name}.log`),
        netns,
        env: options.env ?? {},
        clock: () => clock(name),
      }),
    };
  });
  undo.push(() => removeNodes(nodes));
  undo.push(() => endAll([reconciler, ...nodes.map(({ runner }) => runner)]));
  reconciler.start();
  const asking = { root, socket, repository, image, nodes, reconciler };
  const askable = askers(asking);
  const joining = (node: TestNode) =>
    joinNode(node, { door, purser: askable.purser, clock: clock(node.name) });
  if (isTls) {
    await askable.until('the reconciler reads its repository', () => true);
    for (const node of nodes) await joining(node);
  }
  for (const { runner } of nodes) runner.start();
  const close = () => closeAll({ root, nodes, undo });
  return {
    root,
    hub,
    socket,
    repository,
    nodes,
    reconciler,
    host,
    registry,
    proxy,
    logins,
    image,
    close,
    joining,
    node: (name) => nodeOf(nodes, name),
    ...askable,
  };
};

/** As a person does it: a token here, and the line that it prints on the machine that joins. */
const joinNode = async (
  { name, root, netns }: TestNode,
  { door, purser, clock }: Joining,
): Promise<void> => {
  const { token } = JSON.parse(await purser('node', 'token', '--json')) as { token: string };
  const words = ['node', 'join', door, '--only', '--name', name, '--node-root', root];
  const program = [...clockWords(clock), process.execPath, MAIN, ...words];
  const env = { ...process.env, PURSER_TOKEN: token };
  await exec('nsenter', [`--net=/run/netns/${netns}`, ...program], { env });
};

interface Joining {
  readonly door: string;
  readonly purser: Cluster['purser'];
  readonly clock: string | null;
}

const nodeOf = (nodes: readonly TestNode[], name: string): TestNode => {
  const node = nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`the test has no node ${name}`);
  return node;
};

/** Pushes the test program under another tag; with `build`, as other bytes. */
export const pushApp = async (
  registry: TestRegistry,
  tag: string,
  build?: string,
): Promise<void> => {
  const image = await appImage(build);
  await registry.push('app', image);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  await registry.put({ path: 'app', digest: tag, bytes: image.manifest, type });
};

interface Place {
  readonly options: ClusterOptions;
  readonly names: readonly string[];
  readonly image: string;
  readonly host: string;
}

const makeRepository = (root: string, { options, names, image, host }: Place): string => {
  const folder = initRepository(join(root, 'repository'));
  git(folder, 'config', 'user.name', 'Ada');
  git(folder, 'config', 'user.email', 'ada@example.org');
  const settings = options.settings ?? ['lost_after: 20s'];
  const cluster = [
    `name: ${CLUSTER}`,
    ...settings,
    'guards: { own_approval: true }',
    `policies: { registries: ["${host}"] }`,
    '',
  ].join('\n');
  const nodes = names.map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`]);
  const files: FileSet = { 'cluster.yaml': cluster, ...Object.fromEntries(nodes) };
  commitFiles(folder, { ...files, ...withImage(options.files, image) }, 'The cluster');
  return folder;
};

const withImage = (files: FileSet, image: string): FileSet =>
  Object.fromEntries(
    Object.entries(files).map(([path, text]) => [
      path,
      typeof text === 'string' ? text.replaceAll('%APP%', image) : text,
    ]),
  );

interface Asking {
  readonly root: string;
  readonly socket: string;
  readonly repository: string;
  readonly image: string;
  readonly nodes: readonly TestNode[];
  readonly reconciler: Program;
}

const askers = (asking: Asking) => {
  const { root, socket, repository, image, nodes } = asking;
  const call = async <Answer>(method: string, argument: unknown = null): Promise<Answer> => {
    const control = await connect(socket);
    try {
      return await control.call<Answer>(method, argument);
    } finally {
      control.close();
    }
  };
  const state = async () => ready(await call<StateAnswer>('state'));
  const head = () => git(repository, 'rev-parse', 'main');
  const purser = async (...args: readonly string[]) =>
    (await exec(process.execPath, [MAIN, ...args, '--root', root])).stdout;
  const until: Cluster['until'] = async (what, holds, limitMs = LIMIT_MS) => {
    const end = performance.now() + limitMs;
    let last = 'the reconciler did not answer';
    while (performance.now() < end) {
      try {
        const now = await state();
        const held = holds(now);
        if (held === true) return now;
        last = held === false ? '' : held;
      } catch (error) {
        last = String(error);
      }
      await sleep(STEP_MS);
    }
    throw new Error(
      `not within ${limitMs} ms: ${what} (${last})\n${await describe(asking, purser)}`,
    );
  };
  return {
    call,
    state,
    until,
    purser,
    commit: (files: FileSet, message: string) =>
      commitFiles(repository, withImage(files, image), message),
    git: (...args: readonly string[]) => git(repository, ...args),
    settled: (job: string, limitMs?: number) =>
      until(`${job} settles`, (now) => isSettled(now, job, head()), limitMs),
    ctr: async (node: string, ...args: readonly string[]) => {
      const at = join(nodeOf(nodes, node).root, 'containerd/containerd.sock');
      return (await exec('ctr', ['-a', at, '-n', 'purser', ...args])).stdout;
    },
  };
};

/**
 * Settled, with one live copy in each slot. A node that came back brings second copies, which are
 * told to stop a moment after it was heard.
 */
export const onceEach = async (
  cluster: Cluster,
  job: string,
  limitMs: number,
): Promise<ReadyState> => {
  const before = await cluster.settled(job, limitMs);
  const wanted = deploymentOf(before, job)?.groups.reduce((sum, { wanted: n }) => sum + n, 0) ?? 0;
  const slots = Array.from({ length: wanted }, (_, index) => index).join();
  return cluster.until(`a copy in each slot of ${job}, and no more`, (now) => {
    const indices = liveCopies(now, job).map(({ body }) => body.index);
    return indices.join() === slots || indices.join();
  });
};

/** Ids of the tasks that run on these nodes, by containerd's own list, sorted. */
export const runningTasks = async (
  cluster: Cluster,
  nodes: readonly string[] = cluster.nodes.map(({ name }) => name),
): Promise<readonly string[]> => {
  const lists = await Promise.all(nodes.map((node) => cluster.ctr(node, 'tasks', 'list')));
  return lists
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.includes('RUNNING'))
    .map((line) => line.split(/\s+/)[0] ?? '')
    .toSorted();
};

export const isSettled = (state: ReadyState, job: string, head: string): true | string => {
  if (state.view.desired.commit.oid !== head) return 'HEAD is not read yet';
  const found = deploymentOf(state, job);
  if (found === undefined) return 'no such job';
  const full = found.groups.every(
    ({ wanted, live, healthy }) => live === wanted && healthy >= wanted,
  );
  const quiet = state.view.plan.steps.every((step) => step.job !== job);
  return found.status === 'settled' && full && quiet ? true : JSON.stringify(found);
};

export const deploymentOf = ({ view }: ReadyState, job: string): DeploymentView | undefined =>
  view.plan.deployments.find((one) => one.job === job);

/** Copies of a job that are neither dead nor stopping, by index. */
export const liveCopies = ({ view }: ReadyState, job: string): readonly LiveAllocation[] =>
  view.live.nodes
    .flatMap(({ allocations }) => allocations)
    .filter(({ body, phase, stopping }) => {
      return `${body.namespace}/${body.job}` === job && phase !== 'dead' && !stopping;
    })
    .toSorted((a, b) => a.body.index - b.body.index);

/**
 * Pids of the containers of live copies, by allocation and task: the same before and after is
 * untouched.
 */
export const pidsOf = (state: ReadyState, job: string): Readonly<Record<string, number | null>> =>
  Object.fromEntries(
    liveCopies(state, job).flatMap(({ allocation, tasks }) =>
      tasks.map(({ name, pid }) => [`${allocation}.${name}`, pid]),
    ),
  );

/** `http://node:port` of live copies. */
export const urlsOf = (state: ReadyState, job: string): readonly string[] =>
  liveCopies(state, job).flatMap(({ node, ports }) => {
    const address = state.view.live.nodes.find(({ name }) => name === node)?.address;
    return ports.map(({ host }) => `http://${address}:${host}`);
  });

const describe = async (
  { nodes, reconciler, socket }: Asking,
  purser: Cluster['purser'],
): Promise<string> => {
  const control = await connect(socket).catch(() => null);
  const state = await control?.call<StateAnswer>('state').catch(() => null);
  control?.close();
  const jobs = state?.view?.plan.deployments.map(({ job }) => job) ?? [];
  const asked = [['status'], ...jobs.map((job) => ['status', job])];
  const texts = await Promise.all(asked.map((args) => purser(...args).catch(String)));
  const steps = `steps: ${JSON.stringify(state?.view?.plan.steps.map(({ kind, node, slot }) => [kind, node, slot]))}`;
  const logs = [reconciler, ...nodes.map(({ runner }) => runner)].map(
    (one) => `--- log of ${one.name}\n${one.tail(LOG_LINES)}`,
  );
  return [...texts, steps, ...logs].join('\n');
};

const endAll = async (programs: readonly Program[]): Promise<void> => {
  const ends = await Promise.allSettled(programs.map((one) => one.end('SIGTERM')));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
};

const removeNodes = async (nodes: readonly TestNode[]): Promise<void> => {
  const removals = await Promise.allSettled(
    nodes.map(({ name, root, netns }) => cleanNode({ node: name, root, netns })),
  );
  for (const [at, { name, root }] of nodes.entries()) {
    const cgroup = cgroupParent({ root, node: name }).slice(1);
    if (removals[at]?.status === 'rejected') endAllOf(root, cgroup);
    for (const path of mountsBelow(root).toReversed()) execFileSync('umount', ['--lazy', path]);
  }
  const failed = removals.find((removal) => removal.status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
  const refused = removals.flatMap((one) => (one.status === 'fulfilled' ? one.value.refused : []));
  if (refused.length > 0) throw new Error(refused.join('\n'));
};

/** Names of a node's own bridge, cables and namespaces begin so. */
const tagged = ({ name, root }: TestNode): string =>
  namesFor(networkIdentity({ root, node: name })).bridge;

/** Undoes in reverse, all of it whatever fails; the first failure is thrown at the end. */
const tearDown = async (undo: Undo): Promise<void> => {
  const errors: unknown[] = [];
  for (const step of undo.toReversed()) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  undo.length = 0;
  if (errors.length > 0) throw errors[0];
};

const closeAll = async (given: {
  readonly root: string;
  readonly nodes: readonly TestNode[];
  readonly undo: Undo;
}): Promise<void> => {
  const { root, nodes, undo } = given;
  await tearDown(undo);
  const left = await leftForGood({
    root,
    links: [hubName(root), netnsName(root, ''), ...nodes.map((node) => tagged(node))],
    cgroups: nodes.map(({ name: node, root: own }) => cgroupParent({ root: own, node }).slice(1)),
  });
  if (left.length > 0) throw new Error(`the cluster left things behind:\n${left.join('\n')}`);
};
