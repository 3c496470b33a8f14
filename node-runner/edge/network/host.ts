// What a runner needs once on its node: a bridge with an address, forwarding, a table of nftables;
// and its removal.
// In: names and a subnet, or none. Out: the subnet in use. Safe to repeat. Not here: allocations
// (native.ts).

import { readdir } from 'node:fs/promises';

import { removeDnsAddress } from './dns-address.ts';
import { bridgeRules, letThrough, removeRules } from './filter.ts';
import { networkFailure } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { NETNS_DIR } from './names.ts';
import type { NetworkNames } from './names.ts';
import { addMappings, dnsTableText, hasChain, tableText } from './ruleset.ts';
import type { Mapping } from './ruleset.ts';
import { chooseSubnet, formatSubnet, gatewayOf, parseSubnet } from './subnet.ts';
import type { Subnet } from './subnet.ts';

export interface HostOptions {
  readonly node: string;
  readonly subnet: string | null;
  /** Published ports that a new table begins with: not for a moment is it there without them. */
  readonly mappings?: () => readonly Mapping[];
}

/** The subnet in use. What cannot be read is not taken to be missing: then this throws. */
export const prepareHost = async (
  kernel: Kernel,
  names: NetworkNames,
  options: HostOptions,
): Promise<Subnet> => {
  const present = await bridgeSubnet(kernel, names);
  const wanted = await wantedSubnet(kernel, options, present);
  if (present === null) await makeBridge(kernel, names, wanted);
  else if (formatSubnet(present) !== formatSubnet(wanted))
    throw networkFailure(
      `bridge ${names.bridge} has the subnet ${formatSubnet(present)}, the configuration says ` +
        `${formatSubnet(wanted)}: drain the node and remove the bridge ` +
        `(ip link del ${names.bridge}) before changing it`,
    );
  const chains = await kernel.nftShow('list', 'chains', 'ip');
  // An existing table is left alone: its map holds the ports of running allocations.
  if (present === null || !hasChain(chains, { table: names.table, name: 'postrouting' })) {
    const mappings = options.mappings?.() ?? [];
    const published = mappings.length === 0 ? '' : addMappings(names, mappings);
    await kernel.nft(tableText(names, wanted) + published);
  }
  if (present === null || !hasChain(chains, { table: names.dnsTable, name: 'patience' }))
    await kernel.nft(dnsTableText(names, wanted));
  await letThrough(kernel, bridgeRules(names, gatewayOf(wanted)));
  return wanted;
};

const wantedSubnet = async (
  kernel: Kernel,
  options: HostOptions,
  present: Subnet | null,
): Promise<Subnet> => {
  if (options.subnet !== null) {
    const subnet = parseSubnet(options.subnet);
    if (subnet === null || subnet.prefixLength > 29)
      throw networkFailure(`"${options.subnet}" is no subnet such as 10.1.4.0/22, at most /29`);
    return subnet;
  }
  if (present !== null) return present;
  const routes = await kernel.ipShow('-4', 'route', 'show', 'table', 'all');
  const taken = routes.flatMap(({ dst }) => parseSubnet(dst ?? '') ?? []);
  const chosen = chooseSubnet(options.node, taken);
  if (chosen === null) throw networkFailure('no /22 of 10.0.0.0/8 is free: configure a subnet');
  return chosen;
};

/**
 * Largest packet, in bytes, of the interface with the default route: links of allocations get the
 * same, or large packets would be lost behind a tunnel. 1500 when there is no default route.
 */
export const readMtu = async (kernel: Kernel): Promise<number> => {
  const [route] = await kernel.ipShow('-4', 'route', 'show', 'default').catch(() => []);
  if (route?.dev === undefined) return ETHERNET_MTU;
  const [link] = await kernel.ipShow('link', 'show', 'dev', route.dev).catch(() => []);
  return link?.mtu ?? ETHERNET_MTU;
};

const ETHERNET_MTU = 1500;

/** The subnet of the bridge when it exists and has its address. */
const bridgeSubnet = async (kernel: Kernel, names: NetworkNames): Promise<Subnet | null> => {
  const bridges = await kernel.ipShow('addr', 'show', 'type', 'bridge');
  const shown = bridges.find(({ ifname }) => ifname === names.bridge);
  const address = shown?.addr_info?.find(({ family }) => family === 'inet');
  return address === undefined ? null : parseSubnet(`${address.local}/${address.prefixlen}`);
};

/**
 * The bridge has a hardware address of its own. Left to the kernel it is the lowest of its links', so
 * it changes when that link goes; the allocations that stay go on sending to the old one, and what
 * they send is lost until the node asks for their address again.
 */
const makeBridge = async (kernel: Kernel, names: NetworkNames, subnet: Subnet): Promise<void> => {
  const { bridge, bridgeMac } = names;
  // A runner that was stopped between these lines left a bridge without address.
  await kernel.ipBatch([`link add ${bridge} type bridge`]).catch(() => undefined);
  await kernel.ipBatch([
    `addr replace ${gatewayOf(subnet)}/${subnet.prefixLength} dev ${bridge}`,
    `link set ${bridge} address ${bridgeMac} up`,
  ]);
  await kernel.sysctl('net/ipv4/ip_forward', '1');
  await kernel.sysctl(`net/ipv4/conf/${bridge}/route_localnet`, '1');
};

/** The bridge of an earlier release keeps the address that it has now, whatever links come and go. */
export const keepBridgeMac = async (kernel: Kernel, { bridge }: NetworkNames): Promise<void> => {
  const [shown] = await kernel.ipShow('link', 'show', 'dev', bridge);
  if (shown?.address !== undefined)
    await kernel.ipBatch([`link set ${bridge} address ${shown.address}`]);
};

/** Names of our namespaces, of every mode. */
export const namespacesOf = async (names: NetworkNames): Promise<readonly string[]> => {
  const files = await readdir(NETNS_DIR).catch((): readonly string[] => []);
  return files.filter((file) => file.startsWith(names.prefix));
};

/** A namespace with nothing but its loopback, which is up. */
export const addNamespace = async (kernel: Kernel, namespace: string): Promise<void> => {
  await kernel.ipBatch([`netns add ${namespace}`]);
  await kernel.ipBatchIn(namespace, ['link set lo up']);
};

/** Absent is fine. */
export const deleteNamespace = async (
  kernel: Kernel,
  names: NetworkNames,
  namespace: string,
): Promise<void> => {
  try {
    await kernel.ipBatch([`netns del ${namespace}`]);
  } catch (error) {
    if ((await namespacesOf(names)).includes(namespace)) throw error;
  }
};

/** Removes namespaces, links, bridge, address, tables and rules of that name; each when it exists. */
export const removeHost = async (kernel: Kernel, names: NetworkNames): Promise<void> => {
  const namespaces = await namespacesOf(names);
  if (namespaces.length > 0)
    await kernel.ipBatch(namespaces.map((namespace) => `netns del ${namespace}`));
  const links = await kernel.ipShow('link', 'show', 'master', names.bridge).catch(() => []);
  // A link goes with its namespace, perhaps before our command comes: that is no failure.
  for (const { ifname = '' } of links)
    await kernel.ipBatch([`link del ${ifname}`]).catch(() => undefined);
  const bridges = await kernel.ipShow('link', 'show', 'dev', names.bridge).catch(() => []);
  if (bridges.length > 0) await kernel.ipBatch([`link del ${names.bridge}`]);
  for (const table of [names.table, names.dnsTable])
    await kernel.nft(`add table ip ${table}\ndelete table ip ${table}\n`);
  await removeRules(kernel, names, await removeDnsAddress(kernel, names));
};
