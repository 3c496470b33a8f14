// observe: ages brought up to now, and orders in flight taken for facts (rules 10.1).
import { describe, expect, it } from 'vitest';
import { observe } from '../../../reconciler/live/observe.ts';
import type { HeardNode, LiveAllocation } from '../../../schema/live.ts';
import type { AllocationReport, NodeOrders, OrderItem } from '../../../schema/orders.ts';
import { leftOutBy } from '../../../schema/wire.ts';
import { aCopy, aJob } from '../../support/world.ts';

const job = aJob();
const copy = aCopy(job, { node: 'n001', index: 0 });
const reportOf = ({
  node: _n,
  standing: _s,
  stopping: _t,
  ...report
}: LiveAllocation): AllocationReport => report;

const ordersOf = (generation: number, items: readonly OrderItem[]): NodeOrders => ({
  node: 'n001',
  cluster: 'test',
  generation,
  commit: 'c',
  items,
});

const runs = (allocation: LiveAllocation): OrderItem => ({
  kind: 'run',
  allocation: allocation.allocation,
  body: allocation.body,
  after: [],
});

const heardNode = (
  reported: readonly LiveAllocation[],
  facts: Partial<HeardNode> = {},
): HeardNode => ({
  node: 'n001',
  receivedAt: 1_000,
  connected: true,
  sent: null,
  report: {
    node: 'n001',
    cluster: 'test',
    acceptedGeneration: 4,
    acceptedCommit: 'c',
    acceptedHash: '',
    accepted: reported.map(({ allocation }) => allocation),
    capacity: { cpuMilli: 1, memoryBytes: 1 },
    attributes: [],
    address: '',
    allocations: reported.map(reportOf),
    foreign: 0,
    conditions: [],
    portsTaken: [],
  },
  ...facts,
});

const seen = (node: HeardNode, now = 1_000): readonly LiveAllocation[] =>
  observe({ startedAt: 0, nodes: [node] }, now).nodes[0]?.allocations ?? [];

describe('ages', () => {
  it('grow with the time since the report', () => {
    const [found] = seen(heardNode([copy]), 6_000);
    expect(found).toMatchObject({ acceptedForMs: 65_000, healthyForMs: 65_000, deadForMs: null });
  });

  it('of health stand still while the node is away (4.2)', () => {
    const [found] = seen(heardNode([copy], { connected: false }), 6_000);
    expect(found).toMatchObject({ runningForMs: 65_000, healthyForMs: 60_000 });
  });

  it('never go back when the clock does', () => {
    const live = observe({ startedAt: 9_000, nodes: [heardNode([copy])] }, 0);
    expect(live.upForMs).toBe(0);
    expect(live.nodes[0]).toMatchObject({ silentForMs: 0 });
  });
});

describe('orders in flight', () => {
  const next = aCopy(job, { node: 'n001', index: 1 });

  it.each([
    ['a run that was not answered holds its slot', [runs(copy), runs(next)], 5, 'ordered'],
    ['a run that was accepted and not begun too', [runs(copy), runs(next)], 4, 'ordered'],
    ['a run of orders older than the accepted ones is nothing', [runs(copy), runs(next)], 3, null],
  ] as const)('%s', (_name, items, generation, standing) => {
    const found = seen(heardNode([copy], { sent: ordersOf(generation, items) }));
    expect(found.find(({ allocation }) => allocation === next.allocation)?.standing ?? null).toBe(
      standing,
    );
  });

  it('a stop counts its copy as stopping, and so does absence', () => {
    const stop: OrderItem = {
      kind: 'stop',
      allocation: copy.allocation,
      reason: 'drain',
      killTimeoutMs: 0,
    };
    const stopping = (items: readonly OrderItem[]): boolean | undefined =>
      seen(heardNode([copy], { sent: ordersOf(5, items) }))[0]?.stopping;
    expect([stopping([stop]), stopping([]), stopping([runs(copy)])]).toEqual([true, true, false]);
  });

  it('what was sent and taken back before anybody answered may run until it is answered', () => {
    const begun = ordersOf(5, [runs(copy), runs(next)]);
    const back = ordersOf(6, [runs(copy)]);
    const before = heardNode([copy], { sent: begun });
    const leftOut = leftOutBy(back, before);
    const heard = { ...before, sent: back, leftOut };
    const facts = (node: HeardNode) =>
      seen(node).map(({ allocation, standing, stopping }) => [allocation, standing, stopping]);
    const [first, second] = [
      [copy.allocation, 'reported', false],
      [next.allocation, 'ordered', true],
    ];
    const both = copy.allocation < next.allocation ? [first, second] : [second, first];
    expect(facts(heard)).toEqual(both);
    // It stays so with the next set, and until the runner has taken one without it.
    const third = ordersOf(7, [runs(copy)]);
    const later = { ...heard, sent: third, leftOut: leftOutBy(third, heard) };
    expect(later.leftOut).toEqual(leftOut);
    const at = (acceptedGeneration: number): HeardNode => ({
      ...later,
      report: { ...later.report, acceptedGeneration },
    });
    expect(facts(at(5))).toEqual(both);
    expect(facts(at(6))).toEqual([first]);
    // Begun once more, it is an order like any other.
    expect(leftOutBy(ordersOf(8, [runs(next)]), later)).toEqual([
      { body: copy.body, generation: 8 },
    ]);
  });

  it('an update that was sent is the body that the copy has', () => {
    const body = { ...copy.body, settled: true };
    const sent = ordersOf(5, [{ kind: 'run', allocation: copy.allocation, body, after: [] }]);
    expect(seen(heardNode([copy], { sent }))[0]?.body.settled).toBe(true);
  });

  it('the highest generation known is remembered', () => {
    const live = observe({ startedAt: 0, nodes: [heardNode([], { sent: ordersOf(7, []) })] }, 0);
    expect(live.nodes[0]?.generation).toBe(7);
  });
});
