// This node's ready copies as services of a local Consul agent, and what has to change there.
// In: the services with their ready copies, what the agent said that it holds. Out: registrations; ids
// to take out and registrations to make. Pure. Not here: the agent (edge/consul.ts), when
// (discovery.ts).

import { compareText } from '../../schema/ids.ts';
import type { Catalogue, ServiceInstance } from '../../schema/services.ts';

/** As the agent takes it. */
export interface Registration {
  readonly ID: string;
  readonly Name: string;
  readonly Tags: readonly string[];
  readonly Address: string;
  readonly Port: number;
  readonly Meta: Readonly<Record<string, string>>;
}

export interface ConsulOwner {
  readonly cluster: string;
  readonly node: string;
}

export interface ConsulChanges {
  /** Ids, to be taken out first. */
  readonly gone: readonly string[];
  readonly made: readonly Registration[];
}

/**
 * Those of this node alone: each node tells its own agent. `shop-web`, since Consul's DNS knows no
 * underscore and takes what stands before a dot for a tag; the two names stand in `Meta`.
 */
export const registrationsOf = (
  { services }: Catalogue,
  owner: ConsulOwner,
): readonly Registration[] =>
  services.flatMap(({ namespace, name, instances }) =>
    instances.flatMap((instance) =>
      instance.node === owner.node && instance.allocation !== null
        ? [registration({ namespace, name, allocation: instance.allocation }, instance, owner)]
        : [],
    ),
  );

const registration = (
  named: { readonly namespace: string; readonly name: string; readonly allocation: string },
  { job, group, address, port, tags }: ServiceInstance,
  owner: ConsulOwner,
): Registration => ({
  // A copy has each name once, and no other copy has its id, in no cluster.
  ID: `purser-${named.allocation}-${named.name}`,
  Name: `${named.namespace}-${named.name}`,
  Tags: tags,
  Address: address,
  Port: port,
  Meta: {
    ...ownMeta(owner),
    purser_namespace: named.namespace,
    purser_service: named.name,
    purser_job: job ?? '',
    purser_group: group ?? '',
    purser_allocation: named.allocation,
  },
});

const ownMeta = ({ cluster, node }: ConsulOwner) => ({
  purser_cluster: cluster,
  purser_node: node,
});

/** What the agent is asked for: all that an earlier life of this runner left too. */
export const ownFilter = (owner: ConsulOwner): string =>
  Object.entries(ownMeta(owner))
    .map(([key, value]) => `Meta.${key} == ${JSON.stringify(value)}`)
    .join(' and ');

/** Those of this runner in an answer of the agent, whatever else it holds; null: no such answer. */
export const ownServices = (answer: unknown, owner: ConsulOwner): readonly Registration[] | null =>
  isRecord(answer)
    ? Object.values(answer).flatMap((value) => {
        const found = readService(value);
        const isOwn = Object.entries(ownMeta(owner)).every(([key, of]) => found?.Meta[key] === of);
        return found !== null && isOwn ? [found] : [];
      })
    : null;

const readService = (value: unknown): Registration | null => {
  if (!isRecord(value) || typeof value['ID'] !== 'string') return null;
  const { ID, Service, Tags, Address, Port, Meta } = value;
  return {
    ID,
    Name: String(Service),
    Tags: Array.isArray(Tags) ? Tags.map(String) : [],
    Address: String(Address),
    Port: Number(Port),
    Meta: isRecord(Meta)
      ? Object.fromEntries(Object.entries(Meta).map(([key, of]) => [key, String(of)]))
      : {},
  };
};

export const consulChanges = (
  wanted: readonly Registration[],
  found: readonly Registration[],
): ConsulChanges => {
  const ids = new Set(wanted.map(({ ID }) => ID));
  const held = new Map(found.map((one) => [one.ID, textOf(one)]));
  return {
    gone: found.flatMap(({ ID }) => (ids.has(ID) ? [] : [ID])),
    made: wanted.filter((one) => held.get(one.ID) !== textOf(one)),
  };
};

/** The agent gives maps back in an order of its own. */
const textOf = ({ ID, Name, Tags, Address, Port, Meta }: Registration): string =>
  JSON.stringify([
    [ID, Name, Tags, Address, Port],
    Object.entries(Meta).toSorted(([a], [b]) => compareText(a, b)),
  ]);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
