// Reading a whole tree in rounds: what registries answered stays known from one pass to the next.

import { expect, test } from 'vitest';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { readWhole } from '../../../reconciler/cycle.ts';
import { createLookups } from '../../../reconciler/lookups.ts';
import type { ReconcilerPorts } from '../../../reconciler/ports.ts';
import { answerHistories, story, treeOf } from '../../support/tree.ts';

const unused = () => {
  throw new Error('not needed here');
};

test('a failed look-up is remembered, and is as old as its first failure', async () => {
  const commits = story({
    'cluster.yaml': 'name: shop\npolicies: { registries: [registry.example] }\n',
    'jobs/shop/web.yaml': 'image: registry.example/web:1\n',
  });
  let now = 0;
  const asked: number[] = [];
  const ports: ReconcilerPorts = {
    source: {
      read: async () => treeOf(commits),
      complete: async (tree, asks) => answerHistories(commits, tree, asks),
      record: unused,
      commit: unused,
      watch: unused,
    },
    registry: {
      resolve: async () => {
        asked.push(now);
        return { kind: 'failed', why: 'not-found', message: 'no such tag', sinceMs: 0 };
      },
    },
    clock: { now: () => now, sleepUntil: unused },
    nodes: { heard: unused, send: unused, publish: unused, watch: unused },
    log: { info: unused, warn: unused, error: unused },
  };
  const context = { ports, lookups: createLookups(ports, () => undefined), memo: createMemo() };
  for (; now <= 10_000; now += 500) {
    await readWhole(context);
    await Promise.resolve(); // the registry answers between two passes
  }
  const [answer] = [...(await readWhole(context)).lookups.values()];
  expect(answer).toMatchObject({ kind: 'failed', why: 'not-found', sinceMs: now });
  expect(asked).toEqual([0, 1000, 3000, 7000]); // 1 s, then twice as long each time
});

test('a history is asked for once for each HEAD', async () => {
  const files = {
    'cluster.yaml': 'name: shop\n',
    'jobs/shop/web.yaml': 'image: registry.example/web:1\n',
  };
  let commits = story(files);
  const asked: string[] = [];
  const ports: ReconcilerPorts = {
    source: {
      read: async () => treeOf(commits),
      complete: async (tree, asks) => {
        asked.push(`${tree.head.oid} ${asks.histories.map(({ path }) => path).join()}`);
        return answerHistories(commits, tree, asks);
      },
      record: unused,
      commit: unused,
      watch: unused,
    },
    registry: { resolve: () => new Promise(() => undefined) },
    clock: { now: () => 0, sleepUntil: unused },
    nodes: {
      heard: () => ({ startedAt: 0, nodes: [] }),
      send: unused,
      publish: unused,
      watch: unused,
    },
    log: { info: unused, warn: unused, error: unused },
  };
  const context = { ports, lookups: createLookups(ports, () => undefined), memo: createMemo() };
  const first = await readWhole(context);
  const again = await readWhole(context);
  expect(again.histories).toEqual(first.histories);
  commits = story(files, { 'jobs/shop/web.yaml': 'image: registry.example/web:2\n' });
  const next = await readWhole(context);
  expect(asked).toEqual([first, next].map(({ head }) => `${head.oid} jobs/shop/web.yaml`));
  expect(next.histories.get('jobs/shop/web.yaml')?.entries).toHaveLength(2);
});

test('the tree stays the same object while Git and the registries say nothing new', async () => {
  const commits = story({ 'cluster.yaml': 'name: shop\n' });
  const approval = {
    kind: 'approval',
    id: 'a1',
    by: 'Ada <ada@example.org>',
    at: '2024-01-01T00:00:00Z',
    commit: 'c1',
    slots: [],
    nodes: [],
    used: false,
  } as const;
  let git = treeOf(commits, { ledger: [approval] });
  let epochMs = Date.parse(approval.at);
  const ports: ReconcilerPorts = {
    source: {
      read: async () => git,
      complete: async (tree, asks) => answerHistories(commits, tree, asks),
      record: unused,
      commit: unused,
      watch: unused,
    },
    registry: { resolve: () => new Promise(() => undefined) },
    clock: { now: () => 0, epochMs: () => epochMs, sleepUntil: unused },
    nodes: {
      heard: () => ({ startedAt: 0, nodes: [] }),
      send: unused,
      publish: unused,
      watch: unused,
    },
    log: { info: unused, warn: unused, error: unused },
  };
  const context = { ports, lookups: createLookups(ports, () => undefined), memo: createMemo() };
  await readWhole(context);
  const first = await readWhole(context);
  expect(await readWhole(context)).toBe(first);
  epochMs += 30 * 24 * 3_600_000; // the approval is too old now, by the clock alone
  const later = await readWhole(context);
  expect(later.expired).toEqual(['a1']);
  expect(await readWhole(context)).toBe(later);
  git = { ...git, files: new Map(git.files) };
  expect(await readWhole(context)).not.toBe(later);
});
