// Firewalls of others that let nothing through: Docker and many firewalls set the policy of
// iptables' FORWARD to drop, and firewalls that of INPUT. nftables sees those chains as `ip filter
// FORWARD`, unless iptables-legacy made them.
// In: rules. Out: they stand at the top of those chains, where the chains are. Not reached: base
// chains of other names; there a person must accept the same. Not here: tables of our own
// (ruleset.ts).

import type { Kernel } from './kernel.ts';
import { type NetworkNames, ruleComments } from './names.ts';
import { handlesWithComment } from './ruleset.ts';

export interface FilterRules {
  readonly comment: string;
  /** As nft reads them. */
  readonly FORWARD: readonly string[];
  readonly INPUT: readonly string[];
  /** The same as iptables reads them, behind `-I`. */
  readonly legacy: readonly string[];
}

const FILTER_CHAINS = ['FORWARD', 'INPUT'] as const;
const PROTOCOLS = ['udp', 'tcp'] as const;

/** Our bridge is let through, to DNS alone in INPUT. */
export const bridgeRules = (names: NetworkNames, gateway: string): FilterRules => ({
  comment: ruleComments(names).bridge,
  FORWARD: [`iifname "${names.bridge}" accept`, `oifname "${names.bridge}" accept`],
  INPUT: PROTOCOLS.map(
    (protocol) => `iifname "${names.bridge}" ip daddr ${gateway} ${protocol} dport 53 accept`,
  ),
  legacy: bridgeLegacy(names),
});

const bridgeLegacy = ({ bridge }: NetworkNames): readonly string[] => [
  ...['-i', '-o'].map((side) => `FORWARD ${side} ${bridge} -j ACCEPT`),
  ...PROTOCOLS.map((protocol) => `INPUT -i ${bridge} -p ${protocol} --dport 53 -j ACCEPT`),
];

/** DNS at an address of its own: who may ask there was looked at before these chains. */
export const addressRules = (names: NetworkNames, address: string): FilterRules => ({
  comment: ruleComments(names).dns,
  FORWARD: [],
  INPUT: PROTOCOLS.map((protocol) => `ip daddr ${address} ${protocol} dport 53 accept`),
  legacy: addressLegacy(address),
});

const addressLegacy = (address: string): readonly string[] =>
  PROTOCOLS.map((protocol) => `INPUT -d ${address} -p ${protocol} --dport 53 -j ACCEPT`);

/** Where they stand already nothing happens. */
export const letThrough = async (kernel: Kernel, rules: FilterRules): Promise<void> => {
  await changeLegacy(kernel, rules.legacy, 'insert');
  const { comment } = rules;
  for (const chain of FILTER_CHAINS) {
    const shown = rules[chain].length === 0 ? null : await filterChain(kernel, chain);
    if (shown === null || handlesWithComment(shown, comment).length > 0) continue;
    const texts = rules[chain].map(
      (rule) => `insert rule ip filter ${chain} ${rule} comment "${comment}"\n`,
    );
    await kernel.nft(texts.join(''));
  }
};

/** @param address of DNS, where it is not the bridge's; null: there is none */
export const removeRules = async (
  kernel: Kernel,
  names: NetworkNames,
  address: string | null,
): Promise<void> => {
  await changeLegacy(kernel, bridgeLegacy(names), 'delete');
  if (address !== null) await changeLegacy(kernel, addressLegacy(address), 'delete');
  for (const comment of Object.values(ruleComments(names))) await removeWith(kernel, comment);
};

export const removeWith = async (kernel: Kernel, comment: string): Promise<void> => {
  for (const chain of FILTER_CHAINS) {
    const shown = await filterChain(kernel, chain);
    const handles = shown === null ? [] : handlesWithComment(shown, comment);
    const rules = handles.map((handle) => `delete rule ip filter ${chain} handle ${handle}\n`);
    if (rules.length > 0) await kernel.nft(rules.join(''));
  }
};

/** Nothing happens where the kernel has no legacy filter table: asking iptables would make it. */
const changeLegacy = async (
  kernel: Kernel,
  rules: readonly string[],
  change: 'insert' | 'delete',
): Promise<void> => {
  const tables = await kernel.plugin({ program: 'cat', args: ['/proc/net/ip_tables_names'] });
  if (!tables.stdout.split('\n').includes('filter')) return;
  for (const rule of rules) {
    const call = (verb: string) =>
      kernel
        .plugin({ program: 'iptables-legacy', args: ['-w', verb, ...rule.split(' ')] })
        .catch(() => ({ code: LEGACY_MISSING }));
    const { code } = await call('-C');
    if (change === 'insert' && code === 1) await call('-I');
    if (change === 'delete' && code === 0) await call('-D');
  }
};

/** No such program: then the rules came from elsewhere, and a person must change them. */
const LEGACY_MISSING = 127;

const filterChain = (kernel: Kernel, chain: string): Promise<string | null> =>
  kernel.nftShow('-a', 'list', 'chain', 'ip', 'filter', chain).catch(() => null);
