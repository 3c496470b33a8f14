// When the loop looks again: what came in time for a pass needs no second one, what came later does.

import { expect, test } from 'vitest';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { readWhole } from '../../../reconciler/cycle.ts';
import { createLoop } from '../../../reconciler/loop.ts';
import { createLookups } from '../../../reconciler/lookups.ts';
import type { ReconcilerPorts } from '../../../reconciler/ports.ts';
import type { SourceTree } from '../../../schema/source.ts';
import type { HeardNode, LiveState } from '../../../schema/live.ts';
import type { AllocationBody, AllocationReport, NodeOrders } from '../../../schema/orders.ts';
import { body as testBody } from '../../support/bodies.ts';
import { reportWith } from '../../support/reports.ts';
import { ready, story, treeOf } from '../../support/tree.ts';

const unused = () => {
  throw new Error('not needed here');
};

const tree = treeOf(story({ 'cluster.yaml': 'name: shop\n' }));

interface Hooks {
  /** Called while Git is being read, and once reports were asked for. */
  readonly reading?: () => void;
  readonly asked?: () => void;
}

/** A node with nothing on it, which has just reported. */
const heardNode = (node: string): HeardNode => ({
  node,
  receivedAt: 0,
  connected: true,
  sent: null,
  report: reportWith({ node, cluster: 'shop' }),
});

/** It runs and is healthy. */
const aReport = (body: AllocationBody): AllocationReport => ({
  allocation: body.allocation,
  body,
  phase: 'running',
  health: 'healthy',
  everHealthy: true,
  tasks: [],
  failure: null,
  ports: [],
  address: '10.1.4.2',
  usage: null,
  acceptedForMs: 60_000,
  firstStartedForMs: 60_000,
  runningForMs: 60_000,
  healthyForMs: 60_000,
  firstHealthyForMs: 60_000,
  deadForMs: null,
});

/** A loop that reads at once, and may be stopped when it would sleep. */
const worldOf = (read: SourceTree, hooks: { current: Hooks }) => {
  const wakes = { source: () => {}, nodes: () => {} };
  let passes = 0;
  const stop = new AbortController();
  const ports: ReconcilerPorts = {
    source: {
      read: async () => {
        passes += 1;
        await Promise.resolve();
        hooks.current.reading?.();
        return read;
      },
      complete: async (now) => now,
      // Still being written when the test ends.
      record: () => new Promise(() => undefined),
      commit: unused,
      watch: (wake) => {
        wakes.source = wake;
        return async () => undefined;
      },
    },
    nodes: {
      heard: () => {
        queueMicrotask(() => hooks.current.asked?.());
        return { startedAt: 0, nodes: [] };
      },
      send: unused,
      publish: () => undefined,
      watch: (wake) => {
        wakes.nodes = wake;
        return () => undefined;
      },
    },
    registry: { resolve: unused },
    clock: {
      now: () => 0,
      sleepUntil: async (_at, signal) => {
        if (!signal.aborted) stop.abort();
        hooks.current = {};
      },
    },
    log: { info: () => {}, warn: () => {}, error: () => {} },
  };
  const run = async ({ loop = createLoop(ports) } = {}): Promise<number> => {
    await loop.run(stop.signal);
    return passes;
  };
  return { wakes, run, ports };
};

test('a report that comes while Git is read is in the plan: one pass', async () => {
  const hooks: { current: Hooks } = { current: {} };
  const { wakes, run } = worldOf(tree, hooks);
  hooks.current = { reading: () => wakes.nodes() };
  expect(await run()).toBe(1);
});

test('the first plan waits for the nodes in Git, and is the only one', async () => {
  const read = treeOf(story({ 'cluster.yaml': 'name: shop\n', 'nodes/n1.yaml': '{}\n' }));
  const { wakes, run, ports } = worldOf(read, { current: {} });
  let heard: HeardNode[] = [];
  const nodes = {
    ...ports.nodes,
    heard: () => ({ startedAt: 0, nodes: heard }),
    send: () => true,
  };
  const passes: number[] = [];
  let waits = 0;
  const clock = {
    ...ports.clock,
    sleepUntil: async (at: number, signal: AbortSignal) => {
      if (heard.length > 0) return ports.clock.sleepUntil(at, signal);
      waits += 1;
      if (waits === 2) heard = [heardNode('n1')];
      wakes.nodes();
      expect(signal.aborted).toBe(true);
    },
  };
  const loop = createLoop({ ...ports, nodes, clock });
  loop.watch(({ view }) => passes.push(view?.live.nodes.length ?? -1));
  await run({ loop });
  expect(waits).toBe(2);
  expect(passes).toEqual([1]);
});

