// Which host ports are in use, from the kernel's socket tables.
// In: text of /proc/net/{tcp,tcp6,udp,udp6}. Out: port numbers. Not here: reading the files, whose
// sockets they are, but for the DNS of node runners.

import { RUNNER_DNS } from './names.ts';

/** TCP_LISTEN in the kernel's numbering; an unconnected UDP socket shows as TCP_CLOSE. */
const LISTEN = '0A';
const UNCONNECTED = '07';

/** Files of /proc/net that are read, in this order. */
export const SOCKET_TABLES = ['tcp', 'tcp6', 'udp', 'udp6'] as const;

/**
 * Ports that accept traffic, ascending, each once; any mix of the four tables, concatenated.
 *
 * @param runners addresses at which node runners answer DNS: only allocations ask there, and a job
 * may publish port 53 all the same
 */
export const parseListening = (text: string, runners: readonly string[]): readonly number[] => {
  const own = new Set(runners.map(asShown));
  const ports = new Set<number>();
  for (const line of text.split('\n')) {
    // sl local_address rem_address st …; the header and blank lines have no hexadecimal port.
    const [, local = '', , state = ''] = line.trim().split(/\s+/);
    const port = /^[0-9A-F]+:([0-9A-F]{4})$/.exec(local)?.[1];
    if (own.has(local)) continue;
    if (port !== undefined && (state === LISTEN || state === UNCONNECTED))
      ports.add(Number.parseInt(port, 16));
  }
  return [...ports].toSorted((a, b) => a - b);
};

/**
 * Where all runners of a network namespace answer, in the output of `ip -j addr`. Also at a bridge
 * that no allocation is on: the kernel calls it down then, and `os.networkInterfaces` omits it.
 */
export const dnsAddressesIn = (links: readonly AddressesShown[]): readonly string[] =>
  links.flatMap(({ ifname = '', addr_info: list = [] }) =>
    list
      .filter(({ label = '' }) => RUNNER_DNS.test(ifname) || RUNNER_DNS.test(label))
      .map(({ local }) => local),
  );

interface AddressesShown {
  readonly ifname?: string;
  readonly addr_info?: readonly { readonly local: string; readonly label?: string }[];
}

/** Port 53 of an IPv4 address, as the tables show it: the bytes of the address backwards. */
const asShown = (address: string): string => {
  const bytes = address.split('.').toReversed();
  const hexadecimal = bytes.map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return `${hexadecimal.join('').toUpperCase()}:0035`;
};
