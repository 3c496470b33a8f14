// `purser up [REPO]`: a whole cluster on this machine, in the foreground. Ctrl-C stops Purser and
// leaves the containers running; the next `up` adopts them.

import { access, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pc } from './colours.ts';
import type { StateAnswer } from '../schema/control.ts';
import type { Control } from './client.ts';
import { connect } from './client.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { text } from './command.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';
import { makeFolder } from './make-folder.ts';
import {
  type Listens,
  listensOf,
  reconcilerOptions,
  reconcilerWords,
} from './reconciler-options.ts';
import { aborted } from './end-with-stdin.ts';
import { createChildren, RECONCILER_NODE_FLAGS, RECONCILER_PRIORITY } from './up/children.ts';
import { RUNNER_NODE_FLAGS } from './up/children.ts';
import { nodeCount } from './up/count.ts';
import type { Layout, NodeLayout, UpSettings } from './up/layout.ts';
import { layoutOf, nodeLayout, readSettings } from './up/layout.ts';
import { joinNodes } from './up/networks.ts';
import { addNodes } from './up/nodes.ts';
import { readPid, writePid } from './up/process.ts';
import { farewell, readyJson, urlLines } from './up/farewell.ts';
import { allHealthy, follow, followLate, healthOf, isHealthy } from './up/progress.ts';
import type { Repository } from './up/repository.ts';
import { clusterName, listNodes, makeExample, openRepository } from './up/repository.ts';
import { loginOf } from './up/login.ts';
import { shareOf } from './up/share.ts';
import { shownRepository } from '../reconciler/edge/git/remote.ts';

export const up: CommandSpec = {
  usage: 'up [repository]',
  summary: 'run a whole cluster on this machine: containerd, reconciler and node runners',
  examples: [
    ['purser up', 'the example: a small web shop'],
    ['purser up /srv/shop', 'your own repository'],
    ['purser up --nodes 3', 'three nodes, each with a containerd and a network of its own'],
    ['purser up https://git.example/shop.git --token-file /etc/purser/token', 'a remote one'],
    [
      'purser up https://git.example/shop.git --listen 10.0.0.1 --etcd 10.0.0.5,10.0.0.6,10.0.0.7 --etcd-ca ca.crt --etcd-cert r1.crt --etcd-key r1.key',
      'one of several machines',
    ],
  ],
  define: (command) =>
    reconcilerOptions(command)
      .option('--nodes <count>', 'nodes on this machine (default: as before, else 1)')
      .option('--cpu <cores>', 'CPU of each node for allocations (default: all, or a share)')
      .option('--memory <size>', 'memory of each node for allocations (default: all, or a share)')
      .option('--branch <name>', 'branch to follow (default: what is checked out; remote: main)')
      .option('--example-images', 'for a repository made from the example: bring its images along'),
  run: async (invocation) => {
    if (process.getuid?.() !== 0) {
      throw new CommandError('containers need root: run `sudo purser up`');
    }
    const layout = layoutOf(invocation.common.root);
    await makeFolder(layout.root, 0o711);
    await claim(layout);
    try {
      const { io, common } = invocation;
      const quiet = { ...io, tty: false, out: () => undefined };
      return await runCluster({ ...invocation, io: common.json ? quiet : io }, layout, io.out);
    } finally {
      await rm(layout.pidFile, { force: true });
      await rmdir(layout.root).catch(() => undefined); // only what never began is empty
    }
  },
};

/** One `up` a root. */
const claim = async (layout: Layout): Promise<void> => {
  const pid = await readPid(layout.pidFile);
  if (pid !== null) {
    throw new CommandError(
      `Purser runs in ${layout.root} already (process ${pid}); see it with \`purser status\`, or name another place with --root`,
    );
  }
  await writePid(layout.pidFile);
};

