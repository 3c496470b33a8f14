// The default network of allocations: a namespace each, a veth pair to the runner's bridge,
// published ports by nftables.
// In: NetworkAsk. Out: NetworkFacts. What exists is read from the kernel (names and aliases of
// links, the map of ports), so that a restarted runner adopts it. Not here: names and texts (names,
// subnet, ruleset), CNI (cni.ts), IPv6.

import { join } from 'node:path';

import type { CopiesDns, NetworkAsk, NetworkFacts, NetworkPort } from '../../ports.ts';
import { compareText } from '../../../schema/ids.ts';
import { messageOf } from '../failure.ts';
import { refuseBadName } from '../safe-name.ts';
import { createBatcher } from './batcher.ts';
import {
  addNamespace,
  deleteNamespace,
  keepBridgeMac,
  namespacesOf,
  prepareHost,
  readMtu,
  removeHost,
} from './host.ts';
import { createKernel, networkFailure } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { OTHER_RUNNER, parseHolders } from './holders.ts';
import { portsListening, refuseListening } from './strangers.ts';
import { NETNS_DIR, namesFor } from './names.ts';
import type { NetworkNames } from './names.ts';
import { addMappings, deleteMappings, parseMappings, parseOtherMappings } from './ruleset.ts';
import type { Mapping } from './ruleset.ts';
import { createTurns } from './turns.ts';
import { addressOf, gatewayOf, isWithin, nextHost } from './subnet.ts';
import type { Subnet } from './subnet.ts';

export interface NativeNetworkOptions {
  readonly node: string;
  /**
   * `10.1.4.0/22`; null: the first free /22 of 10.0.0.0/8, beginning at a place that the node's
   * name gives.
   */
  readonly subnet: string | null;
  /** Path of the namespace that is the node's own; null when this process runs in it. */
  readonly nodeNetns: string | null;
}

export interface ManagedNetwork extends NetworkPort {
  /** null: it cannot be had. */
  readonly dns: CopiesDns | null;
  /**
   * Removes everything that this runner made in the kernel: namespaces, links, bridge, rules.
   * Absent is fine.
   */
  readonly cleanUp: () => Promise<void>;
}

/** What is known of one allocation; `host` is null in mode none. */
interface Entry {
  readonly host: number | null;
  readonly mappings: readonly Mapping[];
  /** Finished by this process, or checked since it started. */
  readonly complete: boolean;
}

interface State {
  readonly kernel: Kernel;
  readonly names: NetworkNames;
  readonly subnet: Subnet;
  readonly mtu: number;
  readonly entries: Map<string, Entry>;
  /** Host numbers of entries and of links that the kernel has not yet removed. */
  readonly used: Set<number>;
  lastHost: number;
  readonly nft: (text: string) => Promise<void>;
}

/** Prepares bridge and rules, adopts what exists. Throws RuntimeError. */
export const createNativeNetwork = async (
  options: NativeNetworkOptions,
): Promise<ManagedNetwork> => {
  const kernel = createKernel(options.nodeNetns);
  const names = namesFor(options.node);
  const subnet = await prepareHost(kernel, names, options);
  await keepBridgeMac(kernel, names);
  const state: State = {
    kernel,
    names,
    subnet,
    mtu: await readMtu(kernel),
    entries: new Map(),
    used: new Set(),
    lastHost: 0,
    nft: createBatcher((texts) => kernel.nft(texts.join(''))),
  };
  await adopt(state);
  const inTurn = createTurns();
  return {
    dns: {
      address: gatewayOf(subnet),
      holds: (source) => isWithin(subnet, source),
      nameServersOf: () => [],
    },
    setUp: (ask) => inTurn(ask.allocation, () => setUp(state, ask)),
    tearDown: (allocation) => inTurn(allocation, () => tearDown(state, allocation)),
    list: async () => {
      await restoreRules(state, options);
      return list(state);
    },
    portsTaken: async () => {
      const listening = await portsListening(kernel);
      const published = await publishedByOthers(state);
      return [...new Set([...listening, ...published])].toSorted((a, b) => a - b);
    },
    portHolders: async () => {
      const others = (await publishedByOthers(state)).map((port) => [port, OTHER_RUNNER] as const);
      return new Map([...others, ...parseHolders(await kernel.listeners())]);
    },
    cleanUp: () => removeHost(kernel, names),
  };
};

/** Removes what a runner of that name made, without preparing anything first. */
export const nativeCleanUp = (
  options: Pick<NativeNetworkOptions, 'node' | 'nodeNetns'>,
): Promise<void> => removeHost(createKernel(options.nodeNetns), namesFor(options.node));

