// Is this process in a network namespace that is not the machine's own?

import { readdir, readlink, stat } from 'node:fs/promises';

/** Where iproute2 names network namespaces. */
const NAMED = '/run/netns';

/**
 * Compares with the first process of the machine; where that may not be looked at, a namespace that
 * has a name is one of somebody's making.
 */
export const inOwnNamespace = async (): Promise<boolean> => {
  const [own, machine] = await Promise.all([
    readlink('/proc/self/ns/net'),
    readlink('/proc/1/ns/net').catch(() => null),
  ]);
  return machine === null ? hasName() : own !== machine;
};

const hasName = async (): Promise<boolean> => {
  const own = await stat('/proc/self/ns/net');
  const names = await readdir(NAMED).catch(() => []);
  const named = await Promise.all(names.map((name) => stat(`${NAMED}/${name}`).catch(() => null)));
  return named.some((found) => found?.ino === own.ino && found.dev === own.dev);
};
