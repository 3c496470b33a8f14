// Copies that were ordered and that their node never answered for (rules 10.1).
import { describe, expect, it } from 'vitest';
import { check } from '../../../reconciler/plan/check.ts';
import { orders } from '../../../reconciler/plan/orders.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, desiredOf, liveOf, STARTING } from '../../support/world.ts';

const ORDERED = {
  ...STARTING,
  standing: 'ordered',
  phase: 'pending',
  acceptedForMs: 0,
  firstStartedForMs: null,
  runningForMs: null,
} as const;
const steps = (desired: DesiredState, live: LiveState) => {
  const made = plan(desired, live, 0);
  expect(check(made, live, desired)).toEqual([]);
  return made.steps.map(({ kind, slot, node }) => `${kind} ${slot} ${node}`).toSorted();
};

describe('a copy that was ordered and not answered for', () => {
  const job = aJob({ count: 1 });
  const live = liveOf([aCopy(job, { node: 'n001', index: 0 }, ORDERED)]);

  it('holds its slot', () => {
    expect(steps(desiredOf([job]), live)).toEqual([]);
  });

  it('is stopped when its job, its group or its slot is wanted no more', () => {
    const stop = ['stop shop/web/main[0] n001'];
    expect(steps(desiredOf([]), live)).toEqual(stop);
    expect(steps(desiredOf([aJob({ count: 1, stopped: true })]), live)).toEqual(stop);
    expect(steps(desiredOf([aJob({ count: 0 })]), live)).toEqual(stop);
  });

  it('gives way to a newer version: its node may refuse the whole set because of it', () => {
    expect(steps(desiredOf([aJob({ count: 1, version: 'v2' })]), live)).toEqual([
      'start shop/web/main[0] n001',
      'stop shop/web/main[0] n001',
    ]);
  });
});

describe('copies of a job whose file never was valid for this release (1.3)', () => {
  const job = aJob({ count: 2 }, { settled: true });
  const live = liveOf([0, 1].map((index) => aCopy(job, { node: `n00${index + 1}`, index })));
  const problem = {
    file: 'jobs/shop/web.yaml',
    line: 1,
    column: 1,
    code: 'field-unknown',
    severity: 'error',
    message: 'a stricter release',
    advice: '',
  } as const;

  it('stay as their runners accepted them, and nobody may approve them away', () => {
    const desired = desiredOf([], { problems: [problem] });
    const made = plan(desired, live, 0);
    expect(made.steps).toEqual([]);
    expect(made.guarded).toEqual([]);
    expect(made.synced).toBe(false);
    const sets = orders(made, live, { cluster: 'test', commit: 'c' });
    expect(
      sets.flatMap(({ items }) => items.map((item) => item.kind === 'run' && item.body)),
    ).toEqual(live.nodes.flatMap(({ allocations }) => allocations.map(({ body }) => body)));
    expect(steps(desiredOf([]), live)).toHaveLength(2);
  });
});
