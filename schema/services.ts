// Services: names under which copies of groups, and addresses outside, are found (rules 16).
// In: nothing. Out: types, names and limits, and the form in which catalogues travel: whole at the
// start of a session, differences afterwards. Not here: which copies are in it
// (reconciler/live/catalogue.ts), who answers by it (the node runner), transport (the edges).

import { compareText } from './ids.ts';

/** A service of a group, compiled: `port` is the name of one of the group's ports. */
export interface ServiceSpec {
  readonly name: string;
  readonly port: string;
  /** Sorted, each once. */
  readonly tags: readonly string[];
}

/** A name for addresses outside the cluster, as the namespace's file lists it. */
export interface ExternalService {
  readonly name: string;
  /** IPv4 or IPv6 addresses, each once, sorted; or one host name alone. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Sorted, each once. */
  readonly tags: readonly string[];
}

/** Where a service answers now. Everything that is listed is ready. */
export interface ServiceInstance {
  /** null: an address outside the cluster. */
  readonly allocation: string | null;
  /** The node that the copy runs on; null: outside. */
  readonly node: string | null;
  readonly job: string | null;
  readonly group: string | null;
  /**
   * Reached from every node and from containers: of a copy its node's address, of what is outside an
   * IPv4 or IPv6 address or a host name.
   */
  readonly address: string;
  /** At that address: of a copy the port that is published on its node. */
  readonly port: number;
  /** Sorted, each once. */
  readonly tags: readonly string[];
}

/** One name. It stays without instances as long as something says that it exists. */
export interface CatalogueService {
  readonly namespace: string;
  readonly name: string;
  /** Sorted by `instanceKey`. */
  readonly instances: readonly ServiceInstance[];
}

/** What runners answer by. Immutable: an equal service is the same object from one to the next. */
export interface Catalogue {
  /** Sorted by namespace, name. */
  readonly services: readonly CatalogueService[];
  /**
   * Nodes that the reconciler has not heard from since it started: what was known of them counts
   * on (`completed`). Absent: none.
   */
  readonly unheard?: readonly string[];
}

/** A copy that is not listed, and why. */
export interface WaitingInstance {
  readonly allocation: string;
  readonly node: string;
  readonly job: string;
  readonly group: string;
  readonly tags: readonly string[];
  /** A few words for people: `not ready yet: …`, `is being stopped`. */
  readonly why: string;
}

/** What people and programs are shown of a service. */
export interface ShownService extends CatalogueService {
  /** Sorted by allocation. */
  readonly waiting: readonly WaitingInstance[];
}

/** `GET /v1/services` and the method `services`. */
export interface ServicesAnswer {
  readonly cluster: string;
  /** Sorted by namespace, name. */
  readonly services: readonly ShownService[];
  /** Ready instances beyond CATALOGUE_INSTANCES, which are not listed. */
  readonly leftOut: number;
}

/** The domain of all services: `web.shop.svc.purser`. */
export const SERVICE_DOMAIN = 'svc.purser';

/** Services of one group: a group has about as many ports as a person can name. */
export const GROUP_SERVICES = 32;
export const SERVICE_TAGS = 32;
/** Addresses of one external service. */
export const EXTERNAL_ADDRESSES = 64;
/** External services of one namespace. */
export const NAMESPACE_SERVICES = 256;
/** Instances of the whole cluster: about 20 MiB of text, which each runner holds. */
export const CATALOGUE_INSTANCES = 100_000;
/** What the text of one frame may have, at both ends: each instance with all its tags. */
export const CATALOGUE_BYTES = 128 * 1024 * 1024;

/** `<namespace>/<name>`. */
export const serviceId = ({
  namespace,
  name,
}: Pick<CatalogueService, 'namespace' | 'name'>): string => `${namespace}/${name}`;

/** Which instance of its service it is; another address or port of the same copy replaces it. */
export const instanceKey = ({ allocation, address, port }: ServiceInstance): string =>
  allocation ?? `${address} ${port}`;

export const EMPTY_CATALOGUE: Catalogue = { services: [] };

/** What brings a receiver from one catalogue to the next. */
export interface CatalogueFrame {
  /** True: forget what you have. The first frame of a session is whole. */
  readonly whole: boolean;
  /** Services that changed: instances that came or changed, and keys of those that went. */
  readonly changed: readonly ServiceChange[];
  /** Ids of services that are no more. */
  readonly gone: readonly string[];
  /** As in Catalogue. */
  readonly unheard?: readonly string[];
}

