// Everything heard from the nodes, made into one LiveState.
// In: the last report of each node, the orders sent and not yet answered, the time. Out: facts,
// ages brought up to now.
// Not here: what a fact means (reconciler/plan), which node is lost (plan/nodes: it needs a policy
// from Git).

import { ageingNode, type Fact, type Facts } from '../../schema/ageing.ts';
import { byName, compareText } from '../../schema/ids.ts';
import type { Heard, HeardNode, LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type {
  AllocationBody,
  AllocationReport,
  NodeOrders,
  OrderItem,
} from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import { createObserveMemo, type KnownFact, type KnownNode, type ObserveMemo } from './memo.ts';

/**
 * The world as last heard, at `now` (milliseconds of the reconciler's monotonic clock). Sorted by
 * node, allocation. Orders sent and not yet answered are facts too (rules 10.1). Ages are brought
 * up to `now` where somebody looks, so a pass costs what was heard since the last one.
 */
export const observe = (
  heard: Heard,
  now: Ms,
  memo: ObserveMemo = createObserveMemo(),
): LiveState => {
  const nodes = new Map<string, KnownNode>();
  for (const node of heard.nodes) {
    nodes.set(node.node, look(node, memo.nodes.get(node.node) ?? null));
  }
  memo.nodes = nodes;
  const seen: LiveNode[] = [];
  for (const node of nodes.values()) seen.push(observeNode(node.heard, node.facts, now));
  return {
    upForMs: Math.max(0, now - heard.startedAt),
    nodes: byName(seen),
  };
};

/** Facts are made of what is compared here, and of nothing else. */
const look = (heard: HeardNode, before: KnownNode | null): KnownNode => {
  const isSame =
    before !== null &&
    (before.heard === heard ||
      (before.heard.report === heard.report &&
        before.heard.unchanged === heard.unchanged &&
        before.heard.sent === heard.sent &&
        before.heard.leftOut === heard.leftOut &&
        before.heard.receivedAt === heard.receivedAt &&
        before.heard.connected === heard.connected));
  if (isSame) return before;
  const known = new Map<string, KnownFact>();
  for (const one of factsIn(heard, before?.known ?? NOTHING_KNOWN)) {
    known.set(one.fact.allocation.allocation, one);
  }
  const facts = [...known.values()]
    .map(({ fact }) => fact)
    .toSorted((a, b) => compareText(a.allocation.allocation, b.allocation.allocation));
  const old = before?.facts.allocations ?? [];
  const isSameList =
    old.length === facts.length && facts.every(({ allocation }, at) => allocation === old[at]);
  return {
    heard,
    known,
    facts: {
      facts,
      allocations: isSameList ? old : facts.map(({ allocation }) => allocation),
      heardAt: heard.receivedAt,
      connected: heard.connected,
    },
  };
};

const NOTHING_KNOWN: KnownNode['known'] = new Map();

const observeNode = (heard: HeardNode, facts: Facts, now: Ms): LiveNode => {
  const { report } = heard;
  return ageingNode(facts, {
    name: heard.node,
    connected: heard.connected,
    silentForMs: Math.max(0, now - heard.receivedAt),
    capacity: report.capacity,
    attributes: report.attributes,
    address: report.address,
    acceptedGeneration: report.acceptedGeneration,
    acceptedCommit: report.acceptedCommit,
    generation: Math.max(report.acceptedGeneration, heard.sent?.generation ?? 0),
    sent: currentOrders(heard),
    portsTaken: report.portsTaken,
    foreign: report.foreign,
    conditions: report.conditions,
    ...(report.portHolders === undefined ? null : { portHolders: report.portHolders }),
    ...(report.volumes === undefined ? null : { volumes: report.volumes }),
    ...(report.fetched === undefined ? null : { fetched: report.fetched }),
  });
};

/**
 * Orders older than what the runner accepted say nothing any more: another session sent newer
 * ones.
 */
const currentOrders = (heard: HeardNode): NodeOrders | null =>
  heard.sent !== null && heard.sent.generation >= heard.report.acceptedGeneration
    ? heard.sent
    : null;

/** Ages as of the report that told the fact. */
const factsIn = (heard: HeardNode, before: KnownNode['known']): readonly KnownFact[] => {
  const sent = currentOrders(heard);
  const items = new Map((sent?.items ?? []).map((item) => [item.allocation, item]));
  const told = new Set<string>();
  const reported = heard.report.allocations.map((now) => {
    const id = now.allocation;
    told.add(id);
    const { report, receivedAt: since } = heard.unchanged?.get(id) ?? {
      report: now,
      receivedAt: heard.receivedAt,
    };
    const order = sent === null ? null : (items.get(id) ?? 'absent');
    const { body, stopping } = underOrder(report, order);
    const parts = { report, since, body, stopping };
    const allocation = knownAs(before.get(id), parts) ?? reportedAllocation(heard.node, parts);
    return { report, body, stopping, fact: { allocation, since, usage: now.usage } };
  });
  const unheard = [...orderedBy(sent), ...leftOutOf(heard)].flatMap(({ body, stopping }) => {
    if (told.has(body.allocation)) return [];
    const parts = { report: null, since: NO_AGE, body, stopping };
    const known = knownAs(before.get(body.allocation), parts);
    const allocation = known ?? orderedAllocation(heard.node, body, stopping);
    const fact = { allocation, since: NO_AGE, usage: null };
    return [{ report: null, body, stopping, fact }];
  });
  return [...reported, ...unheard];
};

type Unheard = Pick<Parts, 'body' | 'stopping'>;

const orderedBy = (sent: NodeOrders | null): readonly Unheard[] =>
  (sent?.items ?? []).flatMap((item) =>
    item.kind === 'run' ? [{ body: item.body, stopping: false }] : [],
  );

/** The runner may have begun them, and has not answered for the set that ends them. */
const leftOutOf = ({ leftOut = [], report }: HeardNode): readonly Unheard[] =>
  leftOut.flatMap(({ body, generation }) =>
    generation > report.acceptedGeneration ? [{ body, stopping: true }] : [],
  );

/** What was ordered and is not reported does not grow older. */
const NO_AGE = 0;

type Parts = Pick<KnownFact, 'report' | 'body' | 'stopping'> & Pick<Fact, 'since'>;

const knownAs = (before: KnownFact | undefined, parts: Parts): LiveAllocation | null =>
  before?.report === parts.report &&
  before.fact.since === parts.since &&
  before.body === parts.body &&
  before.stopping === parts.stopping
    ? before.fact.allocation
    : null;

/** The item of the newest orders; `absent` when they leave it out; null when none were sent. */
type Order = OrderItem | 'absent' | null;

/**
 * The body that was sent is what the copy has or is about to have: an update in flight is not
 * ordered twice.
 */
const underOrder = (report: AllocationReport, order: Order): Pick<Parts, 'body' | 'stopping'> => {
  const runs = order !== null && order !== 'absent' && order.kind === 'run';
  return {
    body: runs ? order.body : report.body,
    stopping:
      report.phase === 'stopping' || (order === null ? report.stopWaits !== undefined : !runs),
  };
};

const reportedAllocation = (
  node: string,
  { report, body, stopping }: Parts & { readonly report: AllocationReport },
): LiveAllocation => ({ ...report, node, body, standing: 'reported', stopping });

/**
 * An allocation that was sent or accepted and is not begun: it holds its slot, its capacity and
 * its ports.
 */
const orderedAllocation = (
  node: string,
  body: AllocationBody,
  stopping: boolean,
): LiveAllocation => ({
  allocation: body.allocation,
  body,
  phase: 'pending',
  health: 'unproven',
  everHealthy: false,
  tasks: [],
  failure: null,
  ports: [],
  address: null,
  usage: null,
  acceptedForMs: 0,
  firstStartedForMs: null,
  runningForMs: null,
  healthyForMs: null,
  firstHealthyForMs: null,
  deadForMs: null,
  node,
  standing: 'ordered',
  stopping,
});
