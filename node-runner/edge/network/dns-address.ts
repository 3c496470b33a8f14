// An address of the node at which the runner answers DNS where others make the network of
// allocations: they get there by their way out, whatever that network is.
// In: the kernel, who is a copy. Out: one link-local address at the loopback with our label, and
// the rules that keep everybody else from it; what is there is taken over. Not here: the bridge's
// own address (host.ts), answering (edge/dns), which copies there are (cni.ts).

import { addressRules, letThrough, removeWith } from './filter.ts';
import { networkFailure } from './kernel.ts';
import type { Kernel } from './kernel.ts';
import { ruleComments } from './names.ts';
import type { NetworkNames } from './names.ts';
import { dnsAddressTableText, hasChain } from './ruleset.ts';
import { chooseSubnet, formatAddress, parseAddress, parseSubnet } from './subnet.ts';
import type { SubnetRange } from './subnet.ts';

/**
 * Of 169.254.0.0/16, which nobody routes. Clouds have their services in 169.254.169.0/24 and near
 * it, other programs of this kind 169.254.1.1, 169.254.20.10 and what lies below 169.254.128.0.
 */
const RANGE: SubnetRange = {
  within: { base: parseAddress('169.254.128.0') ?? 0, prefixLength: 19 },
  prefixLength: 32,
};
/** A route to all of 169.254.0.0/16, which some machines have, takes none of them. */
const LINK_LOCAL_LENGTH = 16;

/** Another runner of this machine may take one in the same moment. */
const ATTEMPT_LIMIT = 4;

/**
 * The address, there from now on; chosen by the node's name, so that it is the same after a reboot.
 * It is no source for anything but answers (scope host).
 */
export const takeDnsAddress = async (
  kernel: Kernel,
  names: NetworkNames,
  node: string,
): Promise<string> => {
  for (let attempt = 1; ; attempt += 1) {
    const present = await presentAddress(kernel, names);
    if (present !== null) return present;
    const address = await freeAddress(kernel, node);
    try {
      await addAddress(kernel, names, address);
      // Of one that somebody took away.
      await removeWith(kernel, ruleComments(names).dns);
    } catch (error) {
      if (attempt >= ATTEMPT_LIMIT) throw error;
    }
  }
};

/**
 * Address, rules and way through firewalls, where any of them is missing.
 *
 * @param anew the rules are made again: those of an earlier runner may be of other copies
 */
export const keepDnsAddress = async (
  kernel: Kernel,
  names: NetworkNames,
  { address, copies, anew }: KeptAddress,
): Promise<void> => {
  if ((await presentAddress(kernel, names)) === null) await addAddress(kernel, names, address);
  const chains = anew ? null : await kernel.nftShow('list', 'chains', 'ip');
  if (chains === null || !hasChain(chains, { table: names.dnsTable, name: 'hush' }))
    await kernel.nft(dnsAddressTableText(names, address, copies()));
  await letThrough(kernel, addressRules(names, address));
};

export interface KeptAddress {
  readonly address: string;
  /** IPv4 addresses of all that may ask. */
  readonly copies: () => readonly string[];
  readonly anew: boolean;
}

/** The one that was removed, null where there was none. Its rules are the caller's. */
export const removeDnsAddress = async (
  kernel: Kernel,
  names: NetworkNames,
): Promise<string | null> => {
  const address = await presentAddress(kernel, names).catch(() => null);
  if (address !== null) await kernel.ipBatch([`addr del ${address}/32 dev lo`]);
  return address;
};

/**
 * Does what an allocation sends to that address come to this node? It does where the next hop on
 * its way there, as its own kernel tells it, is an address of ours: a gateway at a bridge, or at
 * the other end of its link. Not where it goes out to a router (macvlan), or nowhere.
 */
export const comesToNode = async (
  kernel: Kernel,
  namespace: string,
  address: string,
): Promise<boolean> => {
  const way = ['-n', namespace, '-4', 'route', 'get', address];
  const [[route], links] = await Promise.all([
    // It fails where no route leads there.
    kernel.ipShow(...way).catch(() => []),
    kernel.ipShow('-4', 'addr', 'show'),
  ]);
  return links.some(({ addr_info: list = [] }) =>
    list.some(({ local }) => local === route?.gateway),
  );
};

const presentAddress = async (kernel: Kernel, names: NetworkNames): Promise<string | null> => {
  const links = await kernel.ipShow('-4', 'addr', 'show', 'dev', 'lo');
  const all = links.flatMap(({ addr_info: list = [] }) => list);
  return all.find(({ label }) => label === names.dnsLabel)?.local ?? null;
};

const freeAddress = async (kernel: Kernel, node: string): Promise<string> => {
  const routes = await kernel.ipShow('-4', 'route', 'show', 'table', 'all');
  const taken = routes
    .flatMap(({ dst }) => parseSubnet(dst ?? '') ?? [])
    .filter(({ prefixLength }) => prefixLength > LINK_LOCAL_LENGTH);
  const chosen = chooseSubnet(node, taken, RANGE);
  if (chosen === null) throw networkFailure('no address of 169.254.128.0/19 is free for DNS');
  return formatAddress(chosen.base);
};

const addAddress = (kernel: Kernel, names: NetworkNames, address: string): Promise<void> =>
  kernel.ipBatch([`addr add ${address}/32 dev lo scope host label ${names.dnsLabel}`]);
