// Who of the copies on networks of CNI plugins may ask the runner by DNS, and whom it asks for
// them. In: copies as they come and go. Out: the address at which they ask, and rules that let them
// alone through. Not here: the address itself (dns-address.ts), what plugins said (cni.ts).

import type { CopiesDns } from '../../ports.ts';
import { comesToNode, keepDnsAddress, takeDnsAddress } from './dns-address.ts';
import type { Kernel } from './kernel.ts';
import type { NetworkNames } from './names.ts';
import { addCopies, deleteCopies } from './ruleset.ts';

export interface CopyInDns {
  /** IPv4 addresses that plugins gave it. */
  readonly addresses: readonly string[];
  /** That they named for it. */
  readonly nameServers: readonly string[];
}

export interface CniDns extends CopiesDns {
  /** Does what is sent there from that namespace come here? */
  readonly isReachedFrom: (namespace: string) => Promise<boolean>;
  /** It may ask once this is done. Those of an earlier runner are known before the first `keep`. */
  readonly know: (allocation: string, copy: CopyInDns) => void;
  readonly admit: (allocation: string, copy: CopyInDns) => Promise<void>;
  /** Before its address is free for others. */
  readonly forget: (allocation: string) => Promise<void>;
  /** Makes what is missing; all rules anew the first time. */
  readonly keep: () => Promise<void>;
}

/** Takes an address; who is let through is said by the first `keep`. */
export const createCniDns = async (
  kernel: Kernel,
  names: NetworkNames,
  node: string,
): Promise<CniDns> => {
  const address = await takeDnsAddress(kernel, names, node);
  const copies = new Map<string, CopyInDns>();
  let known = new Map<string, CopyInDns>();
  let anew = true;
  const change = (allocation: string, copy: CopyInDns | null): void => {
    if (copy === null) copies.delete(allocation);
    else copies.set(allocation, copy);
    const pairs = [...copies.values()].flatMap((one) =>
      one.addresses.map((source) => [source, one] as const),
    );
    known = new Map(pairs);
  };
  const keep = async (): Promise<void> => {
    await keepDnsAddress(kernel, names, { address, copies: () => [...known.keys()], anew });
    anew = false;
  };
  return {
    address,
    // The node's own programs ask from there.
    holds: (source) => source === address || known.has(source),
    nameServersOf: (source) => known.get(source)?.nameServers ?? [],
    isReachedFrom: (namespace) => comesToNode(kernel, namespace, address),
    know: change,
    admit: async (allocation, copy) => {
      change(allocation, copy);
      if (copy.addresses.length === 0) return;
      await kernel.nft(addCopies(names, copy.addresses)).catch(() => {
        // Somebody flushed the rules, perhaps: they are made again with all.
        anew = true;
        return keep();
      });
    },
    forget: async (allocation) => {
      const gone = copies.get(allocation)?.addresses ?? [];
      change(allocation, null);
      const free = gone.filter((one) => !known.has(one));
      // Where there are no rules nothing has to go; whoever still comes through is not answered.
      if (free.length > 0) await kernel.nft(deleteCopies(names, free)).catch(() => undefined);
    },
    keep,
  };
};
