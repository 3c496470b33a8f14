// The text that nft reads and the JSON that it prints: one table a runner, with a map from host
// port to allocation.
// In: names, subnet, mappings. Out: nft commands; parsed mappings. Not here: running nft.

import { RUNNER_TABLE } from './names.ts';
import type { NetworkNames } from './names.ts';
import { formatSubnet, gatewayOf } from './subnet.ts';
import type { Subnet } from './subnet.ts';

/** A published port: both TCP and UDP on `host` go to `address`:`port`. */
export interface Mapping {
  readonly host: number;
  readonly address: string;
  readonly port: number;
}

/** A port is published for both, since a job file names no protocol. */
const PROTOCOLS = ['tcp', 'udp'] as const;

/**
 * Makes the table anew. Raw prerouting drops what comes from allocations to 127.0.0.0/8:
 * route_localnet, that publishing on the loopback needs, would open the node's own loopback
 * services to them. Masquerade: out of the subnet, from the loopback (the answer must come back
 * here), and from an allocation to a published port of one.
 */
export const tableText = (names: NetworkNames, subnet: Subnet): string => {
  const { table, bridge } = names;
  const net = formatSubnet(subnet);
  const publish = 'fib daddr type local dnat ip to meta l4proto . th dport map @ports';
  return `add table ip ${table}
delete table ip ${table}
table ip ${table} {
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  chain guard {
    type filter hook prerouting priority -300; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
  }
  chain prerouting { type nat hook prerouting priority -100; policy accept; ${publish}; }
  chain output { type nat hook output priority -100; policy accept; ${publish}; }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${net} oifname != "${bridge}" masquerade
    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade
    ip saddr ${net} oifname "${bridge}" ct status dnat masquerade
  }
}
`;
};

const PORT_REFUSED = 'icmp type destination-unreachable icmp code port-unreachable @th,240,16 53';

/**
 * DNS at the bridge's address: for allocations and for the node itself, whatever way a packet from
 * elsewhere finds to that address. While a runner is started again nobody listens there, and the
 * kernel would tell each client so at once: that word is held back (`@th,240,16` is the port in the
 * datagram that it quotes), so that clients ask again in a moment and find the new one. A job that
 * publishes port 53 of the node does not get what is asked here. What the node asks at that address
 * itself comes from there too, and is not hidden behind another one.
 */
export const dnsTableText = (names: NetworkNames, subnet: Subnet): string => {
  const { dnsTable, bridge } = names;
  const gateway = gatewayOf(subnet);
  return `add table ip ${dnsTable}
delete table ip ${dnsTable}
table ip ${dnsTable} {
  chain guard {
    type filter hook prerouting priority -300; policy accept;
    iifname != { "${bridge}", "lo" } ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 drop
  }
  chain prerouting {
    type nat hook prerouting priority -101; policy accept;
    iifname "${bridge}" ip daddr ${gateway} meta l4proto { tcp, udp } th dport 53 dnat to ${gateway}
  }
  chain postrouting {
    type nat hook postrouting priority 99; policy accept;
    oifname "lo" ip saddr ${gateway} ip daddr ${gateway} snat to ${gateway}
  }
  chain patience {
    type filter hook output priority 0; policy accept;
    ip saddr ${gateway} oifname { "${bridge}", "lo" } ${PORT_REFUSED} drop
  }
}
`;
};

/**
 * DNS at an address of its own, where others make the network of allocations. `copies` alone come
 * through, each where the node would send its answers: what comes in elsewhere and bears a copy's
 * address was forged. Nothing but DNS answers there. The rest is as at the bridge, above.
 */
