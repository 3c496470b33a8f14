// Name servers for containers that have a network of their own: the machine's, without those that
// only it can reach.

import { readFile } from 'node:fs/promises';

/**
 * `nameserver` lines with loopback addresses answer on the machine only; what remains is copied as
 * it is.
 */
export const usableResolvConf = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !/^\s*nameserver\s+(127\.|::1)/.test(line))
    .join('\n');

export const readResolvConf = async (): Promise<string> =>
  usableResolvConf(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''));
