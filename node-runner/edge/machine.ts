// What this machine is: capacity for allocations, attributes for constraints, the address of
// published ports.
// In: /proc and the operating system. Out: Machine. Not here: labels of the node (they are in Git),
// disk (usage.ts).

import { readFile } from 'node:fs/promises';
import { arch, availableParallelism, hostname, networkInterfaces, release } from 'node:os';

import type { Resources } from '../../schema/spec.ts';
import { compareText } from '../../schema/ids.ts';

export interface Machine {
  /** For allocations: what is there minus what the node keeps. */
  readonly capacity: Resources;
  /** Sorted by name. */
  readonly attributes: readonly (readonly [string, string])[];
  /** IPv4 address of the interface with the default route; 127.0.0.1 when there is none. */
  readonly address: string;
}

export const readMachine = async (reserve: Resources): Promise<Machine> => {
  const [memoryInfo, routes] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    readFile('/proc/net/route', 'utf8').catch(() => ''),
  ]);
  const memoryBytes = parseMemTotal(memoryInfo);
  const cores = availableParallelism();
  const attributes: readonly (readonly [string, string])[] = [
    ['node.arch', OCI_ARCH[arch()] ?? arch()],
    ['node.cpu', String(cores)],
    ['node.hostname', hostname()],
    ['node.kernel', release()],
    ['node.memory', `${Math.floor(memoryBytes / MEBIBYTE)}MiB`],
    ['node.os', 'linux'],
  ];
  return {
    capacity: {
      cpuMilli: Math.max(0, cores * 1000 - reserve.cpuMilli),
      memoryBytes: Math.max(0, memoryBytes - reserve.memoryBytes),
    },
    attributes: attributes.toSorted(([a], [b]) => compareText(a, b)),
    address: primaryAddress(routes),
  };
};

const MEBIBYTE = 1024 * 1024;

/** Node's names to those of image manifests, where they differ. */
const OCI_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Bytes; 0 when the text has no such line. */
export const parseMemTotal = (text: string): number =>
  Number(/^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;

/**
 * Interface of the default route with the lowest metric in /proc/net/route, null when there is
 * none.
 */
export const parseDefaultInterface = (text: string): string | null => {
  const routes = text.split('\n').flatMap((line) => {
    const [name = '', destination, , flags = '0', , , metric = '0', mask] = line.split('\t');
    const isUp = (Number.parseInt(flags, 16) & ROUTE_UP) !== 0;
    const isDefault = destination === '00000000' && mask === '00000000';
    return isUp && isDefault ? [{ name, metric: Number(metric) }] : [];
  });
  return routes.toSorted((a, b) => a.metric - b.metric)[0]?.name ?? null;
};

const ROUTE_UP = 1;

const primaryAddress = (routes: string): string => {
  const interfaces = networkInterfaces();
  const preferred = parseDefaultInterface(routes);
  // Without a default route any address but the loopback's and our own bridges' will do.
  const others = Object.keys(interfaces).filter((name) => !name.startsWith('purser-'));
  for (const name of [preferred ?? '', ...others.toSorted(compareText)]) {
    const found = interfaces[name]?.find(({ family, internal }) => family === 'IPv4' && !internal);
    if (found !== undefined) return found.address;
  }
  return '127.0.0.1';
};