export const dnsAddressTableText = (
  { dnsTable }: NetworkNames,
  address: string,
  copies: readonly string[],
): string => {
  const elements = copies.length === 0 ? '' : `elements = { ${copies.join(', ')} }`;
  const question = `ip daddr ${address} meta l4proto { tcp, udp } th dport 53`;
  return `add table ip ${dnsTable}
delete table ip ${dnsTable}
table ip ${dnsTable} {
  set copies { type ipv4_addr; ${elements} }
  chain guard {
    type filter hook prerouting priority -300; policy accept;
    ip daddr ${address} meta l4proto { tcp, udp } jump asked
  }
  chain asked {
    iifname "lo" accept
    th dport != 53 drop
    fib saddr . iif oif missing drop
    ip saddr != @copies drop
  }
  chain prerouting { type nat hook prerouting priority -101; ${question} dnat to ${address}; }
  chain output { type nat hook output priority -101; ${question} dnat to ${address}; }
  chain hush {
    type filter hook output priority 0; policy accept;
    ip saddr ${address} ${PORT_REFUSED} drop
  }
}
`;
};

/** Adding who is there already changes nothing. */
export const addCopies = ({ dnsTable }: NetworkNames, addresses: readonly string[]): string =>
  `add element ip ${dnsTable} copies { ${addresses.join(', ')} }\n`;

/** Adds them first: deleting who is not there would fail. */
export const deleteCopies = (names: NetworkNames, addresses: readonly string[]): string =>
  addCopies(names, addresses) +
  `delete element ip ${names.dnsTable} copies { ${addresses.join(', ')} }\n`;

export const addMappings = (names: NetworkNames, mappings: readonly Mapping[]): string => {
  const elements = mappings.flatMap(({ host, address, port }) =>
    PROTOCOLS.map((protocol) => `${protocol} . ${host} : ${address} . ${port}`),
  );
  return `add element ip ${names.table} ports { ${elements.join(', ')} }\n`;
};

export const deleteMappings = (names: NetworkNames, mappings: readonly Mapping[]): string => {
  const elements = mappings.flatMap(({ host }) =>
    PROTOCOLS.map((protocol) => `${protocol} . ${host}`),
  );
  return `delete element ip ${names.table} ports { ${elements.join(', ')} }\n`;
};

/**
 * Mappings in the output of `nft -j list map ip <table> ports`; what is not ours to understand is
 * left out.
 */
export const parseMappings = (json: string): readonly Mapping[] => mappingsIn(entriesOf(json));

const mappingsIn = (entries: readonly unknown[]): readonly Mapping[] => {
  const found = new Map<number, Mapping>();
  for (const entry of entries) {
    for (const element of listOf(field(field(entry, 'map'), 'elem'))) {
      const mapping = parseElement(element);
      if (mapping !== null) found.set(mapping.host, mapping);
    }
  }
  return [...found.values()];
};

/**
 * Mappings of other runners in the same network namespace, in the output of `nft -j list maps ip`.
 * What they publish is taken, though nothing listens there.
 */
export const parseOtherMappings = (json: string, names: NetworkNames): readonly Mapping[] =>
  mappingsIn(
    entriesOf(json).filter((entry) => {
      const table = field(field(entry, 'map'), 'table');
      return typeof table === 'string' && RUNNER_TABLE.test(table) && table !== names.table;
    }),
  );

/** Handles of rules in any chain whose comment is `comment`, from `nft -j -a list chain …`. */
export const handlesWithComment = (json: string, comment: string): readonly number[] =>
  entriesOf(json).flatMap((entry) => {
    const rule = field(entry, 'rule');
    const handle = field(rule, 'handle');
    return field(rule, 'comment') === comment && typeof handle === 'number' ? [handle] : [];
  });

/** In the output of `nft -j list chains ip`. */
export const hasChain = (
  json: string,
  chain: { readonly table: string; readonly name: string },
): boolean =>
  entriesOf(json).some((entry) => {
    const shown = field(entry, 'chain');
    return field(shown, 'table') === chain.table && field(shown, 'name') === chain.name;
  });

const entriesOf = (json: string): readonly unknown[] => listOf(field(JSON.parse(json), 'nftables'));

/**
 * `[{concat: ["tcp", 20000]}, {concat: ["10.0.0.2", 80]}]`; protocol numbers instead of names on
 * some versions.
 */
const parseElement = (element: unknown): Mapping | null => {
  const [key, value] = listOf(element);
  const [, host] = listOf(field(key, 'concat'));
  const [address, port] = listOf(field(value, 'concat'));
  if (typeof host !== 'number' || typeof address !== 'string' || typeof port !== 'number')
    return null;
  return { host, address, port };
};

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
