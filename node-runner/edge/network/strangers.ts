// Host ports that programs of the node have, and a last look before one is published: the rules
// that publish it would take its traffic from a program that listens there, and the runner's own
// list of taken ports is seconds old.
// In: the kernel, the ports that are asked. Out: ports; RuntimeError that names the holder. Not
// here: ports that allocations of this runner have (native.ts, cni.ts).

import type { NetworkAsk } from '../../ports.ts';
import { parseHolders } from './holders.ts';
import { type Kernel, networkFailure } from './kernel.ts';
import { dnsAddressesIn, parseListening } from './listening.ts';

export const refuseListening = async (kernel: Kernel, { ports }: NetworkAsk): Promise<void> => {
  if (ports.length === 0) return;
  const listening = new Set(await portsListening(kernel));
  const taken = ports.find(({ host }) => listening.has(host));
  if (taken === undefined) return;
  const holder = parseHolders(await kernel.listeners()).get(taken.host);
  const by = holder === undefined ? '' : ` by ${holder}`;
  throw networkFailure(`host port ${taken.host} (${taken.name}) is in use on this node${by}`);
};

export const portsListening = async (kernel: Kernel): Promise<readonly number[]> => {
  const [links, sockets] = await Promise.all([
    kernel.ipShow('-4', 'addr', 'show'),
    kernel.socketTables(),
  ]);
  return parseListening(sockets, dnsAddressesIn(links));
};
