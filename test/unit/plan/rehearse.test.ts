// What a loss right after a change would do: with room, without, by zone, by wave; how long going
// back takes.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forecastWith } from '../../../reconciler/plan/forecast.ts';
import { createPlanMemo } from '../../../reconciler/plan/memo.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import { rehearse } from '../../../reconciler/plan/rehearse.ts';
import { rehearsalWords } from '../../../reconciler/render/rehearsal.ts';
import { FULL } from '../../../reconciler/render/visibility.ts';
import type { DesiredJob, DesiredState } from '../../../schema/desired.ts';
import type { LiveState } from '../../../schema/live.ts';
import type { Rehearsal } from '../../../schema/pull-plan.ts';
import {
  aCopy,
  aJob,
  desiredOf,
  GIB,
  liveOf,
  MIN_HEALTHY_MS,
  nodeNames,
} from '../../support/world.ts';

interface Scene {
  readonly jobs: readonly DesiredJob[];
  readonly nodes: number;
  /** Of each node. */
  readonly memory: number;
  readonly zones?: Readonly<Record<string, string>>;
  readonly before?: readonly DesiredJob[];
  readonly copies?: LiveState['nodes'][number]['allocations'];
  readonly volumes?: DesiredState['volumes'];
}

const worldOf = ({ jobs, nodes, memory, zones = {}, copies = [], volumes = [] }: Scene) => {
  const names = nodeNames(nodes);
  const desired: DesiredState = {
    ...desiredOf(jobs),
    volumes,
    nodes: names.map((name) => {
      const zone = zones[name];
      const labels = zone === undefined ? [] : [['zone', zone] as const];
      return { name, labels, pool: null, drain: 'no' };
    }),
  };
  const capacity = { cpuMilli: 64_000, memoryBytes: memory };
  const live = liveOf(copies, Object.fromEntries(names.map((name) => [name, { capacity }])), names);
  return { desired, live };
};

const rehearsed = (scene: Scene): Rehearsal => {
  const { desired, live } = worldOf(scene);
  const after = forecastWith(createPlanMemo(), { desired, live, now: 0 });
  const before = { ...desired, jobs: scene.before ?? [] };
  return rehearse({ before, live, after, changed: new Set(desired.jobs.map(({ id }) => id)) });
};

const web = (count: number, memoryBytes = GIB, more: object = {}): DesiredJob => {
  const group = { count, ask: { cpuMilli: 100, memoryBytes }, ...more };
  return aJob({
    name: 'web',
    groups: [group],
    update: { maxParallel: { kind: 'count', copies: 9 } },
  });
};

describe('the loss of a node', () => {
  test('with room elsewhere costs nothing', () => {
    const { losses, left } = rehearsed({ jobs: [web(3)], nodes: 3, memory: 2 * GIB });
    expect(left).toBe(0);
    expect(losses).toEqual(
      ['n001', 'n002', 'n003'].map((name) => ({ kind: 'node', name, short: [] })),
    );
  });

  test('without room says how many copies lack how much', () => {
    const { losses } = rehearsed({ jobs: [web(3)], nodes: 3, memory: 1.25 * GIB });
    expect(losses[0]).toEqual({
      kind: 'node',
      name: 'n001',
      short: [{ job: 'shop/web', group: 'main', copies: 1, lacks: '768MiB' }],
    });
  });

  test('names the volume that was there, and constraints that nobody else meets', () => {
    const volumes = [
      { namespace: 'shop', job: 'web', volume: 'data', group: 'main', index: 0, node: 'n002' },
    ];
    const bound = web(1, GIB, { volumes: [{ name: 'data', onLoss: 'wait' }] });
    const homes = rehearsed({ jobs: [bound], nodes: 3, memory: 4 * GIB, volumes });
    expect(homes.losses.map(({ short }) => short[0]?.lacks)).toEqual([
      'its volume data, which was there',
    ]);
    const text = 'node.name = n001';
    const constraints = [{ attribute: 'node.name', operator: '=', value: 'n001', text }];
    const only = rehearsed({ jobs: [web(1, GIB, { constraints })], nodes: 2, memory: 4 * GIB });
    expect(only.losses[0]?.short[0]?.lacks).toBe(text);
  });
});

