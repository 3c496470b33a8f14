// Puts the node runner together: ports and their implementations meet only here.
// In: a configuration. Out: a running node, and the way to stop it. Stopping leaves every container
// running.
// Not here: any decision.

import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../schema/hash.ts';
import { TLS_SCHEME } from '../schema/identity.ts';
import { linkAddressProblem } from '../schema/link-address.ts';
import type { RunnerConfig } from './config.ts';
import { DEFAULT_DISK_RESERVE_BYTES, NODE_RESERVE } from './config.ts';
import { createDiscovery, type DiscoverySettings } from './discovery.ts';
import type { OwnCopies } from './decide/own-copies.ts';
import { createClock } from './edge/clock.ts';
import { containerdRuns, startContainerd } from './edge/containerd/daemon.ts';
import { createContainerdRuntime, type ContainerdRuntime } from './edge/containerd/runtime.ts';
import { identityFolder, readIdentity } from './edge/identity.ts';
import { createLink, type Link } from './edge/link.ts';
import { createLog } from './edge/log.ts';
import { readMachine } from './edge/machine.ts';
import { inOwnNamespace } from './edge/namespace.ts';
import type { ManagedNetwork, NetworkOptions } from './edge/network/network.ts';
import { createNetwork } from './edge/network/network.ts';
import { openPlaces, type Places } from './edge/places.ts';
import { createProbes } from './edge/probes.ts';
import { keepRenewed } from './edge/renewal.ts';
import { readResolvConf } from './edge/resolv-conf.ts';
import { rotateLogs } from './edge/store/logs.ts';
import { createStore } from './edge/store/store.ts';
import { createUsage, detectCgroups, procsFolder } from './edge/usage.ts';
import { createWatchdog } from './edge/watchdog.ts';
import type { RunnerLog } from './ports.ts';
import { serveStreams } from './serve.ts';
import { guardStopAfter, startsGuarded } from './stop-after.ts';
import { createTick } from './tick.ts';

export interface RunnerSettings {
  readonly node: string;
  readonly cluster: string;
  /** Of this program, as `--version` tells it. */
  readonly release: string;
  /** Everything of this runner lies here. */
  readonly root: string;
  /** Where the reconcilers are: `unix:/path`, `host:port` or `tls:host:port`; at least one. */
  readonly links: readonly string[];
  /**
   * Socket of a containerd that somebody else runs; null: a private one, started and kept running.
   */
  readonly containerd: string | null;
  /** Program of the private one. */
  readonly containerdBinary: string;
  /** Address at which published ports answer; null: this machine's own. */
  readonly address: string | null;
  /** What allocations may use; null: all but the reserve. */
  readonly capacity: { readonly cpuMilli: number | null; readonly memoryBytes: number | null };
  readonly registryLogins: string | null;
  readonly insecureRegistries: readonly string[];
  /** `10.1.4.0/22` for allocations; null: chosen. */
  readonly subnet: string | null;
  /** CNI plugins in place of the runner's own network; null: its own. */
  readonly cni: { readonly config: string; readonly binDir: string } | null;
  /** Services for this machine itself; copies find them anyway. */
  readonly discovery: DiscoverySettings;
}

export interface Runner {
  readonly stop: () => Promise<void>;
}

/** The containerd namespace of everything that Purser makes. */
export const CONTAINERD_NAMESPACE = 'purser';
/** A private containerd that died is started again within this time. */
const SUPERVISE_EVERY_MS = 1000;
const ANSWERS_EVERY_LOOKS = 10;
const ROTATE_EVERY_MS = 30_000;

const runtimeOptions = ({ root, registryLogins, insecureRegistries }: RunnerSettings) => ({
  namespace: CONTAINERD_NAMESPACE,
  runcRoot: join(root, 'runc'),
  execFolder: join(root, 'exec'),
  registry: { loginsPath: registryLogins, insecure: insecureRegistries },
});

