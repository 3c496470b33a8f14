// A copy that serves is not stopped before the images of what follows are there, also where that
// starts on another node, or only once the old copy is gone: the planner with played runners, and
// the real runner. (RULES 5.7, 6.2, 3)
import { describe, expect, it } from 'vitest';
import { observe } from '../../reconciler/live/observe.ts';
import { forecast } from '../../reconciler/plan/forecast.ts';
import type { FailureRecord, StopImage } from '../../schema/orders.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { living } from '../support/runner-life.ts';
import { testOrders, testTask } from '../support/runner-specs.ts';
import { createWorld, failure, type World } from '../support/runner-world.ts';
import {
  createCluster,
  heardBy,
  restart,
  run,
  running,
  type Cluster,
} from '../support/virtual-cluster.ts';
import { aJob, aNode, desiredOf } from '../support/world.ts';

type Words = Partial<GroupSpec>;
const SINGLE = { singleton: true, stopAfterMs: 10_000 };
const image = (digest: string) => [
  testTask({ image: { reference: 'r/web', repository: 'r/web', digest } }),
];
const OLD = { tasks: image('sha256:aa') };
const NEXT = { tasks: image('sha256:bb') };
const ABSENT = { blame: 'version', message: 'r/web@sha256:bb is not in the registry' } as const;
const DOWN = { blame: 'platform', message: 'the registry does not answer' } as const;

/** Version v1 settled and runs at `was`; then HEAD wants v2, and placement rules change in place. */
const rolling = (was: Words, now: Words): Cluster => {
  const first = aJob({ version: 'v1', groups: [{ ...OLD, ...was, count: 1 }] }, { settled: true });
  const cluster = createCluster(desiredOf([first]));
  run(cluster, 30_000);
  const groups = (tasks: Words) => [{ ...tasks, ...now, count: 1 }];
  const from = { version: 'v1', groups: groups(OLD) };
  cluster.desired = desiredOf([aJob({ version: 'v2', groups: groups(NEXT), from })]);
  return cluster;
};
const only = (value: string) => ({
  constraints: [
    { attribute: 'node.name', operator: '=', value, text: `node.name = ${value}` } as const,
  ],
});
const singleton = (): Cluster => rolling(SINGLE, SINGLE);
const moving = (): Cluster => rolling(only('n001'), only('n003'));
const digests = (cluster: Cluster) =>
  running(cluster, ({ spec }) => spec.tasks[0]?.image.digest ?? '').map((line) => line.slice(7));
const stops = (cluster: Cluster) => cluster.log.filter((line) => line.includes(' stop '));
/** The next image cannot be fetched; the old one can. */
const cannot =
  (why: Pick<FailureRecord, 'blame' | 'message'>) =>
  ({ digest }: StopImage) =>
    digest === 'sha256:bb' ? why : null;