/** `answer` takes the one line of --json, when all is healthy; `io.out` is what people read. */
const runCluster = async (
  invocation: Invocation,
  layout: Layout,
  answer: (line: string) => void,
): Promise<number> => {
  const { io, args, options, common } = invocation;
  const directory = text(options['directory']) ?? '';
  const before = await readSettings(layout);
  const listens = await listensOf(options);
  const { several } = listens;
  const count = nodeCount(text(options['nodes']), before);
  const names = namesOf(count, { before, several, repository: args[0] ?? null });
  const { prepare, repository } = await repositoryOf(invocation, layout);
  const tokenFile = text(options['tokenFile']);
  const forge = text(options['forge']);
  const login = await loginOf(repository.url, { tokenFile, forge });
  const cacheDir = layout.cache;
  const cluster = await clusterName({ repository, directory, cacheDir, login });
  if (before !== null) refuseAnother(layout, before, cluster);
  const share = await shareOf({
    nodes: count,
    cpu: text(options['cpu']),
    memory: text(options['memory']),
  });
  const registries = await registryFlags(options);
  if (several === null) await listNodes(repository, directory, names);
  // From here on there is something that `down` has to remove.
  const nodes = await nodesOf(layout, names, several === null ? '127.0.0.1' : null);
  await saveSettings(layout, { repository, directory, cluster, nodes, tokenFile });
  const children = createChildren((line) => io.err(pc.yellow(line)));
  try {
    io.out(
      `Starting ${cluster} from ${shownRepository(repository.url)} (${nodes.length} node${nodes.length === 1 ? '' : 's'})`,
    );
    if (share.note !== null) io.out(share.note);
    const { flags } = share;
    const roots = nodes.map(({ layout: node }) => node);
    const startRunners = async (links: readonly string[]) => {
      for (const node of nodes) {
        children.start(runnerSpec({ node, cluster, registries, flags, links }));
      }
      if (prepare === null) return;
      const { importExampleImages } = await import('./up/images.ts');
      await importExampleImages(prepare, roots, io);
    };
    if (several === null) await startRunners(alone(layout));
    const words = reconcilerWords(options);
    children.start(reconcilerSpec({ layout, repository, cluster, words }));
    const dial = () => patiently(() => answering(invocation.common.socket), io.signal);
    const control = await dial();
    if (several !== null) {
      const { joinOwn } = await import('./up/join-own.ts');
      await startRunners(await joinOwn(control, { io, nodes: roots, listens }));
    } else if (repository.workTree === null) await addNodes(control, invocation, names);
    const ending = { repository, purser: join(packageDir(), 'purser') };
    const state = await comeUp(invocation, { control, dial }, ending);
    if (state !== null && common.json) answer(readyJson(layout, state));
    await aborted(io.signal);
    io.out(
      '\nStopping Purser. Containers keep running; `purser up` takes them over again, `purser down` removes them.',
    );
  } finally {
    await children.stop();
  }
  return 0;
};

/** The one that is named, or the example, with its images where they are wanted. */
const repositoryOf = async ({ args, options }: Invocation, layout: Layout) => {
  // What speaks to containerd is large, and only the example needs it here.
  const { prepareExample } = await import('./up/images.ts');
  const isExample = args[0] === undefined;
  const prepare = isExample || options['exampleImages'] === true ? await prepareExample() : null;
  const branch = text(options['branch']);
  const repository =
    !isExample || prepare === null
      ? await openRepository(args[0] ?? '', branch)
      : await makeExample(EXAMPLE, layout.repository, { prepare: prepare.edit, branch });
  return { prepare, repository };
};

interface Naming {
  readonly before: UpSettings | null;
  readonly several: Listens['several'];
  /** As written; null: the example. */
  readonly repository: string | null;
}

/** Of several machines each is one node, and is called as its reconciler is. */
const namesOf = (count: number, { before, several, repository }: Naming): readonly string[] => {
  if (several === null) return Array.from({ length: count }, (_, index) => `n${index + 1}`);
  if (repository === null) {
    throw new CommandError('with --etcd name the repository that all reconcilers follow: a URL');
  }
  if (count !== 1) {
    throw new CommandError('with --etcd each machine is one node: leave --nodes away');
  }
  const { name } = several;
  const [other] = before?.nodes ?? [];
  if (other === undefined || other.name === name) return [name];
  throw new CommandError(
    `the node of this machine is ${other.name}, and with --etcd it is called as the reconciler, ${name}: ` +
      `\`purser down\` first, or give --name ${other.name} where no other machine has that name`,
  );
};

/** Runners obey one cluster (rules 10.3), and those of this root know which. */
const refuseAnother = ({ root }: Layout, before: UpSettings, cluster: string): void => {
  if (before.cluster === cluster) return;
  throw new CommandError(
    `${root} is the place of cluster ${before.cluster} (${shownRepository(before.repository)}), ` +
      `and this one is ${cluster}: run \`purser down\` there first, or name another place with --root`,
  );
};

interface UpNode {
  readonly layout: NodeLayout;
  /** null: as the runner finds it. */
  readonly address: string | null;
}

/** One node lives in the machine's own network, several have one each. */
const nodesOf = async (
  layout: Layout,
  names: readonly string[],
  address: string | null,
): Promise<readonly UpNode[]> => {
  const [first = '', ...others] = names;
  if (others.length === 0) return [{ layout: nodeLayout(layout, first, null), address }];
  const networks = await joinNodes(layout.root, names);
  return names.map((name) => {
    const network = networks.get(name);
    return {
      layout: nodeLayout(layout, name, network?.netns ?? null),
      address: network?.address ?? '127.0.0.1',
    };
  });
};

const packageDir = (): string => join(dirname(fileURLToPath(import.meta.url)), '..');

const EXAMPLE = join(packageDir(), 'example-repo');

const saveSettings = async (
  layout: Layout,
  given: {
    readonly repository: Repository;
    readonly directory: string;
    readonly cluster: string;
    readonly nodes: readonly UpNode[];
    readonly tokenFile: string | null;
  },
): Promise<void> => {
  const settings: UpSettings = {
    repository: given.repository.url,
    branch: given.repository.branch,
    directory: given.directory,
    cluster: given.cluster,
    nodes: given.nodes.map(({ layout: node }) => node),
    tokenFile: given.tokenFile === null ? null : resolve(given.tokenFile),
  };
  await writeFile(layout.settings, JSON.stringify(settings, null, 2));
};

