// The network of allocations made by CNI plugins that the node's owner configured.
// In: NetworkAsk. Out: NetworkFacts. ADD in order, DEL in reverse with the result kept on disk,
// because plugins need it to find what they made. Not here: CHECK (portmap's fails without IPv6),
// removal of what plugins share (bridges), who is answered by DNS (cni-dns.ts).

import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import writeFileAtomic from 'write-file-atomic';

import { canonical } from '../../../schema/hash.ts';
import { compareText } from '../../../schema/ids.ts';
import type { NetworkAsk, NetworkFacts, RunnerLog } from '../../ports.ts';
import { nameServersIn } from '../dns/upstreams.ts';
import { messageOf } from '../failure.ts';
import { refuseBadName } from '../safe-name.ts';
import {
  addressesOfResult,
  isCniFile,
  isRecord,
  parseCniConfig,
  pluginError,
  pluginInput,
  publishesPorts,
  resolvConfOfResult,
} from './cni-config.ts';
import type { CniConfig, CniPlugin } from './cni-config.ts';
import { createCniDns } from './cni-dns.ts';
import type { CniDns, CopyInDns } from './cni-dns.ts';
import { addNamespace, deleteNamespace, namespacesOf, removeHost } from './host.ts';
import { createKernel, networkFailure } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { parseHolders } from './holders.ts';
import { portsListening, refuseListening } from './strangers.ts';
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
  readonly log: Pick<RunnerLog, 'warn'>;
}

/** What is kept on disk: written before the first ADD, so that DEL finds what a crash left. */
interface Kept {
  readonly ask: NetworkAsk;
  readonly config: CniConfig;
  /** Result of the last plugin that was added; null before. */
  readonly result: unknown;
  readonly done: boolean;
  /** As the program that made it had them; releases before 0.2.0 kept none. */
  readonly binDir?: string;
  /** Absent: nobody looked. */
  readonly reachesDns?: boolean;
}

/** What removal needs. */
interface Remover {
  readonly kernel: Kernel;
  readonly names: NetworkNames;
  /** `binDir` null: as it was when a network was made. */
  readonly options: Pick<CniNetworkOptions, 'stateDir'> & { readonly binDir: string | null };
  readonly dns: CniDns | null;
}

interface State extends Remover {
  readonly options: CniNetworkOptions;
  readonly config: CniConfig;
  readonly said: Set<string>;
}

/** Reads the configuration and removes what is kept of allocations whose namespace is gone. */
export const createCniNetwork = async (options: CniNetworkOptions): Promise<ManagedNetwork> => {
  const config = await readConfig(options.config);
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const kernel = createKernel(options.nodeNetns);
  const names = namesFor(options.node);
  const bare: State = { kernel, names, options, config, dns: null, said: new Set() };
  const present = await allocationsOf(bare);
  for (const allocation of await keptAllocations(options.stateDir))
    if (!present.includes(allocation)) await tearDown(bare, allocation);
  const state = { ...bare, dns: await beginDns(bare) };
  const inTurn = createTurns();
  return {
    dns: state.dns,
    setUp: (ask) => inTurn(ask.allocation, () => setUp(state, ask)),
    tearDown: (allocation) => inTurn(allocation, () => tearDown(state, allocation)),
    list: async () => {
      await state.dns
        ?.keep()
        .catch((error: unknown) => warnOnce(state, `DNS for copies: ${messageOf(error)}`));
      return list(state);
    },
    portsTaken: () => portsListening(kernel),
    portHolders: async () => parseHolders(await kernel.listeners()),
    cleanUp: async () => {
      const failures = await cniCleanUp(options);
      await removeHost(kernel, names);
      if (failures.length > 0) throw networkFailure(failures.join('; '));
    },
  };
};

/**
 * Has plugins remove what they made for every allocation, also when no runner is left to ask. What
 * they refused, in words; what the runner itself made is the caller's to remove.
 */
export const cniCleanUp = async ({
  node,
  nodeNetns,
  ...options
}: Remover['options'] & Pick<CniNetworkOptions, 'node' | 'nodeNetns'>): Promise<
  readonly string[]