const setUp = async (state: State, ask: NetworkAsk): Promise<NetworkFacts> => {
  refuseBadName(ask.allocation);
  const known = state.entries.get(ask.allocation);
  if (known !== undefined) {
    if (await isIntact(state, ask, known)) return factsOf(state, ask.allocation, known);
    await tearDown(state, ask.allocation);
  }
  refuseTakenPorts(state, ask);
  if (ask.mode === 'bridge') await refuseListening(state.kernel, ask);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const entry = await make(state, ask);
      return factsOf(state, ask.allocation, entry);
    } catch (error) {
      await tearDown(state, ask.allocation).catch(() => undefined);
      if (attempt >= ATTEMPT_LIMIT || !messageOf(error).includes('File exists')) throw error;
    }
  }
};

/**
 * The kernel may still be removing the link of a host number used before: the next number is free
 * more likely.
 */
const ATTEMPT_LIMIT = 4;

const make = async (state: State, ask: NetworkAsk): Promise<Entry> => {
  const host = ask.mode === 'none' ? null : claimHost(state);
  const address = host === null ? null : addressOf(state.subnet, host);
  const mappings =
    address === null
      ? []
      : ask.ports.map(({ host: from, port }) => ({ host: from, address, port }));
  const entry = { host, mappings, complete: false };
  state.entries.set(ask.allocation, entry);
  await all([makeNamespace(state, ask.allocation, host), publish(state, mappings)]);
  const done = { ...entry, complete: true };
  state.entries.set(ask.allocation, done);
  return done;
};

const publish = async (state: State, mappings: readonly Mapping[]): Promise<void> => {
  if (mappings.length > 0) await state.nft(addMappings(state.names, mappings));
};

/** Waits for all, so that nothing is still under way when one has failed. */
const all = async (work: readonly Promise<void>[]): Promise<void> => {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
};

/**
 * Two programs: one in the node's namespace, one in the new one. Hairpin lets an allocation reach
 * its own published port; the alias tells which allocation a link belongs to.
 */
const makeNamespace = async (
  state: State,
  allocation: string,
  host: number | null,
): Promise<void> => {
  const { kernel, names, subnet, mtu } = state;
  const namespace = names.prefix + allocation;
  if (host === null) return addNamespace(kernel, namespace);
  const link = names.linkPrefix + host;
  await kernel.ipBatch([
    `netns add ${namespace}`,
    `link add ${link} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${namespace}`,
    `link set ${link} alias ${allocation} master ${names.bridge} up`,
    `link set ${link} type bridge_slave hairpin on`,
  ]);
  await kernel.ipBatchIn(namespace, [
    'link set lo up',
    `addr add ${addressOf(subnet, host)}/${subnet.prefixLength} dev eth0`,
    'link set eth0 up',
    `route add default via ${gatewayOf(subnet)}`,
  ]);
};

/**
 * Removing the namespace removes the link too, a moment later and without our waiting for it
 * (waiting takes the kernel 15 to 25 ms). The host number comes round again only after all
 * others.
 */
const tearDown = async (state: State, allocation: string): Promise<void> => {
  refuseBadName(allocation);
  const entry = state.entries.get(allocation);
  const namespace = state.names.prefix + allocation;
  await all([
    deleteNamespace(state.kernel, state.names, namespace),
    removeMappings(state, entry?.mappings ?? []),
  ]);
  if (entry === undefined) return;
  state.entries.delete(allocation);
  if (entry.host !== null) state.used.delete(entry.host);
};

/** An element that is not there fails the whole command, so what is missing is looked up then. */
const removeMappings = async (state: State, mappings: readonly Mapping[]): Promise<void> => {
  if (mappings.length === 0) return;
  try {
    await state.nft(deleteMappings(state.names, mappings));
  } catch {
    const present = await presentMappings(state);
    const ours = mappings.filter((mapping) =>
      present.some(({ host, address }) => host === mapping.host && address === mapping.address),
    );
    if (ours.length > 0) await state.nft(forceDelete(state.names, ours));
  }
};

/**
 * Deletes also where only one of the two protocols is there: adding what exists changes nothing.
 */
const forceDelete = (names: NetworkNames, mappings: readonly Mapping[]): string =>
  addMappings(names, mappings) + deleteMappings(names, mappings);

const claimHost = (state: State): number => {
  const host = nextHost(state.subnet, state.used, state.lastHost);
  if (host === null)
    throw networkFailure('every address of the subnet is in use; give the node a larger subnet');
  state.used.add(host);
  state.lastHost = host;
  return host;
};

const refuseTakenPorts = (state: State, ask: NetworkAsk): void => {
  for (const [allocation, { mappings }] of state.entries) {
    const clash = mappings.find(({ host }) => ask.ports.some((port) => port.host === host));
    if (clash !== undefined)
      throw networkFailure(`host port ${clash.host} is published by allocation ${allocation}`);
  }
};