export interface ServiceChange extends CatalogueService {
  readonly dropped: readonly string[];
}

/** @param before what the receiver has; null at the start of a session */
export const encodeCatalogue = (before: Catalogue | null, now: Catalogue): CatalogueFrame => {
  const old = new Map((before?.services ?? []).map((one) => [serviceId(one), one]));
  const left = new Set(now.services.map(serviceId));
  return {
    whole: before === null,
    changed: now.services.flatMap((service) => {
      const known = old.get(serviceId(service));
      return known === service ? [] : (changeOf(known, service) ?? []);
    }),
    gone: [...old.keys()].filter((id) => !left.has(id)),
    ...(now.unheard === undefined ? {} : { unheard: now.unheard }),
  };
};

const changeOf = (
  before: CatalogueService | undefined,
  { namespace, name, instances }: CatalogueService,
): ServiceChange | null => {
  const old = new Map((before?.instances ?? []).map((one) => [instanceKey(one), one]));
  const left = new Set(instances.map(instanceKey));
  const came = instances.filter((one) => {
    const known = old.get(instanceKey(one));
    return known === undefined || !sameInstance(known, one);
  });
  const dropped = [...old.keys()].filter((key) => !left.has(key));
  if (before !== undefined && came.length === 0 && dropped.length === 0) return null;
  return { namespace, name, instances: came, dropped };
};

/** The catalogue that the sender meant; null where the frame goes on from one that was never had. */
export const applyCatalogue = (
  before: Catalogue | null,
  frame: CatalogueFrame,
): Catalogue | null => {
  if (before === null && !frame.whole) return null;
  const old = frame.whole ? [] : (before?.services ?? []);
  const services = new Map(old.map((one) => [serviceId(one), one]));
  for (const id of frame.gone) services.delete(id);
  for (const { namespace, name, instances, dropped } of frame.changed) {
    const id = serviceId({ namespace, name });
    const known = new Map(
      (services.get(id)?.instances ?? []).map((one) => [instanceKey(one), one]),
    );
    for (const key of dropped) known.delete(key);
    for (const one of instances) known.set(instanceKey(one), one);
    services.set(id, { namespace, name, instances: byInstance([...known.values()]) });
  }
  const sorted = [...services.values()].toSorted(byServiceName);
  return { services: sorted, ...(frame.unheard === undefined ? {} : { unheard: frame.unheard }) };
};

/**
 * The catalogue with the instances that were known before on nodes that were not heard from yet: a
 * reconciler that has just started does not know them, and nobody should lose them for it.
 */
export const completed = (before: Catalogue, { services, unheard = [] }: Catalogue): Catalogue => {
  if (unheard.length === 0) return { services };
  const silent = new Set(unheard);
  const kept = before.services.flatMap((service) => {
    const instances = service.instances.filter(({ node }) => node !== null && silent.has(node));
    return instances.length === 0 ? [] : [{ ...service, instances }];
  });
  const known = new Map(services.map((service) => [serviceId(service), service]));
  for (const { namespace, name, instances } of kept) {
    const now = known.get(serviceId({ namespace, name }))?.instances ?? [];
    const keys = new Set(now.map(instanceKey));
    const all = [...now, ...instances.filter((one) => !keys.has(instanceKey(one)))];
    known.set(serviceId({ namespace, name }), { namespace, name, instances: byInstance(all) });
  }
  return { services: [...known.values()].toSorted(byServiceName) };
};

/** Sorted by `instanceKey`. */
export const byInstance = (instances: readonly ServiceInstance[]): readonly ServiceInstance[] =>
  instances.toSorted((a, b) => compareText(instanceKey(a), instanceKey(b)));

export const byServiceName = (
  a: Pick<CatalogueService, 'namespace' | 'name'>,
  b: Pick<CatalogueService, 'namespace' | 'name'>,
): number => compareText(a.namespace, b.namespace) || compareText(a.name, b.name);

export const sameInstance = (a: ServiceInstance, b: ServiceInstance): boolean =>
  a === b ||
  (a.allocation === b.allocation &&
    a.node === b.node &&
    a.job === b.job &&
    a.group === b.group &&
    a.address === b.address &&
    a.port === b.port &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, at) => tag === b.tags[at]));
