// Which rollouts count for max_deployments, and which do not. Rules 5.6.
import { expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import {
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  settledBefore,
  type JobWords,
} from '../../support/world.ts';

const ROLLS = { version: 'v2', from: { version: 'v1' }, count: 1 } as const;

/** What becomes of `z` where one rollout may go on at a time and `first` is before it. */
const after = (words: JobWords, facts: Partial<DesiredJob> = {}, dead = 0) => {
  const first = aJob({ ...ROLLS, ...words, name: 'a' }, facts);
  const last = aJob({ ...ROLLS, name: 'z' });
  const olds = [first, last].flatMap((job) =>
    job.fallback === null ? [] : [aCopy(settledBefore(job), { node: 'n001', index: 0 })],
  );
  const deaths = Array.from({ length: dead }, (_, at) =>
    aCopy(first, { node: 'n002', index: 0, attempt: at + 2 }, { ...DEAD, failure: aFailure() }),
  );
  const canary = first.spec.update.canary > 0 ? [aCopy(first, { node: 'n003', index: 0 })] : [];
  const desired = desiredOf([first, last]);
  const one = { ...desired, cluster: { ...desired.cluster, maxDeployments: 1 } };
  const { deployments } = plan(one, liveOf([...olds, ...deaths, ...canary]), 0);
  return deployments.map(({ job, status }) => `${job} ${status}`);
};

it('a rollout counts, and so does one that has stalled', () => {
  expect(after({})).toEqual(['shop/a rolling', 'shop/z waiting']);
  expect(after({}, {}, 1)).toEqual(['shop/a stalled', 'shop/z waiting']);
});

it('rollbacks, and what is paused, waits for promotion or has failed, do not', () => {
  expect(after({}, { isRollback: true })).toEqual(['shop/a rolling', 'shop/z rolling']);
  expect(after({ update: { paused: true } })).toEqual(['shop/a paused', 'shop/z rolling']);
  expect(after({ update: { canary: 1 } })).toEqual(['shop/a canary', 'shop/z rolling']);
  expect(after({}, {}, 2)).toEqual(['shop/a failed', 'shop/z rolling']);
});
