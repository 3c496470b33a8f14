// When a version has settled, and when it has not yet. Rules 2.4.
import { expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LiveAllocation } from '../../../schema/live.ts';
import {
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  STARTING,
  type JobWords,
} from '../../support/world.ts';

const marks = (job: DesiredJob, copies: readonly LiveAllocation[]): readonly string[] =>
  plan(desiredOf([job]), liveOf(copies), 0).proposals.flatMap((one) =>
    one.kind === 'ledger'
      ? one.records.flatMap((record) => (record.kind === 'settled' ? [record.job] : []))
      : [],
  );

const NODES = ['n001', 'n002', 'n003'];
const copyOf = (
  job: DesiredJob,
  index: number,
  facts: Partial<LiveAllocation> = {},
  group = 'main',
) => aCopy(job, { node: NODES[index % 3] ?? '', index, group }, facts);
const ILL: Partial<LiveAllocation> = { health: 'unhealthy', healthyForMs: null };

it('each slot was once healthy for long enough, and no group is below what it must keep', () => {
  const job = aJob({ count: 3 });
  const [a, b, c] = [0, 1, 2].map((index) => copyOf(job, index));
  if (a === undefined || b === undefined || c === undefined) throw new Error('three copies');
  expect(marks(job, [a, b, c])).toEqual(['shop/web']);
  expect(marks(job, [a, b])).toEqual([]);
  expect(marks(job, [a, b, copyOf(job, 2, STARTING)])).toEqual([]);
  const young = { everHealthy: false, healthyForMs: 9_000, firstHealthyForMs: null };
  expect(marks(job, [a, b, copyOf(job, 2, young)])).toEqual([]);
  // max_parallel 1, stop-first: one may be missing now, two may not.
  expect(marks(job, [a, b, copyOf(job, 2, ILL)])).toEqual(['shop/web']);
  expect(marks(job, [a, copyOf(job, 1, ILL), copyOf(job, 2, ILL)])).toEqual([]);
});

it('what the platform keeps from a slot is waited for until progress_deadline, not longer', () => {
  const update = { progressDeadlineMs: 60_000, maxParallel: { kind: 'count', copies: 3 } } as const;
  const words: JobWords = { count: 3, update };
  const job = aJob(words);
  const since = (ms: number) => ({ firstStartedForMs: ms, firstHealthyForMs: ms });
  const two = (ms: number) => [copyOf(job, 0, since(ms)), copyOf(job, 1, since(ms))];
  expect(marks(job, two(59_000))).toEqual([]);
  expect(marks(job, two(60_000))).toEqual(['shop/web']);
  const died = (failure: LiveAllocation['failure']) =>
    copyOf(job, 2, { ...DEAD, failure, firstStartedForMs: 60_000 });
  const disk = aFailure({ blame: 'platform', kind: 'disk' });
  expect(marks(job, [...two(60_000), died(disk)])).toEqual(['shop/web']);
  expect(marks(job, [...two(60_000), died(aFailure())])).toEqual([]);
  // Then the rest decides, at least one copy a group.
  const both = aJob({
    groups: [
      { name: 'a', count: 1 },
      { name: 'b', count: 1 },
    ],
    update,
  });
  const only = copyOf(both, 0, since(60_000), 'a');
  expect(marks(both, [only])).toEqual([]);
  expect(marks(both, [only, copyOf(both, 0, since(60_000), 'b')])).toEqual(['shop/web']);
});

it('nothing settles where nothing is wanted', () => {
  expect(marks(aJob({ count: 0 }), [])).toEqual([]);
  const stopped = aJob({ count: 1, stopped: true });
  expect(marks(stopped, [copyOf(stopped, 0)])).toEqual([]);
});
