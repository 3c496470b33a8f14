// The network of allocations made by CNI plugins that the node's owner configured.
// In: NetworkAsk. Out: NetworkFacts. ADD in order, DEL in reverse with the result kept on disk,
// because plugins need it to find what they made. Not here: CHECK (portmap's fails without IPv6),
// removal of what plugins share (bridges).

import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import writeFileAtomic from 'write-file-atomic';

import { canonical } from '../../../schema/hash.ts';
import { compareText } from '../../../schema/ids.ts';
import type { NetworkAsk, NetworkFacts } from '../../ports.ts';
import { messageOf } from '../failure.ts';
import { refuseBadName } from '../safe-name.ts';
import {
  addressOfResult,
  isCniFile,
  isRecord,
  parseCniConfig,
  pluginError,
  pluginInput,
  publishesPorts,
} from './cni-config.ts';
import type { CniConfig, CniPlugin } from './cni-config.ts';
import { addNamespace, deleteNamespace, namespacesOf } from './host.ts';
import { createKernel, networkFailure } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { parseHolders } from './holders.ts';
import { parseListening } from './listening.ts';
import { refuseListening } from './strangers.ts';
import { NETNS_DIR, namesFor } from './names.ts';
import type { NetworkNames } from './names.ts';
import type { ManagedNetwork } from './native.ts';
import { createTurns } from './turns.ts';

export interface CniNetworkOptions {
  readonly node: string;
  readonly nodeNetns: string | null;
  /** A `.conflist` or `.conf` file, or a folder of which the first such file by name is taken. */
  readonly config: string;
  /** Folders with the plugins, as in CNI_PATH. */
  readonly binDir: string;
  /** Where results are kept until DEL, a file an allocation; must outlive the runner's process. */
  readonly stateDir: string;
}

/** What is kept on disk: written before the first ADD, so that DEL finds what a crash left. */
interface Kept {
  readonly ask: NetworkAsk;
  readonly config: CniConfig;
  /** Result of the last plugin that was added; null before. */
  readonly result: unknown;
  readonly done: boolean;
}

interface State {
  readonly kernel: Kernel;
  readonly names: NetworkNames;
  readonly options: CniNetworkOptions;
  readonly config: CniConfig;
}

/** Reads the configuration and removes what is kept of allocations whose namespace is gone. */
export const createCniNetwork = async (options: CniNetworkOptions): Promise<ManagedNetwork> => {
  const config = await readConfig(options.config);
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const kernel = createKernel(options.nodeNetns);
  const state: State = { kernel, names: namesFor(options.node), options, config };
  const present = await allocationsOf(state);
  for (const allocation of await keptAllocations(options.stateDir))
    if (!present.includes(allocation)) await tearDown(state, allocation);
  const inTurn = createTurns();
  return {
    bridge: null,
    setUp: (ask) => inTurn(ask.allocation, () => setUp(state, ask)),
    tearDown: (allocation) => inTurn(allocation, () => tearDown(state, allocation)),
    list: () => list(state),
    portsTaken: async () => parseListening(await kernel.socketTables()),
    portHolders: async () => parseHolders(await kernel.listeners()),
    cleanUp: async () => {
      const kept = await keptAllocations(options.stateDir);
      for (const allocation of new Set([...kept, ...(await allocationsOf(state))]))
        await tearDown(state, allocation);
    },
  };
};

const setUp = async (state: State, ask: NetworkAsk): Promise<NetworkFacts> => {
  const { allocation } = ask;
  refuseBadName(allocation);
  const before = await readKept(state, allocation);
  const present = (await allocationsOf(state)).includes(allocation);
  if (before?.done === true && present && canonical(before.ask) === canonical(ask))
    return factsOf(state, allocation, before);
  if (before !== null || present) await tearDown(state, allocation);
  if (ask.mode === 'bridge' && ask.ports.length > 0 && !publishesPorts(state.config))
    throw networkFailure(
      `the CNI configuration "${state.config.name}" publishes no ports: add the portmap plugin ` +
        'with {"capabilities": {"portMappings": true}}',
    );
  await refuseTakenPorts(state, ask);
  if (ask.mode === 'bridge') await refuseListening(state.kernel, ask);
  const config = ask.mode === 'none' ? { ...state.config, plugins: [] } : state.config;
  try {
    return await add(state, { ask, config, result: null, done: false });
  } catch (error) {
    await tearDown(state, allocation).catch(() => undefined);
    throw error;
  }
};

const add = async (state: State, start: Kept): Promise<NetworkFacts> => {
  const { allocation } = start.ask;
  let kept = start;
  await writeKept(state, kept);
  await addNamespace(state.kernel, state.names.prefix + allocation);
  for (const plugin of kept.config.plugins) {
    const text = await run(state, { command: 'ADD', kept, plugin });
    const result: unknown = text.trim() === '' ? kept.result : JSON.parse(text);
    kept = { ...kept, result };
    await writeKept(state, kept);
  }
  kept = { ...kept, done: true };
  await writeKept(state, kept);
  return factsOf(state, allocation, kept);
};

