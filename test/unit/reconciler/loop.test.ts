// When the loop looks again: what came in time for a pass needs no second one, what came later does.

import { expect, test } from 'vitest';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { readWhole } from '../../../reconciler/cycle.ts';
import { createLoop } from '../../../reconciler/loop.ts';
import { createLookups } from '../../../reconciler/lookups.ts';
import type { ReconcilerPorts } from '../../../reconciler/ports.ts';
import type { SourceTree } from '../../../schema/source.ts';
import { story, treeOf } from '../../support/tree.ts';

const unused = () => {
  throw new Error('not needed here');
};

const tree = treeOf(story({ 'cluster.yaml': 'name: shop\n' }));

interface Hooks {
  /** Called while Git is being read, and once reports were asked for. */
  readonly reading?: () => void;
  readonly asked?: () => void;
}

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
  const run = async (): Promise<number> => {
    await createLoop(ports).run(stop.signal);
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
