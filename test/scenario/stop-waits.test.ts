// A stop that waits for the image of what follows: the runner's side, and what the planner does
// when the image cannot be had. (RULES 5.7, 10.1)
import { describe, expect, it } from 'vitest';
import { orders as ordersOf } from '../../reconciler/plan/orders.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { createTick } from '../../node-runner/tick.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import type { OrderItem } from '../../schema/orders.ts';
import {
  runItem,
  stopItem,
  testBody,
  testGroup,
  testNode,
  testOrders,
  testTask,
} from '../support/runner-specs.ts';
import type { World } from '../support/runner-world.ts';
import { createWorld, failure } from '../support/runner-world.ts';
import {
  aCopy,
  aJob,
  aNode,
  desiredOf,
  liveOf,
  settledBefore,
  STARTING,
} from '../support/world.ts';

const next = { repository: 'r/web', digest: 'sha256:bb' };
const old = testBody('a-0-1');
const follower = testBody('b-0-1', {
  spec: testGroup({
    hash: 'ee'.repeat(32),
    tasks: [testTask({ image: { reference: 'r/web:2', ...next } })],
  }),
});
const stop = { ...stopItem('a-0-1'), images: [next] } as OrderItem;

const withOld = async (use: (world: World) => Promise<void>): Promise<void> => {
  const world = createWorld();
  const end = new AbortController();
  const done = createTick(world.ports, testNode).run(end.signal);
  try {
    await world.advance(200);
    world.send(testOrders(1, [runItem(old)]));
    await world.advance(15_000);
    expect(copyIn(world, 'a-0-1')).toMatchObject({ phase: 'running', health: 'healthy' });
    world.calls.length = 0;
    await use(world);
  } finally {
    end.abort();
    await world.advance(2000);
    await done;
  }
};

const copyIn = (world: World, id: string) =>
  world.last().allocations.find(({ allocation }) => allocation === id);
const verbs = (world: World, ...kinds: readonly string[]) =>
  world.calls.filter((call) => kinds.includes(call.split(' ')[0] ?? ''));

describe('a stop that waits for images', () => {
  it('comes after the pull, and the start after the stop', () =>
    withOld(async (world) => {
      world.send(testOrders(2, [stop, runItem(follower, ['a-0-1'])]));
      await world.advance(2000);
      expect(verbs(world, 'pull', 'kill', 'create')).toEqual([
        'pull r/web@sha256:bb',
        'kill a-0-1.server 15',
        'create b-0-1.server',
      ]);
      expect(world.last().allocations.map(({ allocation }) => allocation)).toEqual(['b-0-1']);
    }));

  it('waits also where nothing is to start yet, as with a singleton', () =>
    withOld(async (world) => {
      world.send(testOrders(2, [stop]));
      await world.advance(2000);
      expect(verbs(world, 'pull', 'kill')).toEqual([
        'pull r/web@sha256:bb',
        'kill a-0-1.server 15',
      ]);
    }));

  it.each([
    ['the registry is down', failure('registry', 'platform', 'no answer')],
    ['the image does not exist', failure('image-not-found', 'version', 'r/web@sha256:bb is gone')],
  ])('leaves the old copy alone while %s, for ever if need be', (_, fault) =>
    withOld(async (world) => {
      world.faults.set('pull r/web@sha256:bb', fault);
      world.send(testOrders(2, [stop, runItem(follower, ['a-0-1'])]));
      await world.advance(150_000);
      expect(verbs(world, 'kill', 'create', 'remove')).toEqual([]);
      expect(copyIn(world, 'a-0-1')).toMatchObject({
        phase: 'running',
        health: 'healthy',
        stopWaits: [next],
      });
      expect(copyIn(world, 'b-0-1')?.failure?.message).toBe(fault.message);
    }),
  );

  it('is taken back by orders that want the copy again', () =>
    withOld(async (world) => {
      world.faults.set('pull r/web@sha256:bb', failure('registry', 'platform', 'no answer'));
      world.send(testOrders(2, [stop, runItem(follower, ['a-0-1'])]));
      await world.advance(60_000);
      world.send(testOrders(3, [runItem(old)]));
      world.faults.clear();
      await world.advance(60_000);
      expect(verbs(world, 'kill', 'create')).toEqual([]);
      expect(world.last().allocations).toMatchObject([{ allocation: 'a-0-1', phase: 'running' }]);
      expect(copyIn(world, 'a-0-1')?.stopWaits).toBeUndefined();
    }));

  it('goes when the image is there for the next attempt, whatever died before', () =>
    withOld(async (world) => {
      world.faults.set('pull r/web@sha256:bb', failure('image-not-found', 'version', 'gone'));
      world.send(testOrders(2, [stop, runItem(follower, ['a-0-1'])]));
      await world.advance(60_000);
      expect(copyIn(world, 'b-0-1')?.phase).toBe('dead');
      world.faults.clear();
      const next = { ...follower, allocation: 'b-0-2', attempt: 2 };
      const both = [runItem(follower, ['a-0-1']), runItem(next, ['a-0-1'])];
      world.send(testOrders(3, [stop, ...both]));
      await world.advance(60_000);
      expect(verbs(world, 'kill', 'create')).toEqual([
        'kill a-0-1.server 15',
        'create b-0-2.server',
      ]);
    }));

  it('does not keep a copy that no longer serves', () =>
    withOld(async (world) => {
      world.faults.set('pull r/web@sha256:bb', failure('registry', 'platform', 'no answer'));
      world.exits('a-0-1.server', { code: 1 });
      world.send(testOrders(2, [stop, runItem(follower, ['a-0-1'])]));
      await world.advance(2000);
      expect(copyIn(world, 'a-0-1')).toBeUndefined();
    }));
});

