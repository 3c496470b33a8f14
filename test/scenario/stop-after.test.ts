// What a runner does about groups with stop_after when nobody answers, or nobody did while it was
// away (rules 9.3, 9.4): on a world in memory.
import { describe, expect, it } from 'vitest';
import type { RuntimeContainer } from '../../node-runner/ports.ts';
import { runItem, testBody, testGroup, testOrders, testTask } from '../support/runner-specs.ts';
import { living } from '../support/runner-life.ts';
import type { World } from '../support/runner-world.ts';
import { createWorld } from '../support/runner-world.ts';

const A = 'a-0-1';
const STOP_AFTER_MS = 8000;

const group = (singleton: boolean) =>
  testGroup({
    singleton,
    stopAfterMs: STOP_AFTER_MS,
    tasks: [
      testTask({ name: 'clean', lifecycle: 'poststop', killTimeoutMs: 4000 }),
      testTask({ name: 'web', killTimeoutMs: 1000 }),
    ],
  });

const runs = (generation: number, singleton: boolean) =>
  testOrders(generation, [runItem(testBody(A, { spec: group(singleton) }))]);

const answered = async (world: World, ms: number): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 1000) {
    world.acknowledged = world.ports.clock.now();
    await world.advance(1000);
  }
};

const starts = (world: World): readonly string[] =>
  world.calls
    .filter((call) => call.startsWith('start '))
    .map((call) => call.slice(`start ${A}.`.length));

/** What a first life leaves behind that ran its copy and heard a reconciler for a while. */
const left = async (singleton: boolean) => {
  const world = createWorld();
  await living(world, async () => {
    world.acknowledged = world.ports.clock.now();
    world.send(runs(1, singleton));
    await answered(world, 40_000);
    expect(starts(world)).toEqual(['web']);
  });
  return { disk: world.disk, containers: new Map(world.containers), at: world.ports.clock.now() };
};

const ended = (containers: ReadonlyMap<string, RuntimeContainer>): Map<string, RuntimeContainer> =>
  new Map(
    [...containers].map(([id, container]) => {
      const exit = { code: 143, signal: null, known: true, at: null };
      return [id, { ...container, task: 'stopped', pid: null, exit }];
    }),
  );

const events = (world: World): readonly (string | null | undefined)[] =>
  world.reports.flatMap(({ allocations }) =>
    allocations.map(({ tasks }) => tasks.find(({ name }) => name === 'clean')?.lastCheck),
  );

const NOT_RUN = 'it was not run, as another copy of this singleton may run by now';

describe('a runner that is started again', () => {
  it('knows when a reconciler last answered, however long nothing had changed', async () => {
    const { disk, containers, at } = await left(false);
    const world = createWorld(disk, containers);
    await world.advance(at - world.ports.clock.now());
    await living(world, async () => {
      await answered(world, 3000);
      expect(world.calls.filter((call) => /^(kill|start|remove) /.test(call))).toEqual([]);
      expect(world.containers.get(`${A}.web`)?.task).toBe('running');
    });
  });

  it('counts the time in which it was away', async () => {
    const { disk, containers, at } = await left(false);
    const world = createWorld(disk, containers);
    await world.advance(at - world.ports.clock.now() + STOP_AFTER_MS);
    await living(world, async () => {
      await world.advance(1000);
      expect(world.calls).toContain(`kill ${A}.web 15`);
    });
  });
});

describe('poststop tasks of a group with stop_after', () => {
  it('run when it stops because nobody answers', async () => {
    const world = createWorld();
    await living(world, async () => {
      world.acknowledged = world.ports.clock.now();
      world.send(runs(1, true));
      await world.advance(STOP_AFTER_MS + 1000);
      expect(starts(world)).toEqual(['web', 'clean']);
    });
  });

  it('run after a power cut, when it is no singleton', async () => {
    const { disk, containers } = await left(false);
    const world = createWorld(disk, ended(containers));
    Object.assign(world.ports.clock, { bootId: 'boot-2' });
    await living(world, async () => {
      await world.advance(2000);
      expect(starts(world)).toEqual(['clean']);
    });
  });

  it('of a singleton do not run after a power cut, and it is told', async () => {
    const { disk, containers } = await left(true);
    const world = createWorld(disk, ended(containers));
    Object.assign(world.ports.clock, { bootId: 'boot-2' });
    await living(world, async () => {
      await answered(world, 2000);
      world.send(testOrders(2, []));
      await answered(world, 4000);
      expect(starts(world)).toEqual([]);
      expect(world.containers.size).toBe(0);
      expect(events(world)).toContainEqual(expect.stringContaining(NOT_RUN));
    });
  });

  it('of a singleton do not run when it was away for so long that it may be replaced', async () => {
    const { disk, containers, at } = await left(true);
    const world = createWorld(disk, ended(containers));
    await world.advance(at - world.ports.clock.now() + STOP_AFTER_MS + 5000);
    await living(world, async () => {
      await answered(world, 2000);
      world.send(testOrders(2, []));
      await answered(world, 4000);
      expect(starts(world)).toEqual([]);
      expect(events(world)).toContainEqual(expect.stringContaining(NOT_RUN));
    });
  });

  it('of a singleton run again once orders say that this copy is the one', async () => {
    const { disk, containers, at } = await left(true);
    const world = createWorld(disk, ended(containers));
    await world.advance(at - world.ports.clock.now() + STOP_AFTER_MS + 5000);
    await living(world, async () => {
      await answered(world, 4000);
      world.send(runs(1, true));
      await answered(world, 3000);
      expect(starts(world)).toEqual(['web']);
      world.send(testOrders(2, []));
      await answered(world, 2000);
      expect(starts(world)).toEqual(['web', 'clean']);
    });
  });
});
