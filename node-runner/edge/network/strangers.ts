// A last look before a host port is published: the rules that publish it would take its traffic
// from a program that listens there, and the runner's own list of taken ports is seconds old.
// In: the kernel, the ports that are asked. Out: RuntimeError that names the holder. Not here:
// ports that allocations of this runner have (native.ts, cni.ts).

import type { NetworkAsk } from '../../ports.ts';
import { parseHolders } from './holders.ts';
import { type Kernel, networkFailure } from './kernel.ts';
import { parseListening } from './listening.ts';

export const refuseListening = async (kernel: Kernel, { ports }: NetworkAsk): Promise<void> => {
  if (ports.length === 0) return;
  const listening = new Set(parseListening(await kernel.socketTables()));
  const taken = ports.find(({ host }) => listening.has(host));
  if (taken === undefined) return;
  const holder = parseHolders(await kernel.listeners()).get(taken.host);
  const by = holder === undefined ? '' : ` by ${holder}`;
  throw networkFailure(`host port ${taken.host} (${taken.name}) is in use on this node${by}`);
};