test('what is shown after a pass says which copies it told to stop', async () => {
  const { tree: read } = ready(
    story({
      'cluster.yaml': 'name: shop\npolicies: { registries: [r.example] }\n',
      'nodes/n1.yaml': 'node: n1\n',
      'jobs/shop/web.yaml': `image: r.example/a@sha256:${'a'.repeat(64)}\nstopped: true\n`,
    }),
  );
  const { run, ports } = worldOf(read, { current: {} });
  const body = testBody({ cluster: 'shop', namespace: 'shop', node: 'n1' });
  const { report, ...node } = heardNode('n1');
  const copy = aReport(body);
  let sent: NodeOrders | null = null;
  const nodes = {
    ...ports.nodes,
    heard: () => ({
      startedAt: 0,
      nodes: [{ ...node, sent, report: { ...report, allocations: [copy] } }],
    }),
    send: (orders: NodeOrders) => {
      sent = orders;
      return true;
    },
  };
  const loop = createLoop({ ...ports, nodes });
  const shown: unknown[] = [];
  loop.watch(({ view }) => {
    const stopping = (live: LiveState | undefined) =>
      live?.nodes.flatMap(({ allocations }) => allocations.map((one) => one.stopping));
    shown.push({ planned: stopping(view?.live), told: stopping(view?.told()) });
  });
  await run({ loop });
  // The plan saw a copy that runs; whoever asks for addresses after it must not.
  expect(shown[0]).toEqual({ planned: [false], told: [true] });
});

test('the first plan waits no longer than half a second for a node that is away', async () => {
  const read = treeOf(story({ 'cluster.yaml': 'name: shop\n', 'nodes/n1.yaml': '{}\n' }));
  const { run, ports } = worldOf(read, { current: {} });
  let now = 0;
  const waits: number[] = [];
  const clock = {
    ...ports.clock,
    now: () => now,
    sleepUntil: async (at: number, signal: AbortSignal) => {
      waits.push(at - now);
      if (waits.length > 1) return ports.clock.sleepUntil(at, signal);
      now = at;
    },
  };
  await run({ loop: createLoop({ ...ports, clock }) });
  expect(waits[0]).toBe(500);
});

test('a report that comes later is planned in a pass of its own', async () => {
  const hooks: { current: Hooks } = { current: {} };
  const { wakes, run } = worldOf(tree, hooks);
  hooks.current = { asked: () => wakes.nodes() };
  expect(await run()).toBe(2);
});

test('of a remote, reports are asked for before its commits are: what comes then is later', async () => {
  const hooks: { current: Hooks } = { current: {} };
  const remote = { ...tree, local: false };
  const { wakes, run } = worldOf(remote, hooks);
  // Between asking which commits runners accepted and planning.
  hooks.current = { asked: () => wakes.nodes() };
  expect(await run()).toBe(2);
});

test('a commit that comes while Git is read is read in a pass of its own', async () => {
  const hooks: { current: Hooks } = { current: {} };
  const { wakes, run } = worldOf(tree, hooks);
  hooks.current = { reading: () => wakes.source() };
  expect(await run()).toBe(2);
});

test('the first tree is read in steps, and the loop pauses between them', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 70 }, (_, job) => [`jobs/shop/j${job}.yaml`, 'image: r.example/a:1\n']),
  );
  const read = treeOf(story({ 'cluster.yaml': 'name: shop\n', ...files }));
  const { ports } = worldOf(read, { current: {} });
  let pauses = 0;
  const clock = { ...ports.clock, pause: async () => void (pauses += 1) };
  const memo = createMemo();
  const lookups = createLookups(ports, () => undefined);
  const context = { ports: { ...ports, clock }, lookups, memo };
  await readWhole(context);
  expect(pauses).toBe(3); // 71 documents, 20 in a step
  await readWhole(context);
  expect(pauses).toBe(3);
});
