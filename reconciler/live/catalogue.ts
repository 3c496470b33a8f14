// Which copies are found under which names (rules 16): a catalogue of services out of what is
// wanted and what lives.
// In: the desired state, live state under the orders that are being sent, the memo. Out: the
// catalogue, the same object as long as nothing in it changed. A pass costs a look at each node and
// what changed since. Not here: what one copy says (instances.ts), sending it (edge/nodes), who
// answers by it (node runner).

import { unaged } from '../../schema/ageing.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveNode, LiveState } from '../../schema/live.ts';
import { differingIn } from '../../schema/replaced.ts';
import { silenceOf } from '../../schema/silence.ts';
import {
  byInstance,
  byServiceName,
  CATALOGUE_INSTANCES,
  type CatalogueService,
  instanceKey,
  sameInstance,
  serviceId,
  type ServiceInstance,
  type ShownService,
} from '../../schema/services.ts';
import type { CatalogueMemo, Services } from './catalogue-memo.ts';
import { type Entry, entriesOf } from './instances.ts';

export type Wanted = Pick<DesiredState, 'cluster' | 'namespaces' | 'nodes' | 'jobs'>;

export const servicesOf = (desired: Wanted, live: LiveState, memo: CatalogueMemo): Services => {
  const touched = new Set([...declare(desired, memo), ...reachOut(desired, memo)]);
  const isAlone = desired.nodes.length <= 1;
  const heard = new Set<string>();
  for (const node of live.nodes) {
    heard.add(node.name);
    note(memo, touched, {
      node: node.name,
      entries: entriesOn(node, { desired, live, isAlone }, memo),
    });
  }
  for (const node of memo.nodes.keys()) {
    if (heard.has(node)) continue;
    note(memo, touched, { node, entries: NO_ENTRIES });
    memo.nodes.delete(node);
  }
  const changed = [...touched].filter((id) => rebuild(id, memo)).length > 0;
  // Beyond lost_after nobody waits for what was known of them.
  const isYoung = live.upForMs < desired.cluster.lostAfterMs;
  const unheard = desired.nodes.flatMap(({ name }) => (heard.has(name) || !isYoung ? [] : [name]));
  const { last } = memo;
  if (last !== null && !changed && sameNames(last.catalogue.unheard ?? [], unheard)) return last;
  const services = last !== null && !changed ? last.catalogue.services : sortedServices(memo);
  const { listed, leftOut } = within(services, CATALOGUE_INSTANCES);
  const silent = unheard.length === 0 ? {} : { unheard };
  memo.last = { catalogue: { services: listed, ...silent }, leftOut };
  return memo.last;
};

/** With the copies that are not listed, and why: as of the newest `servicesOf`. */
export const shownServices = ({ byService, last }: CatalogueMemo): readonly ShownService[] =>
  (last?.catalogue.services ?? []).map((service) => {
    const keys = new Set(service.instances.map(instanceKey));
    const entries = [...(byService.get(serviceId(service))?.values() ?? [])].flat();
    const waiting = entries.flatMap(({ waiting: one, instance }) =>
      instance !== null && keys.has(instanceKey(instance)) ? [] : [whyNot(one)],
    );
    const sorted = waiting.toSorted((a, b) => compareText(a.allocation, b.allocation));
    return { ...service, waiting: sorted };
  });

const whyNot = (one: Entry['waiting']): Entry['waiting'] =>
  one.why === '' ? { ...one, why: `beyond the first ${CATALOGUE_INSTANCES} of the cluster` } : one;

const NO_ENTRIES: readonly Entry[] = [];

interface Around {
  readonly desired: Wanted;
  readonly live: LiveState;
  /** No other node reaches what is here, since there is none. */
  readonly isAlone: boolean;
}

const entriesOn = (
  node: LiveNode,
  { desired, live, isAlone }: Around,
  memo: CatalogueMemo,
): readonly Entry[] => {
  const allocations = unaged(node);
  const isLost = silenceOf(node, live) >= desired.cluster.lostAfterMs;
  const known = memo.nodes.get(node.name);
  const isSame =
    known !== undefined &&
    known.allocations === allocations &&
    known.sent === node.sent &&
    known.jobs === memo.jobs &&
    known.isLost === isLost &&
    known.isAlone === isAlone;
  if (isSame) return known.entries;
  const entries = entriesOf(node, { jobs: memo.jobs, isLost, isAlone });
  const isAsBefore =
    known !== undefined &&
    known.entries.length === entries.length &&
    entries.every((entry, at) => sameEntry(entry, known.entries[at]));
  const kept = isAsBefore ? known.entries : entries;
  memo.nodes.set(node.name, {
    allocations,
    sent: node.sent,
    jobs: memo.jobs,
    isLost,
    isAlone,
    entries: kept,
  });
  return kept;
};

const sameEntry = (a: Entry, b: Entry | undefined): boolean =>
  b !== undefined &&
  a.id === b.id &&
  a.standing === b.standing &&
  a.waiting.allocation === b.waiting.allocation &&
  a.waiting.why === b.waiting.why &&
  (a.instance === null
    ? b.instance === null
    : b.instance !== null && sameInstance(a.instance, b.instance));

