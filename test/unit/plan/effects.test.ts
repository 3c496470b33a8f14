// What an approval would cover: slots that go for good, and nothing else (rules 8.2).

import { expect, test } from 'vitest';
import { effectsOf } from '../../../reconciler/plan/effects.ts';
import { forecastWith } from '../../../reconciler/plan/forecast.ts';
import { createPlanMemo } from '../../../reconciler/plan/memo.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { PreviewSide } from '../../../schema/preview.ts';
import { aCopy, aJob, desiredOf, liveOf } from '../../support/world.ts';

const was = aJob({ count: 3 }, { settled: true });
const copies = [0, 1, 2].map((index) => aCopy(was, { node: `n00${index + 1}`, index }));

const sideOf = (jobs: readonly DesiredJob[]): PreviewSide => {
  const desired = desiredOf(jobs);
  const { waves, first } = forecastWith(createPlanMemo(), {
    desired,
    live: liveOf(copies),
    now: 0,
  });
  return { desired, waves, first };
};

test.each([
  ['nothing', aJob({ count: 3 }, { settled: true }), []],
  ['a new version', aJob({ version: 'v2', from: { version: 'v1' }, count: 3 }), []],
  ['a smaller count', aJob({ count: 2 }, { settled: true }), ['shop/web/main[2]']],
  [
    'a removal',
    { ...was, standing: { kind: 'removed' } } as const,
    ['shop/web/main[0]', 'shop/web/main[1]', 'shop/web/main[2]'],
  ],
])('of %s', (_, job, slots) => {
  expect(effectsOf(sideOf([was]), sideOf([job]))).toEqual({ slots });
});

test('what goes without the change too is not its effect', () => {
  const smaller = sideOf([aJob({ count: 2 }, { settled: true })]);
  expect(effectsOf(smaller, smaller)).toEqual({ slots: [] });
});
