// Nodes that do at once what they are ordered, in memory: a cluster of any size, healthy and at
// rest, around a real reconciler loop. As real runners do, each says every five seconds that it is
// there, and what it uses; these reports are spread over the five seconds. In: their names. Out:
// NodesPort. Not here: containers, the link (what it makes of a frame is the product's code).

import type { NodesPort } from '../../reconciler/ports.ts';
import { ordersHash, unchangedFacts } from '../../schema/wire.ts';
import { aged } from '../../schema/wire-ages.ts';
import type { HeardNode } from '../../schema/live.ts';
import type { AllocationReport, NodeOrders, NodeReport } from '../../schema/orders.ts';

const GIB = 1024 ** 3;
const LONG_MS = 3_600_000;
/** A runner's REPORT_EVERY_MS. */
const REPORT_EVERY_MS = 5000;

export const modelNodes = (names: readonly string[], now: () => number): NodesPort => {
  const heard = new Map<string, HeardNode>(names.map((node) => [node, freshNode(node, now())]));
  const listeners = new Set<() => void>();
  const startedAt = now();
  // Reports that come together wake once.
  let waking = false;
  const ring = (): void => {
    waking = false;
    for (const listener of listeners) listener();
  };
  const wake = (): void => {
    if (!waking) setImmediate(ring);
    waking = true;
  };
  const obey = (orders: NodeOrders): void => {
    const before = heard.get(orders.node);
    if (before === undefined || before.sent !== orders) return;
    heard.set(orders.node, reported(before, obeyed(before.report, orders), now()));
    wake();
  };
  let turn = 0;
  setInterval(() => {
    const node = heard.get(names[turn % names.length] ?? '');
    turn += 1;
    if (node === undefined) return;
    heard.set(node.node, reported(node, node.report, now()));
    wake();
  }, REPORT_EVERY_MS / names.length).unref();
  return {
    heard: () => ({ startedAt, nodes: [...heard.values()] }),
    send: (orders) => {
      const before = heard.get(orders.node);
      if (before === undefined) return false;
      heard.set(orders.node, { ...before, sent: orders });
      // The node does it, and hears of it later than whoever waits for the plan.
      setImmediate(obey, orders);
      return true;
    },
    publish: () => undefined,
    watch: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

/** What is the same object in the report before grew older and did nothing else. */
const reported = (before: HeardNode, report: NodeReport, at: number): HeardNode => {
  const old = new Set(before.report.allocations);
  const there = new Set(report.allocations.map(({ allocation }) => allocation));
  const gone = before.report.allocations.filter(({ allocation }) => !there.has(allocation));
  const frame = {
    whole: false,
    head: report,
    bodies: [],
    changed: report.allocations
      .filter((one) => !old.has(one))
      .map((one) => ({ ...one, bodyHash: '' })),
    removed: gone.map(({ allocation }) => allocation),
    usage: [],
  };
  const elapsed = at - before.receivedAt;
  const allocations = report.allocations.map((one) => ({
    ...(old.has(one) ? aged(one, elapsed) : one),
    usage: { cpuMilli: 5 + (at % 7), memoryBytes: 1_000_000 },
  }));
  const unchanged = unchangedFacts(before, frame);
  return { ...before, report: { ...report, allocations }, receivedAt: at, unchanged };
};

const freshNode = (node: string, receivedAt: number): HeardNode => ({
  node,
  receivedAt,
  connected: true,
  sent: null,
  report: freshReport(node),
});

/** A node with room for everything and nothing on it. */
export const freshReport = (node: string): NodeReport => ({
  node,
  cluster: 'bench',
  acceptedGeneration: 0,
  acceptedCommit: '',
  acceptedHash: '',
  accepted: [],
  capacity: { cpuMilli: 64_000, memoryBytes: 256 * GIB },
  attributes: [['node.arch', 'amd64']],
  address: '127.0.0.1',
  allocations: [],
  foreign: 0,
  conditions: [],
  portsTaken: [],
});

/** The report after these orders were done. */
export const obeyed = (before: NodeReport, orders: NodeOrders): NodeReport => {
  const known = new Map(before.allocations.map((report) => [report.allocation, report]));
  const allocations = orders.items.flatMap((item): readonly AllocationReport[] => {
    if (item.kind === 'stop') return [];
    const report = known.get(item.allocation);
    return [report?.body === item.body ? report : running(item.body)];
  });
  return {
    ...before,
    acceptedGeneration: orders.generation,
    acceptedCommit: orders.commit,
    acceptedHash: ordersHash(orders),
    accepted: orders.items.map(({ allocation }) => allocation),
    allocations,
  };
};

/** What a node says of a copy that has been well for long. */
export const running = (body: AllocationReport['body']): AllocationReport => ({
  allocation: body.allocation,
  body,
  phase: 'running',
  health: 'healthy',
  everHealthy: true,
  tasks: body.spec.tasks.map(({ name }) => ({
    name,
    state: 'running',
    restarts: 0,
    health: 'healthy',
    lastCheck: null,
    exit: null,
    pid: 1,
  })),
  failure: null,
  ports: [],
  address: '127.0.0.1',
  usage: null,
  acceptedForMs: LONG_MS,
  firstStartedForMs: LONG_MS,
  runningForMs: LONG_MS,
  healthyForMs: LONG_MS,
  firstHealthyForMs: LONG_MS,
  deadForMs: null,
});
