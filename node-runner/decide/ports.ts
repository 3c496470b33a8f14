// Which host ports an allocation gets.
// In: the ports that the group asks for and those that are taken. Out: a choice, or the port that
// is in the way. Deterministic: the search begins at a place that follows from the allocation's id,
// so that copies rarely collide and a copy that is made anew tends to get its old port. Not here:
// mapping them (edge/network).

import { sha256 } from '../../schema/hash.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import type { PortChoice } from './inventory.ts';

/** Dynamic host ports, both ends included (Nomad's range). */
export const DYNAMIC_FIRST = 20_000;
export const DYNAMIC_LAST = 32_000;

export type PortsAnswer =
  | { readonly kind: 'chosen'; readonly ports: readonly PortChoice[] }
  | { readonly kind: 'taken'; readonly message: string };

export interface TakenPorts {
  readonly ports: ReadonlySet<number>;
  /** Who holds them, in words, where it is known. */
  readonly holders: ReadonlyMap<number, string>;
}

/**
 * In host mode nothing maps ports: the process itself must listen on the host port, so inside and
 * outside are one.
 */
export const choosePorts = (
  allocation: string,
  group: GroupSpec,
  { ports: taken, holders }: TakenPorts,
): PortsAnswer => {
  const own = new Set<number>();
  const chosen: PortChoice[] = [];
  for (const { name, host } of group.ports) {
    if (host !== null && (taken.has(host) || own.has(host))) {
      const holder = holders.get(host);
      const by = holder === undefined ? '' : ` by ${holder}`;
      const message = `host port ${host} (${name}) is in use on this node${by}`;
      return { kind: 'taken', message };
    }
    if (host !== null) own.add(host);
  }
  for (const { name, port, host } of group.ports) {
    const outside = host ?? freePort(`${allocation} ${name}`, taken, own);
    if (outside === null) {
      const message = `no host port between ${DYNAMIC_FIRST} and ${DYNAMIC_LAST} is free`;
      return { kind: 'taken', message };
    }
    own.add(outside);
    chosen.push({ name, port: group.networkMode === 'host' ? outside : port, host: outside });
  }
  return { kind: 'chosen', ports: chosen };
};

const freePort = (
  seed: string,
  taken: ReadonlySet<number>,
  own: ReadonlySet<number>,
): number | null => {
  const size = DYNAMIC_LAST - DYNAMIC_FIRST + 1;
  const start = Number.parseInt(sha256(seed).slice(0, 8), 16) % size;
  for (let step = 0; step < size; step += 1) {
    const port = DYNAMIC_FIRST + ((start + step) % size);
    if (!taken.has(port) && !own.has(port)) return port;
  }
  return null;
};
