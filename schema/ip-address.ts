// IP addresses as people and machines write them, told apart from host names.
// In: text. Out: which kind it is. Not here: names that resolve to one.

import { HOST_NAME_PATTERN } from './patterns.ts';

const HOST_NAME = new RegExp(HOST_NAME_PATTERN);
const BYTE_MAX = 255;
/** Groups of four hexadecimal digits in an IPv6 address. */
const GROUPS = 8;

/** `name`: a host name; null: none of these. A text of digits and dots alone is never a name. */
export const addressKind = (text: string): 'ipv4' | 'ipv6' | 'name' | null => {
  if (text.includes(':')) return isIpv6(text) ? 'ipv6' : null;
  if (/^[0-9.]+$/.test(text)) return isIpv4(text) ? 'ipv4' : null;
  return HOST_NAME.test(text) ? 'name' : null;
};

/** An address that every machine has for itself: 127.0.0.0/8, ::1. */
export const isLoopbackAddress = (address: string): boolean =>
  (isIpv4(address) && address.startsWith('127.')) || address === '::1';

/** All zeros: it stands for no machine, and a connection to it comes to whoever makes it. */
export const isUnspecifiedAddress = (address: string): boolean => /^[0:.]+$/.test(address);

const isIpv4 = (text: string): boolean => {
  const parts = text.split('.');
  return (
    parts.length === 4 &&
    parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= BYTE_MAX)
  );
};

/** Groups of hexadecimal digits, at most one `::`, and the last two maybe as an IPv4 address. */
const isIpv6 = (text: string): boolean => {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const last = text.slice(text.lastIndexOf(':') + 1);
  const isMixed = last.includes('.');
  if (isMixed && !isIpv4(last)) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const plain = isMixed ? groups.slice(0, -1) : groups;
  if (!plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  const count = plain.length + (isMixed ? 2 : 0);
  return halves.length === 2 ? count < GROUPS : count === GROUPS;
};
