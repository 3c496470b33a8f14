// Is this process in a network namespace that is not the machine's own?

import { readlink } from 'node:fs/promises';

export const inOwnNamespace = async (): Promise<boolean> => {
  const [own, machine] = await Promise.all([
    readlink('/proc/self/ns/net'),
    readlink('/proc/1/ns/net').catch(() => null),
  ]);
  return machine !== null && own !== machine;
};