const factsOf = (state: State, allocation: string, entry: Entry): NetworkFacts => ({
  allocation,
  path: join(NETNS_DIR, state.names.prefix + allocation),
  address: entry.host === null ? null : addressOf(state.subnet, entry.host),
});

/** A repeated setUp: the same ask, and the namespace as we would leave it. */
const isIntact = async (state: State, ask: NetworkAsk, entry: Entry): Promise<boolean> => {
  const wanted = ask.ports.map(({ host, port }) => `${host} ${port}`).toSorted(compareText);
  const present = entry.mappings.map(({ host, port }) => `${host} ${port}`).toSorted(compareText);
  if ((ask.mode === 'none') !== (entry.host === null)) return false;
  if (ask.mode === 'bridge' && wanted.join() !== present.join()) return false;
  if (entry.complete) return true;
  const namespace = state.names.prefix + ask.allocation;
  const shown = await state.kernel.ipShow('-n', namespace, 'addr').catch(() => []);
  const address = entry.host === null ? '127.0.0.1' : addressOf(state.subnet, entry.host);
  const routes = await state.kernel.ipShow('-n', namespace, 'route').catch(() => []);
  const intact =
    shown.some(({ addr_info: list = [] }) => list.some(({ local }) => local === address)) &&
    (entry.host === null || routes.some(({ dst }) => dst === 'default'));
  if (intact) state.entries.set(ask.allocation, { ...entry, complete: true });
  return intact;
};

/**
 * Reads what the kernel holds of ours into memory; links that belong to no namespace are removed.
 */
const adopt = async (state: State): Promise<void> => {
  const { kernel, names } = state;
  const hosts = await hostsByAllocation(state);
  const mappings = await presentMappings(state);
  for (const allocation of await allocationsWithNamespace(names)) {
    const host = hosts.get(allocation) ?? null;
    const address = host === null ? null : addressOf(state.subnet, host);
    const own = mappings.filter((mapping) => mapping.address === address);
    state.entries.set(allocation, { host, mappings: own, complete: false });
    if (host !== null) state.used.add(host);
    state.lastHost = Math.max(state.lastHost, host ?? 0);
  }
  for (const [allocation, host] of hosts) {
    if (state.entries.has(allocation)) continue;
    await kernel.ipBatch([`link del ${names.linkPrefix}${host}`]).catch(() => undefined);
  }
  const owned = new Set([...state.entries.values()].flatMap((entry) => entry.mappings));
  const lost = mappings.filter((mapping) => !owned.has(mapping));
  if (lost.length > 0) await state.nft(forceDelete(names, lost));
};

const hostsByAllocation = async (state: State): Promise<ReadonlyMap<string, number>> => {
  const { kernel, names } = state;
  const links = await kernel.ipShow('link', 'show', 'master', names.bridge);
  const found = new Map<string, number>();
  for (const { ifname = '', ifalias = '' } of links) {
    const host = Number(
      ifname.startsWith(names.linkPrefix) && ifname.slice(names.linkPrefix.length),
    );
    // A link that was cut off before it had its alias is found under its own name.
    if (host > 0) found.set(ifalias === '' ? ifname : ifalias, host);
  }
  return found;
};

const allocationsWithNamespace = async (names: NetworkNames): Promise<readonly string[]> => {
  const namespaces = await namespacesOf(names);
  return namespaces.map((name) => name.slice(names.prefix.length)).toSorted(compareText);
};

const presentMappings = async (state: State): Promise<readonly Mapping[]> =>
  parseMappings(await state.kernel.nftShow('list', 'map', 'ip', state.names.table, 'ports'));

/**
 * Host ports that other runners of this machine publish: no socket shows them, and of two tables
 * that map the same port the older would win.
 */
const publishedByOthers = async ({ kernel, names }: State): Promise<readonly number[]> =>
  parseOtherMappings(await kernel.nftShow('list', 'maps', 'ip'), names).map(({ host }) => host);

const list = async (state: State): Promise<readonly NetworkFacts[]> => {
  const hosts = await hostsByAllocation(state);
  const allocations = await allocationsWithNamespace(state.names);
  return allocations.map((allocation) => {
    const known = state.entries.get(allocation);
    const entry = known ?? { host: null, mappings: [], complete: false };
    return factsOf(state, allocation, { ...entry, host: hosts.get(allocation) ?? null });
  });
};

/**
 * Somebody flushed the rules (a firewall that reloads does): make them again, with every mapping
 * that we know.
 */
const restoreRules = async (state: State, options: NativeNetworkOptions): Promise<void> => {
  const mappings = () => [...state.entries.values()].flatMap((entry) => entry.mappings);
  await prepareHost(state.kernel, state.names, { ...options, mappings });
};