const image = (digest: string) => ({
  tasks: [testTask({ image: { reference: 'r/web:1', repository: 'r/web', digest } })],
});
const words = {
  count: 1,
  version: 'v2',
  groups: [image('sha256:bb')],
  from: { version: 'v1', groups: [image('sha256:aa')] },
};
const waitingCopy = (job: ReturnType<typeof aJob>, facts: Partial<LiveAllocation> = {}) =>
  aCopy(
    settledBefore(job),
    { node: 'n001', index: 0 },
    { stopping: true, stopWaits: [next], ...facts },
  );
const pullingCopy = (job: ReturnType<typeof aJob>) =>
  aCopy(
    job,
    { node: 'n001', index: 0 },
    { ...STARTING, phase: 'pending', firstStartedForMs: null, runningForMs: null },
  );

describe('the planner', () => {
  it('names the images of what follows behind the stop', () => {
    const job = aJob(words);
    const live = liveOf([aCopy(settledBefore(job), { node: 'n001', index: 0 })]);
    const made = plan(desiredOf([job]), live, 1_000_000);
    expect(made.steps.find(({ kind }) => kind === 'stop')).toMatchObject({ images: [next] });
    const [sent] = ordersOf(made, live, { cluster: 'test', commit: 'c'.repeat(40) });
    expect(sent?.items.find(({ kind }) => kind === 'stop')).toMatchObject({ images: [next] });
    expect(made.steps.some(({ kind }) => kind === 'start')).toBe(true);
    expect(made.fetches).toBeUndefined();
  });

  it('leaves a stop that waits as it is while its rollout goes on', () => {
    const job = aJob(words);
    const made = plan(desiredOf([job]), liveOf([waitingCopy(job), pullingCopy(job)]), 1_000_000);
    expect(made.steps).toEqual([]);
  });

  it('goes on waiting when another reconciler takes over', () => {
    const job = aJob(words);
    // As observe makes of it what a node reports that was sent nothing yet in this session.
    const live = liveOf([waitingCopy(job), pullingCopy(job)]);
    const made = plan(desiredOf([job]), live, 1_000_000);
    const [sent] = ordersOf(made, live, { cluster: 'test', commit: 'c'.repeat(40) });
    const [stop] = sent?.items.filter(({ kind }) => kind === 'stop') ?? [];
    expect(stop).toMatchObject({ allocation: waitingCopy(job).allocation, images: [next] });
    const [follows] = sent?.items.filter(({ kind }) => kind === 'run') ?? [];
    expect(follows).toMatchObject({ after: [waitingCopy(job).allocation] });
  });

  it.each(['the commit was reverted', 'the version has failed'])(
    'takes the stop back, and stops what cannot start, when %s',
    (why) => {
      const job = aJob(words);
      const evidence = { reason: 'no image', allocations: [] };
      const now = why.includes('failed') ? { ...job, failed: { evidence } } : settledBefore(job);
      const live = liveOf([waitingCopy(job), pullingCopy(job)]);
      const made = plan(desiredOf([now]), live, 1_000_000);
      const byKind = (kind: string) => made.steps.filter((step) => step.kind === kind);
      expect(byKind('update')).toMatchObject([{ allocation: waitingCopy(job).allocation }]);
      expect(byKind('stop')).toMatchObject([{ allocation: pullingCopy(job).allocation }]);
      const [sent] = ordersOf(made, live, { cluster: 'test', commit: 'c'.repeat(40) });
      expect(sent?.items.map(({ kind, allocation }) => [allocation, kind])).toEqual(
        [
          [waitingCopy(job).allocation, 'run'],
          [pullingCopy(job).allocation, 'stop'],
        ].toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
      );
    },
  );

  it.each([
    ['stopped', { stopped: true }],
    ['scaled to nothing', { count: 0, groups: [{ ...image('sha256:bb'), count: 0 }] }],
  ])('stops the copy at once when its job is %s', (_, change) => {
    const job = aJob({ ...words, ...change });
    const copy = { ...waitingCopy(aJob(words)), health: 'healthy' } as const;
    const made = plan(desiredOf([job]), liveOf([copy]), 1_000_000);
    const [stop] = made.steps.filter(({ kind }) => kind === 'stop');
    expect(stop).toMatchObject({ allocation: copy.allocation });
    expect(stop).not.toHaveProperty('images');
  });

  it('takes the stop back when all that was to follow has died, and tries again', () => {
    const job = aJob(words);
    const died = (attempt: number, deadForMs: number) =>
      aCopy(
        job,
        { node: 'n001', index: 0, attempt },
        {
          phase: 'dead',
          health: 'unhealthy',
          everHealthy: false,
          deadForMs,
          failure: {
            blame: 'version',
            kind: 'image-not-found',
            task: 'main',
            message: 'r/web@sha256:bb is not in the registry.',
            ageMs: deadForMs,
          },
        },
      );
    const kindsOf = (...live: readonly LiveAllocation[]) =>
      plan(desiredOf([job]), liveOf(live), 1_000_000).steps.map(({ kind }) => kind);
    expect(kindsOf(waitingCopy(job), died(1, 60_000))).toEqual(['update']);
    const runsOn = { stopping: false, stopWaits: undefined };
    const { stopWaits: _, ...kept } = { ...waitingCopy(job), ...runsOn };
    expect(kindsOf(kept, died(1, 60_000)).toSorted()).toEqual(['start', 'stop']);
    // The next attempt is under way: the stop waits on.
    expect(kindsOf(waitingCopy(job), died(1, 60_000), pullingCopy(job))).toEqual([]);
  });

  it('takes the stop back when others have failed meanwhile, and asks again when they are back', () => {
    const job = aJob({ ...words, count: 3, groups: [{ ...image('sha256:bb'), count: 3 }] });
    const before = settledBefore(job);
    const other = (index: number, facts: Partial<LiveAllocation> = {}) =>
      aCopy(before, { node: `n00${index + 1}`, index }, facts);
    const unhealthy = { health: 'unhealthy', healthyForMs: null } as const;
    const stepsOf = (...live: readonly LiveAllocation[]) =>
      plan(desiredOf([job]), liveOf(live), 1_000_000).steps.map(
        ({ kind, slot }) => `${kind} ${slot}`,
      );
    const both = [waitingCopy(job), pullingCopy(job)];
    expect(stepsOf(...both, other(1), other(2))).toEqual([]);
    expect(stepsOf(...both, other(1), other(2, unhealthy)).toSorted()).toEqual([
      'stop shop/web/main[0]',
      'update shop/web/main[0]',
    ]);
    const { stopWaits: _, ...kept } = waitingCopy(job, { stopping: false });
    expect(stepsOf(kept, other(1), other(2))).toContain('stop shop/web/main[0]');
  });

  it('takes the stop back when something else follows, and its node is drained', () => {
    const job = aJob({ ...words, version: 'v3', groups: [image('sha256:cc')] });
    const names = ['n001', 'n002'];
    const nodes = [aNode('n001', { drain: 'yes' }), aNode('n002')];
    const live = liveOf([waitingCopy(job)], {}, names);
    const made = plan(desiredOf([job], { nodes }), live, 1_000_000);
    expect(made.steps).toMatchObject([
      { kind: 'update', allocation: waitingCopy(job).allocation, changes: ['stays'] },
    ]);
    const [sent] = ordersOf(made, live, { cluster: 'test', commit: 'c'.repeat(40) });
    expect(sent?.items.map(({ kind }) => kind)).toEqual(['run']);
    const { stopWaits: _, ...kept } = waitingCopy(job, { stopping: false });
    const then = plan(desiredOf([job], { nodes }), liveOf([kept], {}, names), 1_000_000);
    expect(then.fetches).toMatchObject([{ node: 'n002' }]);
  });

  it('does not take back a stop that is begun', () => {
    const job = aJob(words);
    const begun = waitingCopy(job, { phase: 'stopping' });
    const made = plan(desiredOf([settledBefore(job)]), liveOf([begun]), 1_000_000);
    expect(made.steps.filter(({ kind }) => kind === 'update')).toEqual([]);
  });
});