export const startRunner = async (settings: RunnerSettings): Promise<Runner> => {
  const log = createLog(`node ${settings.node}`);
  const ownNamespace = await inOwnNamespace();
  for (const address of settings.links) {
    const problem = linkAddressProblem(address, { ownNamespace });
    if (problem !== null) throw new Error(problem);
  }
  // Better now than at every dial.
  if (isTls(settings)) readIdentity(identityFolder(settings.root));
  const places = openPlaces(settings.links, join(settings.root, 'reconcilers.json'));
  const socket = settings.containerd ?? (await startPrivate(settings)).socket;
  const { root, node, cluster } = settings;
  const clock = createClock();
  const store = await createStore({ root, log });
  const runtime = createContainerdRuntime({ socket, ...runtimeOptions(settings) });
  await endLeftExecs(runtime, log);
  const network = await createNetwork(networkOptions(settings, log));
  const serve = serveStreams({ runtime, root });
  const identity = identityFolder(root);
  const abort = new AbortController();
  const { signal } = abort;
  // Every call that is under way listens to it, until it ends.
  setMaxListeners(0, signal);
  // Before all else that takes time: copies of an earlier runner are asking.
  const discovery = await startDiscovery(settings, { network, log, signal });
  const { heard: catalogue } = discovery;
  const { release } = settings;
  const dialled = { address: places.now(), places, identity, release };
  const link = createLink({ ...dialled, cluster, node, clock, log, serve, catalogue });
  const usage = await createUsage({ diskPath: root });
  const probes = createProbes();
  const tree = await detectCgroups();
  const stopAfter = {
    watchdog: createWatchdog({ root, clock }),
    inventory: () => tick.inventory(),
    folderOf: (cgroup: string) => procsFolder(tree, cgroup),
    clock,
  };
  const guarded = startsGuarded(runtime, stopAfter);
  const ports = { runtime: guarded, network, probes, store, link: link.port, usage, clock, log };
  const tick = createTick(ports, { ...(await configOf(settings)), ...discovery.facts });
  discovery.own.inventory = tick.inventory;
  discovery.own.trouble = tick.trouble;
  const running = [
    discovery.running,
    tick.run(signal),
    guardStopAfter({ ...stopAfter, log, signal }),
    link.run(signal),
    keepCertificate(settings, { link, places, log, signal }),
    every(ROTATE_EVERY_MS, signal, () => rotateLogs(root), log),
    settings.containerd === null
      ? every(SUPERVISE_EVERY_MS, signal, keepRunning(settings), log)
      : Promise.resolve(),
  ];
  // For people only: a containerd that does not answer yet is listed again by the tick, and no
  // reason to end.
  const version = await runtime.version().catch(() => 'does not answer yet');
  log.info({ node, cluster, containerd: version }, 'the node runner runs');
  return {
    stop: async () => {
      abort.abort();
      await Promise.all(running);
      runtime.close();
    },
  };
};

/** What discovery asks and tells of a loop that is made after it. */
interface OfTick {
  inventory: () => OwnCopies | null;
  trouble: (words: string | null) => void;
}

const startDiscovery = async (
  { node, cluster, root, discovery: settings }: RunnerSettings,
  {
    network,
    log,
    signal,
  }: { readonly network: ManagedNetwork; readonly log: RunnerLog; readonly signal: AbortSignal },
) => {
  const own: OfTick = {
    inventory: () => null,
    trouble: () => undefined,
  };
  const asked = {
    inventory: () => own.inventory(),
    trouble: (words: string | null) => own.trouble(words),
  };
  const options = { node, cluster, root, copies: network.dns, settings, ...asked, log };
  const discovery = await createDiscovery(options);
  const running = discovery.run(signal);
  const dnsAddress = await discovery.begun();
  return { own, running, heard: discovery.heard, facts: dnsAddress === null ? {} : { dnsAddress } };
};

