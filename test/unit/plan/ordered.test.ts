// Copies that were ordered and that their node never answered for (rules 10.1).
import { describe, expect, it } from 'vitest';
import { check } from '../../../reconciler/plan/check.ts';
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
