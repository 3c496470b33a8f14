// Everything heard from the nodes, made into one LiveState.
// In: the last report of each node, the orders sent and not yet answered, the time. Out: facts,
// ages brought up to now.
// Not here: what a fact means (reconciler/plan), which node is lost (plan/nodes: it needs a policy
// from Git).

import { ageingNode, type Facts } from '../../schema/ageing.ts';
import { compareText } from '../../schema/ids.ts';
import type { Heard, HeardNode, LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type {
  AllocationBody,
  AllocationReport,
  NodeOrders,
  OrderItem,
} from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import { createObserveMemo, type ObserveMemo } from './memo.ts';

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
  const nodes: ObserveMemo['nodes'] = new Map();
  for (const node of heard.nodes) nodes.set(node.node, { heard: node, facts: recall(node, memo) });
  memo.nodes = nodes;
  return {
    upForMs: Math.max(0, now - heard.startedAt),
    nodes: [...nodes.values()]
      .map((node) => observeNode(node.heard, node.facts, now))
      .toSorted((a, b) => compareText(a.name, b.name)),
  };
};

/** Facts are made of what is compared here, and of nothing else. */
const recall = (node: HeardNode, memo: ObserveMemo): Facts => {
  const before = memo.nodes.get(node.node);
  const isSame =
    before !== undefined &&
    before.heard.report === node.report &&
    before.heard.sent === node.sent &&
    before.heard.receivedAt === node.receivedAt &&
    before.heard.connected === node.connected;
  return isSame ? before.facts : factsOf(node);
};

const factsOf = (heard: HeardNode): Facts => ({
  allocations: allocationsOf(heard, currentOrders(heard)),
  heardAt: heard.receivedAt,
  connected: heard.connected,
});

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
    ...(report.volumes === undefined ? {} : { volumes: report.volumes }),
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

/** Sorted by allocation, ages as of the report. */
const allocationsOf = (heard: HeardNode, sent: NodeOrders | null): readonly LiveAllocation[] => {
  const items = new Map((sent?.items ?? []).map((item) => [item.allocation, item]));
  const reported = heard.report.allocations.map((report) =>
    reportedAllocation(
      heard.node,
      report,
      sent === null ? null : (items.get(report.allocation) ?? 'absent'),
    ),
  );
  const known = new Set(heard.report.allocations.map((report) => report.allocation));
  const ordered = (sent?.items ?? []).flatMap((item) =>
    item.kind === 'run' && !known.has(item.allocation)
      ? [orderedAllocation(heard.node, item.body)]
      : [],
  );
  return [...reported, ...ordered].toSorted((a, b) => compareText(a.allocation, b.allocation));
};

/** The item of the newest orders; `absent` when they leave it out; null when none were sent. */
type Order = OrderItem | 'absent' | null;

const reportedAllocation = (
  node: string,
  report: AllocationReport,
  order: Order,
): LiveAllocation => {
  const runs = order !== null && order !== 'absent' && order.kind === 'run';
  return {
    ...report,
    node,
    // The body that was sent is what the copy has or is about to have: an update in flight is not
    // ordered twice.
    body: runs ? order.body : report.body,
    standing: 'reported',
    stopping: report.phase === 'stopping' || (order !== null && !runs),
  };
};

/**
 * An allocation that was sent or accepted and is not begun: it holds its slot, its capacity and
 * its ports.
 */
const orderedAllocation = (node: string, body: AllocationBody): LiveAllocation => ({
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
  stopping: false,
});