/** Sessions begin with the certificate of their time: after a new one there is a new session. */
const keepCertificate = (
  settings: RunnerSettings,
  { link, places, log, signal }: Keeping,
): Promise<void> =>
  !isTls(settings)
    ? Promise.resolve()
    : keepRenewed(
        {
          folder: identityFolder(settings.root),
          node: settings.node,
          addresses: () => places.all().map((address) => address.slice(TLS_SCHEME.length)),
          log,
          epochMs: Date.now,
          chance: Math.random(),
          renewed: () => link.port.renew(Infinity),
        },
        signal,
      );

interface Keeping {
  readonly link: Link;
  readonly places: Places;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
}

/** Of machines that joined; then all addresses are such. */
const isTls = ({ links }: RunnerSettings): boolean =>
  links.every((address) => address.startsWith(TLS_SCHEME));

/** What cannot be ended now is left for the next start: no reason not to run. */
const endLeftExecs = async (runtime: ContainerdRuntime, log: RunnerLog): Promise<void> => {
  try {
    const sessions = await runtime.endLeftExecs();
    if (sessions > 0) log.info({ sessions }, 'sessions of an earlier runner were ended');
  } catch (error) {
    log.warn({ error: String(error) }, 'sessions of an earlier runner could not be ended');
  }
};

/** Is the process there, each time; does it answer too, which costs a connection, now and then. */
const keepRunning = (settings: RunnerSettings): (() => Promise<void>) => {
  let looks = 0;
  return async () => {
    looks += 1;
    const quick = looks % ANSWERS_EVERY_LOOKS !== 0;
    if (quick && containerdRuns(join(settings.root, 'containerd'))) return;
    await startPrivate(settings);
  };
};

const startPrivate = ({ root, containerdBinary }: RunnerSettings) =>
  startContainerd({ folder: join(root, 'containerd'), binary: containerdBinary });

/**
 * Names of bridge and rules come from this: two clusters on one machine may both have a node n1.
 */
export const networkIdentity = ({ root, node }: Pick<RunnerSettings, 'root' | 'node'>): string =>
  `${sha256(root).slice(0, 8)}-${node}`;

const networkOptions = (settings: RunnerSettings, log: RunnerLog): NetworkOptions => {
  const { cni, subnet, root } = settings;
  const shared = { node: networkIdentity(settings), nodeNetns: null };
  if (cni === null) return { kind: 'native', ...shared, subnet };
  return { kind: 'cni', ...shared, ...cni, stateDir: cniFolder(root), log };
};

/** What CNI plugins made, for their removal. */
export const cniFolder = (root: string): string => join(root, 'cni');

/** cgroup of everything that this runner starts. */
export const cgroupParent = (settings: Pick<RunnerSettings, 'root' | 'node'>): string =>
  `/purser-${networkIdentity(settings)}`;

const configOf = async (settings: RunnerSettings): Promise<RunnerConfig> => {
  const machine = await readMachine(NODE_RESERVE);
  const { cpuMilli, memoryBytes } = settings.capacity;
  return {
    node: settings.node,
    cluster: settings.cluster,
    address: settings.address ?? machine.address,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    capacity: {
      cpuMilli: cpuMilli ?? machine.capacity.cpuMilli,
      memoryBytes: memoryBytes ?? machine.capacity.memoryBytes,
    },
    attributes: machine.attributes,
    cgroupParent: cgroupParent(settings),
    resolvConf: await readResolvConf(),
    diskReserveBytes: DEFAULT_DISK_RESERVE_BYTES,
  };
};

/** Does a thing again and again; a failure is said once a kind and tried again. */
const every = async (
  waitMs: number,
  signal: AbortSignal,
  ...[act, log]: [() => Promise<unknown>, RunnerLog]
): Promise<void> => {
  let said = '';
  while (!signal.aborted) {
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await act();
      said = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== said) log.warn({ error: message }, 'upkeep of the node failed');
      said = message;
    }
  }
};
