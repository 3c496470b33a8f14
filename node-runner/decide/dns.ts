// What a name below svc.purser means to a DNS client: the ready copies of a service.
// In: a question, the catalogue, which of this node's own copies are out, a draw. Out: records, or
// that others must be asked. Pure. Not here: bytes and sizes (edge/dns/packet.ts), sockets
// (edge/dns), which copies are ready (the reconciler), which of our own are out (own-copies.ts).

import type { Catalogue, CatalogueService, ServiceInstance } from '../../schema/services.ts';
import { SERVICE_DOMAIN, serviceId } from '../../schema/services.ts';
import type { DnsAnswer, DnsQuestion, DnsRecord } from '../ports.ts';
import type { DepartedCopy } from './departed.ts';

/**
 * Records of one answer. A client uses a handful; a random part of a large service spreads the
 * load as well as all of it. So many SRV records with the longest names fit into the 65,535 bytes
 * of TCP.
 */
export const ANSWER_RECORDS = 300;

export interface Zone {
  readonly catalogue: Catalogue;
  readonly node: string;
  /** Of copies on this node: the catalogue still lists it, and it is not ready any more. */
  readonly isOut: (allocation: string) => boolean;
  /** Found by their own names still. */
  readonly departed: readonly DepartedCopy[];
  /** A whole number from 0 to below that many, each as likely. */
  readonly draw: (below: number) => number;
}

/** Nobody else is asked for such a name. */
export const isOurs = (name: string): boolean =>
  name === SERVICE_DOMAIN || name.endsWith(`.${SERVICE_DOMAIN}`);

/** Never throws, whatever the name. */
export const answerOf = (question: DnsQuestion, zone: Zone): DnsAnswer => {
  const { name } = question;
  if (!isOurs(name)) return { kind: 'forward' };
  const labels = name.split('.').slice(0, -SERVICE_DOMAIN.split('.').length);
  const found = find(labels, zone);
  if (found === null) return empty(question, false);
  if (found.service === null) return empty(question, true);
  return answered(question, { service: found.service, ...present(found, zone) }, zone.draw);
};

interface Found {
  /** null: something lies below this name, and nothing at it. */
  readonly service: CatalogueService | null;
  readonly only: (instance: ServiceInstance) => boolean;
  /** Asked for by its own name: where it is, ready or not. */
  readonly isCopy?: true;
}

const ALL = (): boolean => true;
const ABOVE: Found = { service: null, only: ALL };

/**
 * `web.shop`; `<copy>.web.shop` and `<tag>.web.shop` for some of it; and for SRV the forms of RFC
 * 2782, `_web._tcp.shop`, and of Kubernetes, `_web._tcp.web.shop`, with a tag in the first place too.
 */
const find = (labels: readonly string[], { catalogue, departed }: Zone): Found | null => {
  const index = indexOf(catalogue);
  const [namespace = '', name = '', third, fourth] = labels.toReversed();
  if (labels.length <= 1) return namespace === '' || index.has(namespace) ? ABOVE : null;
  if (PROTOCOLS.has(name)) {
    const service = third?.startsWith('_') === true ? third.slice(1) : null;
    if (labels.length === 2) return index.has(namespace) ? ABOVE : null;
    return labels.length === 3 ? serviceAt(index, namespace, service) : null;
  }
  const service = index.get(namespace)?.get(name);
  if (service === undefined) return null;
  if (labels.length === 2) return { service, only: ALL };
  if (third !== undefined && PROTOCOLS.has(third)) {
    if (labels.length === 3) return ABOVE;
    const part = fourth?.startsWith('_') === true ? fourth.slice(1) : '';
    return labels.length === 4
      ? part === name
        ? { service, only: ALL }
        : tagged(service, part)
      : null;
  }
  return labels.length === 3 ? partOf(service, third ?? '', departed) : null;
};

const PROTOCOLS = new Set(['_tcp', '_udp']);

const serviceAt = (index: Index, namespace: string, name: string | null): Found | null => {
  const service = name === null ? undefined : index.get(namespace)?.get(name);
  return service === undefined ? null : { service, only: ALL };
};

const partOf = (
  service: CatalogueService,
  label: string,
  departed: readonly DepartedCopy[],
): Found | null => {
  const isOne = (instance: ServiceInstance) => labelOf(instance) === label;
  if (service.instances.some(isOne)) return { service, only: isOne, isCopy: true };
  const id = serviceId(service);
  const left = departed.findLast((one) => one.service === id && isOne(one.instance));
  if (left === undefined) return tagged(service, label);
  return { service: { ...service, instances: [left.instance] }, only: isOne, isCopy: true };
};

const tagged = (service: CatalogueService, tag: string): Found | null => {
  const has = ({ tags }: ServiceInstance): boolean => tags.some((one) => one.toLowerCase() === tag);
  return service.instances.some(has) ? { service, only: has } : null;
};