> => {
  const kernel = createKernel(nodeNetns);
  const remover = { kernel, names: namesFor(node), options, dns: null };
  const failures: string[] = [];
  for (const allocation of await keptAllocations(options.stateDir).catch(() => []))
    await tearDown(remover, allocation).catch((error: unknown) => failures.push(messageOf(error)));
  return failures;
};

/** Copies of an earlier runner are known at once. null: it cannot be had: no reason to end. */
const beginDns = async (state: State): Promise<CniDns | null> => {
  const { kernel, names, options } = state;
  try {
    const dns = await createCniDns(kernel, names, options.node);
    const present = await allocationsOf(state);
    for (const allocation of present) {
      const kept = await readKept(state, allocation);
      if (kept?.done !== true) continue;
      dns.know(allocation, copyOf(kept));
      // Of an earlier release, or of one that had no DNS.
      if (typeof kept.reachesDns !== 'boolean')
        await writeKept(state, await looked(dns, state, kept));
    }
    await dns.keep();
    return dns;
  } catch (error) {
    warnOnce(
      state,
      'copies find no services by DNS, and ask the machine’s own name servers, until the runner ' +
        `is started again: ${messageOf(error)}`,
    );
    return null;
  }
};

const warnOnce = ({ said, options }: State, message: string): void => {
  if (!said.has(message)) options.log.warn({}, message);
  said.add(message);
};

const copyOf = ({ result }: Kept): CopyInDns => ({
  addresses: addressesOfResult(result),
  nameServers: nameServersIn(resolvConfOfResult(result)),
});

/** Looks whether it reaches the runner's DNS: then it is told to ask there. */
const looked = async (dns: CniDns, state: State, kept: Kept): Promise<Kept> => {
  if (addressesOfResult(kept.result).length === 0) return { ...kept, reachesDns: false };
  const reachesDns = await dns.isReachedFrom(state.names.prefix + kept.ask.allocation);
  if (!reachesDns)
    warnOnce(
      state,
      `copies on the CNI network "${kept.config.name}" do not reach this node at ${dns.address}: ` +
        'they ask the machine’s own name servers, or those that plugins name, and find no ' +
        'services by DNS. They need a gateway that is an address of this node and a route by it',
    );
  return { ...kept, reachesDns };
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
    const { binDir } = state.options;
    return await add(state, { ask, config, binDir, result: null, done: false });
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
  if (state.dns !== null) kept = await looked(state.dns, state, kept);
  kept = { ...kept, done: true };
  await writeKept(state, kept);
  await state.dns?.admit(allocation, copyOf(kept));
  return factsOf(state, allocation, kept);
};

/**
 * DEL of every plugin is tried also when one fails; the state is kept then, so that it is tried
 * again.
 */
const tearDown = async (state: Remover, allocation: string): Promise<void> => {
  refuseBadName(allocation);
  await state.dns?.forget(allocation);
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

/** Of what a release kept that did not say it. */
const DEFAULT_BIN_DIR = '/usr/lib/cni';

interface PluginRun {
  readonly command: 'ADD' | 'DEL';
  readonly kept: Kept;
  readonly plugin: CniPlugin;
}

const run = async (state: Remover, { command, kept, plugin }: PluginRun): Promise<string> => {
  const { ask, config, result } = kept;
  const binDir = state.options.binDir ?? kept.binDir ?? DEFAULT_BIN_DIR;
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

const factsOf = (state: State, allocation: string, kept: Kept | null): NetworkFacts => {
  const resolvConf = resolvConfOfResult(kept?.result);
  return {
    allocation,
    path: pathOf(state, allocation),
    address: addressesOfResult(kept?.result)[0] ?? null,
    reachesDns: kept?.reachesDns ?? false,
    ...(resolvConf === '' ? {} : { resolvConf }),
  };
};

const pathOf = (state: Remover, allocation: string): string =>
  join(NETNS_DIR, state.names.prefix + allocation);

const allocationsOf = async ({ names }: Remover): Promise<readonly string[]> => {
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
const readKept = async (state: Remover, allocation: string): Promise<Kept | null> => {
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
