// Which addresses count as one. In: addresses as sockets have them. Out: what is counted. Whoever
// has one IPv6 address has 2^64 of them, so its network counts. Not here: the counting.

import net from 'node:net';

/** The host of `10.0.0.1:7420` or `::1:7420`: sockets write no brackets. */
export const hostOf = (peer: string): string => counted(peer.replace(/:\d+$/, ''));

/** `10.0.0.1`; of IPv6 the first 64 bits, `2001:db8:0:1::/64`; IPv4 written as IPv6 is IPv4. */
export const counted = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!net.isIPv6(address)) return address;
  const [start = '', end] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const [first, last] = [groupsOf(start), groupsOf(end ?? '')];
  const zeros = end === undefined ? 0 : GROUPS - first.length - last.length;
  const all = [...first, ...Array<string>(Math.max(0, zeros)).fill('0'), ...last];
  return `${all.slice(0, GROUPS / 2).join(':')}::/64`;
};

const GROUPS = 8;

/** An IPv4 address at the end stands for two groups. */
const groupsOf = (text: string): string[] =>
  text === ''
    ? []
    : text.split(':').flatMap((group) => (group.includes('.') ? [group, group] : [group]));
