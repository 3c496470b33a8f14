// Names of everything the network edge makes in the kernel, so that what is ours is known by name
// alone.
// In: node name, allocation, host number. Out: text within the kernel's limits. Not here: any I/O.

import { sha256 } from '../../../schema/hash.ts';

export interface NetworkNames {
  /** Six hex characters of the node's name: several runners share a machine. */
  readonly tag: string;
  /** Link names hold at most 15 characters. */
  readonly bridge: string;
  /** Hardware address of the bridge: one that nobody else was given (locally administered). */
  readonly bridgeMac: string;
  /** nftables table of family ip. */
  readonly table: string;
  /** The table of DNS for copies, apart from the other: that one stays as it is in an upgrade. */
  readonly dnsTable: string;
  /** Label of the address of DNS where there is no bridge; begins as the kernel wants it. */
  readonly dnsLabel: string;
  /** Start of the names of namespaces under /run/netns. */
  readonly prefix: string;
  /** Start of the names of links, followed by the host number. */
  readonly linkPrefix: string;
}

export const namesFor = (node: string): NetworkNames => {
  const tag = sha256(`purser network ${node}`).slice(0, 6);
  return {
    tag,
    bridge: `purser-${tag}`,
    bridgeMac: `02:70:73:${tag.replaceAll(/(..)(?=.)/g, '$1:')}`,
    table: `purser_${tag}`,
    dnsTable: `purser_${tag}_dns`,
    dnsLabel: `lo:p${tag}`,
    prefix: `purser-${tag}-`,
    linkPrefix: `p${tag}-`,
  };
};

/** What every runner's table is called. */
export const RUNNER_TABLE = /^purser_[0-9a-f]{6}$/;

/** Where a runner answers DNS: its bridge, or a label at the loopback. */
export const RUNNER_DNS = /^(purser-|lo:p)[0-9a-f]{6}$/;

/** Where iproute2 keeps named namespaces. */
export const NETNS_DIR = '/run/netns';

/** Comments of rules that we add to chains of others, so that we find them again. */
export const ruleComments = ({ table, dnsTable }: NetworkNames) => ({
  bridge: table,
  dns: dnsTable,
});
