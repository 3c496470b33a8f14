// Everything heard from the nodes, made into one LiveState.
// In: the last report of each node, the orders sent and not yet answered, the time. Out: facts,
// ages brought up to now.
// Not here: what a fact means (reconciler/plan), which node is lost (plan/nodes: it needs a policy
// from Git).

import { compareText } from '../../schema/ids.ts';
import type { Heard, HeardNode, LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type {
  AllocationBody,
  AllocationReport,
  NodeOrders,
  OrderItem,
} from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';

/**
 * The world as last heard, at `now` (milliseconds of the reconciler's monotonic clock). Sorted by
 * node, allocation. Orders sent and not yet answered are facts too (rules 10.1).
 */
export const observe = (heard: Heard, now: Ms): LiveState => ({
  upForMs: Math.max(0, now - heard.startedAt),
  nodes: heard.nodes
    .map((node) => observeNode(node, now))
    .toSorted((a, b) => compareText(a.name, b.name)),
});

const observeNode = (heard: HeardNode, now: Ms): LiveNode => {
  const { report } = heard;
  const silentForMs = Math.max(0, now - heard.receivedAt);
  const sent = currentOrders(heard);
  return {
    name: heard.node,
    connected: heard.connected,
    silentForMs,
    capacity: report.capacity,
    attributes: report.attributes,
    address: report.address,
    acceptedGeneration: report.acceptedGeneration,
    acceptedCommit: report.acceptedCommit,
    generation: Math.max(report.acceptedGeneration, heard.sent?.generation ?? 0),
    sent,
    allocations: allocationsOf(heard, sent, silentForMs),
    portsTaken: report.portsTaken,
    foreign: report.foreign,
    conditions: report.conditions,
  };
};

/**
 * Orders older than what the runner accepted say nothing any more: another session sent newer
 * ones.
 */
const currentOrders = (heard: HeardNode): NodeOrders | null =>
  heard.sent !== null && heard.sent.generation >= heard.report.acceptedGeneration
    ? heard.sent
    : null;

const allocationsOf = (
  heard: HeardNode,
  sent: NodeOrders | null,
  silentForMs: Ms,
): readonly LiveAllocation[] => {
  const items = new Map((sent?.items ?? []).map((item) => [item.allocation, item]));
  const reported = heard.report.allocations.map((report) =>
    reportedAllocation(heard, report, {
      order: sent === null ? null : (items.get(report.allocation) ?? 'absent'),
      silentForMs,
    }),
  );
  const known = new Set(heard.report.allocations.map((report) => report.allocation));
  const ordered = (sent?.items ?? []).flatMap((item) =>
    item.kind === 'run' && !known.has(item.allocation)
      ? [orderedAllocation(heard.node, item.body)]
      : [],
  );
  return [...reported, ...ordered].toSorted((a, b) => compareText(a.allocation, b.allocation));
};

interface Context {
  /** The item of the newest orders; `absent` when they leave it out; null when none were sent. */
  readonly order: OrderItem | 'absent' | null;
  readonly silentForMs: Ms;
}

const reportedAllocation = (
  heard: HeardNode,
  report: AllocationReport,
  { order, silentForMs }: Context,
): LiveAllocation => {
  // Nobody saw it healthy while the node was away, so health does not grow older without a
  // stream (rules 4.2).
  const seenForMs = heard.connected ? silentForMs : 0;
  const runs = order !== null && order !== 'absent' && order.kind === 'run';
  return {
    ...report,
    node: heard.node,
    // The body that was sent is what the copy has or is about to have: an update in flight is
    // not ordered twice.
    body: runs ? order.body : report.body,
    standing: 'reported',
    stopping: report.phase === 'stopping' || (order !== null && !runs),
    failure:
      report.failure === null
        ? null
        : { ...report.failure, ageMs: report.failure.ageMs + silentForMs },
    acceptedForMs: report.acceptedForMs + silentForMs,
    firstStartedForMs: older(report.firstStartedForMs, silentForMs),
    runningForMs: older(report.runningForMs, silentForMs),
    healthyForMs: older(report.healthyForMs, seenForMs),
    firstHealthyForMs: older(report.firstHealthyForMs, silentForMs),
    deadForMs: older(report.deadForMs, silentForMs),
  };
};

const older = (ageMs: Ms | null, byMs: Ms): Ms | null => (ageMs === null ? null : ageMs + byMs);

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