/** Shuffled, at most ANSWER_RECORDS. */
const present = ({ service, only, isCopy }: Found, { node, isOut, draw }: Zone) => {
  const isGone = (one: ServiceInstance): boolean =>
    isCopy !== true && one.allocation !== null && one.node === node && isOut(one.allocation);
  const ready = (service?.instances ?? []).filter((one) => only(one) && !isGone(one));
  return { ready: someOf(ready, draw) };
};

/** The first places of a Fisher–Yates shuffle. */
const someOf = <Value>(
  values: readonly Value[],
  draw: (below: number) => number,
): readonly Value[] => {
  const mixed = [...values];
  const places = Math.min(mixed.length, ANSWER_RECORDS);
  for (let place = 0; place < places; place += 1) {
    const other = place + draw(mixed.length - place);
    const [a, b] = [mixed[place], mixed[other]];
    if (a === undefined || b === undefined) continue;
    mixed[place] = b;
    mixed[other] = a;
  }
  return mixed.slice(0, places);
};

const answered = (
  question: DnsQuestion,
  {
    service,
    ready,
  }: { readonly service: CatalogueService; readonly ready: readonly ServiceInstance[] },
  draw: (below: number) => number,
): DnsAnswer => {
  const { type } = question;
  if (type === 'SRV') return serverRecords(question, service, ready);
  const addresses = [...new Set(ready.map(({ address }) => address))];
  const names = addresses.filter((address) => familyOf(address) === null);
  if (names.length > 0 && names.length === addresses.length && type !== 'SOA') {
    return { kind: 'alias', target: names[draw(names.length)] ?? '' };
  }
  const answers = addresses.flatMap((address) => {
    const record = addressRecord(question.name, address);
    return record !== null && (record.type === type || type === 'ANY') ? [record] : [];
  });
  return answers.length === 0 ? empty(question, true) : records(answers, []);
};

const serverRecords = (
  question: DnsQuestion,
  { namespace, name }: CatalogueService,
  ready: readonly ServiceInstance[],
): DnsAnswer => {
  const answers: DnsRecord[] = [];
  const additionals: DnsRecord[] = [];
  for (const instance of ready) {
    const { address, port } = instance;
    const isName = familyOf(address) === null;
    const own = `${labelOf(instance)}.${name}.${namespace}.${SERVICE_DOMAIN}`;
    const target = isName ? address : own;
    answers.push({ type: 'SRV', name: question.name, target, port });
    const record = addressRecord(target, address);
    if (record !== null) additionals.push(record);
  }
  return answers.length === 0 ? empty(question, true) : records(answers, additionals);
};

/** One instance of its service, in a name: the copy's id, or the address with hyphens. */
export const labelOf = ({ allocation, address }: ServiceInstance): string =>
  allocation?.toLowerCase() ?? `ip-${address.toLowerCase().replaceAll(/[^0-9a-z]/g, '-')}`;

/** null: a host name. */
export const familyOf = (address: string): 'A' | 'AAAA' | null => {
  if (address.includes(':')) return 'AAAA';
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(address) ? 'A' : null;
};

const addressRecord = (
  name: string,
  address: string,
): Extract<DnsRecord, { readonly address: string }> | null => {
  const type = familyOf(address);
  return type === null ? null : { type, name, address };
};

const records = (answers: readonly DnsRecord[], additionals: readonly DnsRecord[]): DnsAnswer => ({
  kind: 'records',
  exists: true,
  answers,
  authorities: [],
  additionals,
});

/** Nothing of this kind, or nothing at all: with the record that says how long that may be kept. */
const empty = ({ name, type }: DnsQuestion, exists: boolean): DnsAnswer => {
  const soa: DnsRecord = { type: 'SOA', name: SERVICE_DOMAIN };
  const isAsked = type === 'SOA' && name === SERVICE_DOMAIN;
  return {
    kind: 'records',
    exists,
    answers: isAsked ? [soa] : [],
    authorities: isAsked ? [] : [soa],
    additionals: [],
  };
};

/** Namespace → name → service. */
type Index = ReadonlyMap<string, ReadonlyMap<string, CatalogueService>>;

/** Catalogues are immutable, and asked of thousands of times. */
const indexes = new WeakMap<Catalogue, Index>();

const indexOf = (catalogue: Catalogue): Index => {
  const known = indexes.get(catalogue);
  if (known !== undefined) return known;
  const index = new Map<string, Map<string, CatalogueService>>();
  for (const service of catalogue.services) {
    const names = index.get(service.namespace) ?? new Map<string, CatalogueService>();
    index.set(service.namespace, names.set(service.name, service));
  }
  indexes.set(catalogue, index);
  return index;
};
