// The machine's own name servers, which are asked for every name that is not ours.
// In: /etc/resolv.conf, read again when it may have changed. Out: addresses. Not here: asking them
// (forward.ts), what containers are told (decide/resolv-conf.ts).

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

/** As many as the resolver of the C library asks. */
const UPSTREAMS = 3;
/** A machine that moves to another network has other name servers. */
const READ_AGAIN_MS = 2000;

/** Addresses after `nameserver`, each once, loopback ones included; at most three. */
export const nameServersIn = (text: string): readonly string[] => {
  const found = text.split('\n').flatMap((line) => {
    const [, address = ''] = /^\s*nameserver\s+(\S+)/.exec(line) ?? [];
    return isIP(address) === 0 ? [] : [address];
  });
  return [...new Set(found)].slice(0, UPSTREAMS);
};

/** @param own addresses at which this runner itself answers on port 53: asking those never ends */
export const createUpstreams = (file: string, own: () => readonly string[]) => {
  let known: readonly string[] = [];
  let readAt: number | null = null;
  return async (): Promise<readonly string[]> => {
    if (readAt === null || performance.now() - readAt > READ_AGAIN_MS) {
      readAt = performance.now();
      known = nameServersIn(await readFile(file, 'utf8').catch(() => ''));
    }
    const ours = own();
    return known.filter((address) => !ours.includes(address));
  };
};