describe.each([
  ['a singleton', singleton],
  ['a copy that goes on elsewhere', moving],
])('%s', (_, begin) => {
  it('goes once the node of what follows has fetched the image, whenever that is', () => {
    const cluster = begin();
    cluster.fetches = cannot(DOWN);
    run(cluster, 600_000);
    expect(digests(cluster)).toEqual([expect.stringContaining('sha256:aa')]);
    expect(stops(cluster)).toEqual([]);
    expect(cluster.lastPlan?.blocked).toMatchObject([
      {
        why: 'image-fetch',
        slot: 'shop/web/main[0]',
        detail: expect.stringContaining(DOWN.message),
      },
    ]);
    expect(cluster.log.some((line) => line.includes('failed'))).toBe(false);
    cluster.fetches = () => null;
    run(cluster, 60_000);
    expect(digests(cluster)).toEqual([expect.stringContaining('sha256:bb')]);
    expect(cluster.desired.jobs[0]?.settled).toBe(true);
    expect(cluster.violations).toEqual([]);
  });

  it('waits on when another reconciler takes over', () => {
    const cluster = begin();
    cluster.fetches = cannot(DOWN);
    run(cluster, 60_000);
    restart(cluster);
    run(cluster, 60_000);
    expect(stops(cluster)).toEqual([]);
    expect(cluster.lastPlan?.fetches).toMatchObject([{ images: [{ digest: 'sha256:bb' }] }]);
  });

  it('stays while its version fails after healthy_deadline, for want of its image', () => {
    const cluster = begin();
    cluster.fetches = cannot(ABSENT);
    run(cluster, 299_000);
    expect(cluster.log.some((line) => line.includes('record failed'))).toBe(false);
    expect(stops(cluster)).toEqual([]);
    run(cluster, 5_000);
    expect(cluster.desired.jobs[0]?.failed?.evidence).toEqual({
      reason: `its image cannot be had for 300 s: ${ABSENT.message}`,
      allocations: [],
    });
    run(cluster, 60_000);
    expect(cluster.proposals).toMatchObject([{ kind: 'revert', job: 'shop/web' }]);
    expect(cluster.lastPlan?.fetches).toBeUndefined();
    expect(digests(cluster)).toEqual([expect.stringContaining('sha256:aa')]);
  });

  it('is foreseen: a plan shows what goes and what comes', () => {
    const cluster = begin();
    const waves = forecast(cluster.desired, observe(heardBy(cluster), cluster.now), cluster.now);
    expect(waves.flatMap(({ steps }) => steps.map(({ kind }) => kind))).toEqual(
      expect.arrayContaining(['stop', 'start']),
    );
    expect(waves.length).toBeLessThan(6);
  });
});

it('a drain fetches the image where the copy goes on, unless a copy there runs it', () => {
  const job = aJob({ groups: [{ ...OLD, count: 2 }] });
  const drained = (names: readonly string[]) => {
    const nodes = names.map((name) => aNode(name));
    const cluster = createCluster(desiredOf([job], { nodes }));
    run(cluster, 30_000);
    cluster.fetches = () => DOWN;
    const [first, ...rest] = nodes;
    const drain = first === undefined ? [] : [{ ...first, drain: 'yes' as const }];
    cluster.desired = { ...cluster.desired, nodes: [...drain, ...rest] };
    run(cluster, 30_000);
    return stops(cluster).length;
  };
  expect(drained(['n001', 'n002'])).toBe(1);
  expect(drained(['n001', 'n002', 'n003'])).toBe(0);
});

describe('the runner', () => {
  const fetch = [{ repository: 'r/web', digest: 'sha256:bb' }];
  const withRunner = (use: (world: World) => Promise<void>): Promise<void> => {
    const world = createWorld();
    return living(world, () => use(world));
  };
  const pulls = (world: World) => world.calls.filter((call) => call.startsWith('pull ')).length;

  it('fetches what its orders name, and says at once that it is there', () =>
    withRunner(async (world) => {
      world.send({ ...testOrders(1, []), fetch });
      await world.advance(1000);
      expect(pulls(world)).toBe(1);
      expect(world.last().fetched).toEqual([{ ...fetch[0], failure: null }]);
      world.send(testOrders(2, []));
      await world.advance(1000);
      expect(world.last().fetched).toBeUndefined();
    }));

  it('says since when an image cannot be had, tries again less and less, and begins anew', () =>
    withRunner(async (world) => {
      world.faults.set('pull r/web@sha256:bb', failure('image-not-found', 'version', 'gone'));
      world.send({ ...testOrders(1, []), fetch });
      await world.advance(100_000);
      expect(pulls(world)).toBeLessThan(10);
      const [told] = world.last().fetched ?? [];
      expect(told?.failure).toMatchObject({ blame: 'version', message: 'gone' });
      expect(told?.failure?.forMs).toBeGreaterThan(90_000);
      world.send(testOrders(2, []));
      await world.advance(1000);
      world.send({ ...testOrders(3, []), fetch });
      await world.advance(5000);
      expect(world.last().fetched?.[0]?.failure?.forMs).toBeLessThan(6000);
    }));
});
