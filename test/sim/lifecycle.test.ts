// Tasks in order (rules 15), told twice: the real runner keeps the order, and with a piece of it
// broken the checkers notice.

import { afterEach, describe, expect, it, vi } from 'vitest';

import type { Ms } from '../../schema/spec.ts';
import { GOOD } from './fake/registry.ts';
import { deploy } from './human.ts';
import { plainJob, plainScenario, startTold } from './run.ts';
import { differences } from './settle.ts';
import type { World } from './world.ts';

type Order = typeof import('../../node-runner/decide/order.ts');

/** What is broken now. */
const broken = vi.hoisted((): { order: Partial<Order> } => ({ order: {} }));

vi.mock('../../node-runner/decide/order.ts', async (original) => {
  const real = await original<Order>();
  const mayStart: Order['mayStart'] = (...all) => (broken.order.mayStart ?? real.mayStart)(...all);
  const isNeeded: Order['isNeeded'] = (...all) => (broken.order.isNeeded ?? real.isNeeded)(...all);
  const isEnding: Order['isEnding'] = (...all) => (broken.order.isEnding ?? real.isEnding)(...all);
  return { ...real, mayStart, isNeeded, isEnding };
});

afterEach(() => {
  broken.order = {};
});

const WEB = 'shop/web';
const UNTIL: Ms = 300_000;

/** Two copies come up, are replaced by another version, moved off a node, and restarted with it. */
const told = async (): Promise<World> => {
  const helpers = { initMs: 2_000, warmMs: 500, proxyStopsAfterMs: 100, clean: 'ends' } as const;
  const web = { ...plainJob('web'), count: 2, helpers };
  const { time, world } = startTold(plainScenario(3, [web]));
  time.at(60_000, 'deploy', () => deploy(world.human, WEB, { ...GOOD, healthyAfterMs: 500 }));
  time.at(130_000, 'drain', () => world.human.drain('n1', true));
  time.at(190_000, 'power', () => world.losePower('n2', { forMs: 5_000, wipe: false }));
  time.at(220_000, 'kill', () => world.restartRunner('n3', 3_000));
  await time.run(UNTIL, () => world.checker.violations.length === 0);
  return world;
};

describe('tasks in order', () => {
  it('the real runner keeps it, and all kinds were seen', async () => {
    const world = await told();
    expect(world.checker.violations).toEqual([]);
    expect(differences(world)).toEqual([]);
    const { prestart, sidecar, main, poststart, poststop } = world.checker.tasks;
    expect(Math.min(prestart, sidecar, main, poststart)).toBeGreaterThanOrEqual(4);
    expect(poststop).toBeGreaterThanOrEqual(3);
  });

  it.each<[string, Partial<Order>, RegExp]>([
    ['nobody waits at the start', { mayStart: () => true }, /^main .* begins .* before/],
    ['nobody waits at the end', { isNeeded: () => false }, /^sidecar .* ends .* while .* runs/],
  ])('the checker notices a runner with which %s', async (_, order, detail) => {
    broken.order = order;
    const [violation] = (await told()).checker.violations;
    expect(violation?.rule).toBe('order');
    expect(violation?.detail).toMatch(detail);
  });

  it('the checker sees that no poststop task ran', async () => {
    broken.order = { isEnding: () => false };
    expect((await told()).checker.tasks.poststop).toBe(0);
  });
});