const entry = (): string => fileURLToPath(new URL('main.js', import.meta.url));

interface RunnerAsk {
  readonly node: UpNode;
  readonly cluster: string;
  readonly registries: readonly string[];
  /** What the node may give to allocations. */
  readonly flags: readonly string[];
  /** Where its reconcilers are. */
  readonly links: readonly string[];
}

const alone = ({ linkSocket }: Layout): readonly string[] => [`unix:${linkSocket}`];

/** What both programs are told about registries. */
const registryFlags = async (
  options: Readonly<Record<string, unknown>>,
): Promise<readonly string[]> => {
  const insecure = options['insecureRegistry'];
  const hosts = Array.isArray(insecure) ? insecure.map(String) : [];
  const file = text(options['registryCredentials']);
  const logins = file === null ? null : resolve(file);
  if (logins !== null) {
    await access(logins).catch(() => {
      throw new CommandError(`${logins} is not there: \`docker login\` writes such a file`);
    });
  }
  return [
    ...(hosts.length === 0 ? [] : ['--insecure-registry', ...hosts]),
    ...(logins === null ? [] : ['--registry-credentials', logins]),
  ];
};

const runnerSpec = ({ node, cluster, registries, flags, links }: RunnerAsk) => {
  const { name, root, netns, log } = node.layout;
  const words = ['node', '--name', name, '--cluster', cluster, '--node-root', root];
  // One that joined is found at the address by which it reaches the others.
  const address = node.address === null ? [] : ['--address', node.address];
  const link = ['--link', ...links, ...address];
  const program = [...RUNNER_NODE_FLAGS, entry()];
  const rest = [...flags, '--end-with-stdin', ...registries];
  const args = [...program, ...words, ...link, ...rest];
  const inside = netns === null ? [] : [`--net=/run/netns/${netns}`, process.execPath];
  const command = netns === null ? process.execPath : 'nsenter';
  return { name: `the runner of ${name}`, command, args: [...inside, ...args], log };
};

interface ReconcilerAsk {
  readonly layout: Layout;
  readonly repository: Repository;
  readonly cluster: string;
  /** What `up` was told for it. */
  readonly words: readonly string[];
}

const reconcilerSpec = ({ layout, repository, cluster, words }: ReconcilerAsk) => {
  const place = ['--root', layout.root, '--socket', layout.controlSocket];
  const followed = ['--repository', repository.url, '--branch', repository.branch];
  const link = ['--cluster', cluster, '--link', `unix:${layout.linkSocket}`];
  const program = [...RECONCILER_NODE_FLAGS, entry(), 'reconciler'];
  return {
    name: 'the reconciler',
    command: process.execPath,
    args: [...program, ...place, ...followed, ...link, '--end-with-stdin', ...words],
    log: layout.reconcilerLog,
    priority: RECONCILER_PRIORITY,
  };
};

interface Line {
  readonly control: Control;
  readonly dial: () => Promise<Control>;
}

/** Until all is healthy; the URLs of what is are printed before, where something does not come up. */
const comeUp = async (
  invocation: Invocation,
  line: Line,
  ending: Parameters<typeof farewell>[2],
): Promise<StateAnswer | null> => {
  const { io } = invocation;
  const state = await followOn(line, (control) => follow(control, io));
  if (state === null) return null;
  farewell(invocation, state, ending);
  if (allHealthy(state)) return state;
  const told = new Set(healthOf(state).flatMap((one) => (isHealthy(one) ? [one.job] : [])));
  const tell = (now: StateAnswer, job: string) => {
    const urls = urlLines(now, (one) => one === job);
    io.out(`${pc.green('✓')} ${job} is healthy${urls.length === 0 ? '' : ':'}`);
    for (const url of urls) io.out(url);
  };
  return followOn(line, (control) => followLate(control, io, { told, tell }));
};

/** Goes on when the reconciler ends meanwhile and is started again. */
const followOn = async (
  { control: first, dial }: Line,
  following: (control: Control) => Promise<StateAnswer | null>,
): Promise<StateAnswer | null> => {
  let control = first;
  while (true) {
    try {
      return await following(control);
    } catch (error) {
      if (!(error instanceof NoReconcilerError)) throw error;
      control.close();
      control = await dial();
    }
  }
};

/** Connected, and the reconciler answers. */
const answering = async (socket: string): Promise<Control> => {
  const control = await connect(socket);
  try {
    await control.call('state');
    return control;
  } catch (error) {
    control.close();
    throw error;
  }
};

/** How long to wait for a socket of a process that was just started. */
const PATIENCE_MS = 30_000;
const PATIENCE_STEP_MS = 20;

const patiently = async (
  attempt: () => Promise<Control>,
  signal: AbortSignal,
): Promise<Control> => {
  const until = performance.now() + PATIENCE_MS;
  while (true) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, PATIENCE_STEP_MS));
    }
  }
};