/**
 * DEL of every plugin is tried also when one fails; the state is kept then, so that it is tried
 * again.
 */
const tearDown = async (state: State, allocation: string): Promise<void> => {
  refuseBadName(allocation);
  const kept = await readKept(state, allocation);
  const failures: string[] = [];
  for (const plugin of kept?.config.plugins.toReversed() ?? []) {
    if (kept === null) continue;
    await run(state, { command: 'DEL', kept, plugin }).catch((error: unknown) =>
      failures.push(messageOf(error)),
    );
  }
  if (failures.length > 0) throw networkFailure(failures.join('; '));
  await deleteNamespace(state.kernel, state.names, state.names.prefix + allocation);
  await rm(keptPath(state.options.stateDir, allocation), { force: true });
};

/** portmap takes a second owner of a host port without a word; the first one gets the traffic. */
const refuseTakenPorts = async (state: State, ask: NetworkAsk): Promise<void> => {
  for (const allocation of await keptAllocations(state.options.stateDir)) {
    const kept = allocation === ask.allocation ? null : await readKept(state, allocation);
    const clash = kept?.ask.ports.find(({ host }) => ask.ports.some((port) => port.host === host));
    if (clash !== undefined)
      throw networkFailure(`host port ${clash.host} is published by allocation ${allocation}`);
  }
};

interface PluginRun {
  readonly command: 'ADD' | 'DEL';
  readonly kept: Kept;
  readonly plugin: CniPlugin;
}

const run = async (state: State, { command, kept, plugin }: PluginRun): Promise<string> => {
  const { ask, config, result } = kept;
  const { binDir } = state.options;
  const program = join(binDir, plugin.type);
  const { code, stdout, stderr } = await state.kernel
    .plugin({
      program,
      args: [],
      env: {
        PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: command,
        CNI_CONTAINERID: ask.allocation,
        CNI_NETNS: pathOf(state, ask.allocation),
        CNI_IFNAME: plugin.type === 'loopback' ? 'lo' : 'eth0',
        CNI_PATH: binDir,
      },
      input: pluginInput(config, plugin, { ports: ask.ports, prevResult: result }),
    })
    .catch((error: unknown) => {
      throw networkFailure(`CNI plugin ${plugin.type}: ${messageOf(error)}`, error);
    });
  if (code === 0) return stdout;
  const said = pluginError(stdout) || stderr.trim() || `exit code ${code}`;
  throw networkFailure(`CNI plugin ${plugin.type}, ${command}: ${said}`);
};

const readConfig = async (path: string): Promise<CniConfig> => {
  const names = await readdir(path).catch(() => null);
  const [first] = (names ?? []).filter(isCniFile).toSorted(compareText);
  if (names !== null && first === undefined)
    throw networkFailure(`${path} holds no .conflist or .conf file: put a CNI configuration there`);
  const file = names === null || first === undefined ? path : join(path, first);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw networkFailure(`the CNI configuration cannot be read: ${messageOf(error)}`, error);
  });
  const config = parseCniConfig(text);
  if (config !== null) return config;
  throw networkFailure(`${file} is no CNI configuration: it needs "name" and "plugins" or "type"`);
};

const list = async (state: State): Promise<readonly NetworkFacts[]> => {
  const allocations = await allocationsOf(state);
  return Promise.all(
    allocations.map(async (one) => factsOf(state, one, await readKept(state, one))),
  );
};

const factsOf = (state: State, allocation: string, kept: Kept | null): NetworkFacts => ({
  allocation,
  path: pathOf(state, allocation),
  address: addressOfResult(kept?.result),
});

const pathOf = (state: State, allocation: string): string =>
  join(NETNS_DIR, state.names.prefix + allocation);

const allocationsOf = async ({ names }: State): Promise<readonly string[]> => {
  const namespaces = await namespacesOf(names);
  return namespaces.map((name) => name.slice(names.prefix.length)).toSorted(compareText);
};

const SUFFIX = '.json';

const keptPath = (stateDir: string, allocation: string): string =>
  join(stateDir, allocation + SUFFIX);

const keptAllocations = async (stateDir: string): Promise<readonly string[]> =>
  (await readdir(stateDir))
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length));

const writeKept = (state: State, kept: Kept): Promise<void> =>
  writeFileAtomic(keptPath(state.options.stateDir, kept.ask.allocation), JSON.stringify(kept), {
    mode: 0o600,
    // The namespaces do not survive a reboot either; only the process's own end matters.
    fsync: false,
  });

/** null when there is none, or when it is damaged: DEL then has nothing to go by. */
const readKept = async (state: State, allocation: string): Promise<Kept | null> => {
  const path = keptPath(state.options.stateDir, allocation);
  const text = await readFile(path, 'utf8').catch(() => 'null');
  try {
    const value: unknown = JSON.parse(text);
    return isKept(value) ? value : null;
  } catch {
    return null;
  }
};

const isKept = (value: unknown): value is Kept =>
  isRecord(value) && isRecord(value['ask']) && isRecord(value['config']);