test('a loss of many nodes at once waits for a person, and the sentence says so', () => {
  const zones = Object.fromEntries(nodeNames(9).map((name, at) => [name, at < 3 ? 'a' : 'b']));
  const rehearsal = rehearsed({ jobs: [web(9)], nodes: 9, memory: 9 * GIB, zones });
  const waiting = rehearsal.losses.flatMap(({ name, waits }) => (waits === true ? [name] : []));
  expect(waiting).toEqual(['a', 'b']);
  expect(rehearsalWords(rehearsal, FULL)).toMatch(
    /^Survives any one node; after a loss of zones a, b nothing is replaced until a person approves; /,
  );
  expect(rehearsalWords(rehearsal, { ...FULL, cluster: false })).toContain(
    'after a loss of 2 of 2 zones nothing',
  );
});

test('the loss of a zone takes all its nodes; one zone for all is no loss to speak of', () => {
  const zones = { n001: 'a', n002: 'a', n003: 'b', n004: 'b' };
  const { losses } = rehearsed({ jobs: [web(4)], nodes: 4, memory: 1.5 * GIB, zones });
  expect(losses.filter(({ kind }) => kind === 'zone')).toEqual(
    ['a', 'b'].map((name) => ({
      kind: 'zone',
      name,
      short: [{ job: 'shop/web', group: 'main', copies: 2, lacks: '512MiB' }],
    })),
  );
  const same = { n001: 'a', n002: 'a' };
  const one = rehearsed({ jobs: [web(2)], nodes: 2, memory: 4 * GIB, zones: same });
  expect(one.losses.map(({ kind }) => kind)).toEqual(['node', 'node']);
});

describe('waves and going back', () => {
  const was = aJob({ version: 'v1', count: 4 }, { settled: true });
  const update = { maxParallel: { kind: 'count', copies: 2 } } as const;
  const now = aJob({ version: 'v2', from: { version: 'v1' }, count: 4, update });
  const copies = [0, 1, 2, 3].map((index) =>
    aCopy(was, { node: `n00${index + 1}`, index, group: 'main' }),
  );
  const scene = { jobs: [now], before: [was], copies, nodes: 4, memory: 8 * GIB };

  test('a wave that fails leaves what it did not touch', () => {
    const { waves } = rehearsed(scene);
    expect(waves.length).toBeGreaterThan(0);
    expect(
      waves.every(({ job, healthy, wanted }) => job === now.id && wanted === 4 && healthy === 2),
    ).toBe(true);
  });

  test('going back takes a wave for each max_parallel copies; new jobs have nowhere to go', () => {
    const { rollbacks } = rehearsed(scene);
    // One after another (max_parallel 1 of what stood): four waves.
    expect(rollbacks).toEqual([{ job: now.id, takesMs: 4 * (5000 + MIN_HEALTHY_MS) }]);
    const fresh = rehearsed({ ...scene, before: [], copies: [] });
    expect(fresh.rollbacks).toEqual([{ job: now.id, takesMs: null }]);
  });
});

test('agrees with the plan that follows a real loss; never more copies short than lived there', () => {
  const world = fc.record({
    counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    asks: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 }),
    nodes: fc.integer({ min: 2, max: 5 }),
    memory: fc.integer({ min: 2, max: 8 }),
  });
  fc.assert(
    fc.property(world, ({ counts, asks, nodes, memory }) => {
      const jobs = counts.map((count, at) => {
        const group = { count, ask: { cpuMilli: 100, memoryBytes: (asks[at] ?? 1) * GIB } };
        const update = { maxParallel: { kind: 'count', copies: 9 } } as const;
        return aJob({ name: `j${at}`, groups: [group], update });
      });
      const { desired, live } = worldOf({ jobs, nodes, memory: memory * GIB });
      const after = forecastWith(createPlanMemo(), { desired, live, now: 0 });
      const changed = new Set(jobs.map(({ id }) => id));
      const { losses } = rehearse({ before: desired, live, after, changed });
      const waits = plan(after.desired, after.live, 0).blocked.length;
      for (const { name, short } of losses) {
        const lost = after.live.nodes.map((node) =>
          node.name === name
            ? { ...node, allocations: node.allocations, connected: false, silentForMs: 9e8 }
            : { ...node, allocations: node.allocations },
        );
        const next = plan(after.desired, { upForMs: 9e8, nodes: lost }, 0);
        const lived = after.live.nodes.find((node) => node.name === name)?.allocations.length ?? 0;
        const copies = short.reduce((sum, row) => sum + row.copies, 0);
        expect(copies).toBeLessThanOrEqual(lived);
        // Others may wait already, and take room that the rehearsal leaves to the lost copies.
        if (waits > 0) continue;
        const noNode = next.blocked.filter(({ kind }) => kind === 'no-node').length;
        expect(copies === 0).toBe(noNode === 0);
      }
    }),
    { numRuns: 200 },
  );
});