/** Puts a node's entries in the place of those before; services that this changes are touched. */
const note = (
  { byService, noted }: CatalogueMemo,
  touched: Set<string>,
  { node, entries }: { readonly node: string; readonly entries: readonly Entry[] },
): void => {
  const before = noted.get(node) ?? NO_ENTRIES;
  if (before === entries) return;
  for (const { id } of before) {
    touched.add(id);
    byService.get(id)?.delete(node);
  }
  for (const entry of entries) {
    touched.add(entry.id);
    const nodes = byService.get(entry.id) ?? new Map<string, readonly Entry[]>();
    byService.set(entry.id, nodes.set(node, [...(nodes.get(node) ?? []), entry]));
  }
  if (entries.length === 0) noted.delete(node);
  else noted.set(node, entries);
};

/** Services of jobs in Git. Only jobs that came, went or changed are looked at. */
const declare = ({ jobs }: Wanted, memo: CatalogueMemo): ReadonlySet<string> => {
  const touched = new Set<string>();
  const { old, news } = differingIn(memo.declaring, jobs);
  memo.declaring = jobs;
  const count = (job: DesiredJob, by: 1 | -1): void => {
    const { namespace } = job.spec;
    for (const { name } of job.spec.groups.flatMap(({ services = [] }) => services)) {
      const id = serviceId({ namespace, name });
      const groups = (memo.declared.get(id)?.groups ?? 0) + by;
      if (groups === 0) memo.declared.delete(id);
      else memo.declared.set(id, { namespace, name, groups });
      touched.add(id);
    }
  };
  for (const job of news) count(job, 1);
  for (const job of old) count(job, -1);
  const isSame = sameNames(
    old.map(({ id }) => id),
    news.map(({ id }) => id),
  );
  if (!isSame) memo.jobs = new Set(jobs.map(({ id }) => id));
  return touched;
};

/** Services outside the cluster. */
const reachOut = ({ namespaces }: Wanted, memo: CatalogueMemo): Iterable<string> => {
  if (memo.namespaces === namespaces) return [];
  memo.namespaces = namespaces;
  const before = memo.external;
  memo.external = new Map(
    namespaces.flatMap(({ name: namespace, external = [] }) =>
      external.map(({ name, addresses, port, tags }) => {
        const instances = addresses.map((address): ServiceInstance => {
          return { allocation: null, node: null, job: null, group: null, address, port, tags };
        });
        return [serviceId({ namespace, name }), { namespace, name, instances }];
      }),
    ),
  );
  return [...before.keys(), ...memo.external.keys()];
};

const isSameAs = (a: ServiceInstance, b: ServiceInstance | undefined): boolean =>
  b !== undefined && sameInstance(a, b);

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, at) => name === b[at]);

/** Works one service out anew; whether it is another one than before. */
const rebuild = (id: string, memo: CatalogueMemo): boolean => {
  const { built, byService, declared, external } = memo;
  const entries = [...(byService.get(id)?.values() ?? [])].flat();
  const outside = external.get(id)?.instances ?? [];
  const first = entries[0] ?? declared.get(id) ?? external.get(id);
  const before = built.get(id);
  if (first === undefined) {
    byService.delete(id);
    return built.delete(id);
  }
  const instances = byInstance([...listedOf(entries, outside), ...outside]);
  const isSame =
    before?.instances.length === instances.length &&
    before.instances.every((one, at) => isSameAs(one, instances[at]));
  if (isSame) return false;
  built.set(id, { namespace: first.namespace, name: first.name, instances });
  return true;
};

/**
 * Those that are ready. Where there is none, those that may serve still: better an address that
 * may answer than none that does.
 */
const listedOf = (
  entries: readonly Entry[],
  outside: readonly ServiceInstance[],
): readonly ServiceInstance[] => {
  const of = (standing: Entry['standing']): readonly ServiceInstance[] =>
    entries.flatMap((entry) =>
      entry.standing === standing && entry.instance !== null ? [entry.instance] : [],
    );
  const ready = of('ready');
  return ready.length > 0 || outside.length > 0 ? ready : of('last');
};

const sortedServices = ({ built }: CatalogueMemo): readonly CatalogueService[] =>
  [...built.values()].toSorted(byServiceName);

/** In the order of names, so that what is left out stays the same from one pass to the next. */
const within = (
  services: readonly CatalogueService[],
  most: number,
): { readonly listed: readonly CatalogueService[]; readonly leftOut: number } => {
  const all = services.reduce((sum, { instances }) => sum + instances.length, 0);
  if (all <= most) return { listed: services, leftOut: 0 };
  let room = most;
  const listed = services.map((service) => {
    const instances = service.instances.slice(0, room);
    room -= instances.length;
    return instances.length === service.instances.length ? service : { ...service, instances };
  });
  return { listed, leftOut: all - most };
};
