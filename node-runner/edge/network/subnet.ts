// IPv4 subnets as numbers: which one a runner takes, and which address an allocation gets.
// In: text such as 10.1.4.0/22, routes in use. Out: the same as numbers and back. Not here: any
// I/O.

import { sha256 } from '../../../schema/hash.ts';

export interface Subnet {
  /** Network address as an unsigned number. */
  readonly base: number;
  readonly prefixLength: number;
}

/** A Linux bridge has at most 1,023 ports, so a larger subnet could not be used up. */
const DEFAULT_PREFIX_LENGTH = 22;
/** Four parts of eight bits. */
const ADDRESS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** null when the text is not an IPv4 address. */
export const parseAddress = (text: string): number | null => {
  const parts = ADDRESS.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
};

export const formatAddress = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

/**
 * `10.1.4.0/22`; a bare address is a /32; null for anything else. Bits behind the prefix are
 * cleared.
 */
export const parseSubnet = (text: string): Subnet | null => {
  const [addressText = '', lengthText = '32'] = text.split('/');
  const address = parseAddress(addressText);
  const prefixLength = /^\d{1,2}$/.test(lengthText) ? Number(lengthText) : 33;
  if (address === null || prefixLength > 32) return null;
  const size = 2 ** (32 - prefixLength);
  return { base: Math.floor(address / size) * size, prefixLength };
};

export const formatSubnet = (subnet: Subnet): string =>
  `${formatAddress(subnet.base)}/${subnet.prefixLength}`;

const sizeOf = (subnet: Subnet): number => 2 ** (32 - subnet.prefixLength);

export const overlaps = (a: Subnet, b: Subnet): boolean =>
  a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);

/** Is it the text of an address of the subnet? */
export const isWithin = (subnet: Subnet, text: string): boolean => {
  const address = parseAddress(text);
  return address !== null && overlaps(subnet, { base: address, prefixLength: 32 });
};

/** The bridge's own address: the first of the subnet. */
export const gatewayOf = (subnet: Subnet): string => formatAddress(subnet.base + 1);

/** Address of a host number; 0 is the network, 1 the bridge, the last one broadcast. */
export const addressOf = (subnet: Subnet, host: number): string =>
  formatAddress(subnet.base + host);

export const FIRST_HOST = 2;
/** Highest usable host number. */
export const lastHost = (subnet: Subnet): number => sizeOf(subnet) - 2;

/** Where a subnet is looked for, and how large it is to be. */
export interface SubnetRange {
  readonly within: Subnet;
  readonly prefixLength: number;
}

const ALLOCATIONS: SubnetRange = {
  within: { base: 10 * 2 ** 24, prefixLength: 8 },
  prefixLength: DEFAULT_PREFIX_LENGTH,
};

/**
 * The first subnet of the range (a /22 of 10.0.0.0/8 unless told otherwise) that meets no route in
 * use, beginning at a place that depends on the name alone, so that it is the same after a reboot.
 * null when all are taken (16,384 of /22). The default route (/0) is no collision.
 */
export const chooseSubnet = (
  name: string,
  routes: readonly Subnet[],
  { within, prefixLength }: SubnetRange = ALLOCATIONS,
): Subnet | null => {
  const count = 2 ** (prefixLength - within.prefixLength);
  const size = 2 ** (32 - prefixLength);
  const start = Number.parseInt(sha256(`purser subnet ${name}`).slice(0, 8), 16) % count;
  const taken = routes.filter((route) => route.prefixLength > 0);
  for (let step = 0; step < count; step += 1) {
    const base = within.base + ((start + step) % count) * size;
    const subnet = { base, prefixLength };
    if (!taken.some((route) => overlaps(route, subnet))) return subnet;
  }
  return null;
};

/**
 * Takes the next free host number after `last`, so that an address rests long before it is used
 * again.
 */
export const nextHost = (
  subnet: Subnet,
  used: ReadonlySet<number>,
  last: number,
): number | null => {
  const count = lastHost(subnet) - FIRST_HOST + 1;
  for (let step = 1; step <= count; step += 1) {
    const host = FIRST_HOST + ((Math.max(last, FIRST_HOST - 1) - FIRST_HOST + step) % count);
    if (!used.has(host)) return host;
  }
  return null;
};
