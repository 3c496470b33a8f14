// Sentences of the rules about rollouts that stories do not single out: what costs the budget, what
// counts, what a registry's answer means. Rules 2.5, 3, 4.2.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LiveAllocation } from '../../../schema/live.ts';
import type { Plan } from '../../../schema/plan.ts';
import {
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  GIB,
  liveOf,
  settledBefore,
  STARTING,
} from '../../support/world.ts';

const NODES = ['n001', 'n002', 'n003'];
const copyOf = (job: DesiredJob, index: number, facts: Partial<LiveAllocation> = {}) =>
  aCopy(job, { node: NODES[index % 3] ?? '', index }, facts);
const planned = (job: DesiredJob, copies: readonly LiveAllocation[]): Plan =>
  plan(desiredOf([job]), liveOf(copies), 0);
const stops = ({ steps }: Plan) => steps.flatMap((one) => (one.kind === 'stop' ? [one.slot] : []));
const statusOf = ({ deployments }: Plan) => deployments[0]?.status;
const recordsOf = ({ proposals }: Plan) =>
  proposals.flatMap((one) => (one.kind === 'ledger' ? one.records : []));

describe('a copy without a result yet, whose runner has just restarted (4.2)', () => {
  const job = aJob({ version: 'v2', from: { version: 'v1' } });
  const old = settledBefore(job);
  const unsure: Partial<LiveAllocation> = { health: 'unproven', healthyForMs: null };

  it('costs the budget as a healthy one does, and never counts as healthy', () => {
    expect(
      stops(
        planned(
          job,
          [0, 1, 2].map((index) => copyOf(old, index)),
        ),
      ),
    ).toHaveLength(1);
    const one = planned(job, [copyOf(old, 0), copyOf(old, 1), copyOf(old, 2, unsure)]);
    expect(stops(one)).toEqual([]);
    expect(one.blocked.map((entry) => entry.kind === 'waiting' && entry.why)).toContain(
      'min-healthy-time',
    );
    const all = [0, 1, 2].map((index) => copyOf(old, index, unsure));
    expect(stops(planned(job, all))).toEqual([]);
  });

  it('is free to stop once it is known to be unhealthy, or if it never was healthy', () => {
    const ill: Partial<LiveAllocation> = { health: 'unhealthy', healthyForMs: null };
    const two = [copyOf(old, 0), copyOf(old, 1)];
    expect(stops(planned(job, [...two, copyOf(old, 2, ill)]))).toEqual(['shop/web/main[2]']);
    const never = { ...unsure, everHealthy: false, firstHealthyForMs: null };
    expect(stops(planned(job, [...two, copyOf(old, 2, never)]))).toEqual(['shop/web/main[2]']);
  });
});

describe('an image that is not resolved (3)', () => {
  const held = { standing: { kind: 'held', why: 'unresolved image: app:2' } } as const;
  const words = { version: 'v2', from: { version: 'v1' } } as const;
  const after = (blame: 'version' | 'platform', sinceMs: number) => {
    const unresolved = { message: 'app:2: no such manifest', sinceMs, blame };
    const job = aJob(words, { ...held, unresolved });
    return planned(
      job,
      [0, 1, 2].map((index) => copyOf(settledBefore(job), index)),
    );
  };

  it('fails the deployment once its manifest was unknown for healthy_deadline', () => {
    expect(statusOf(after('version', 299_999))).toBe('held');
    const failed = after('version', 300_000);
    expect(statusOf(failed)).toBe('failed');
    expect(recordsOf(failed)).toMatchObject([
      { kind: 'failed', evidence: { reason: 'app:2: no such manifest' } },
    ]);
  });

  it('for reasons of the platform it never does, and nothing is touched', () => {
    const waits = after('platform', 3_600_000);
    expect(statusOf(waits)).toBe('held');
    expect(recordsOf(waits)).toEqual([]);
    expect(waits.steps).toEqual([]);
  });
});

it('a rollback is neither held back by canaries nor given up by the machine (2.5)', () => {
  const words = { version: 'v2', from: { version: 'v1' }, update: { canary: 1 } } as const;
  const olds = (job: DesiredJob) => [0, 1, 2].map((index) => copyOf(settledBefore(job), index));
  const first = aJob(words);
  const starts = ({ steps }: Plan) =>
    steps.flatMap((one) => (one.kind === 'start' ? [one.reason] : []));
  expect(starts(planned(first, olds(first)))).toEqual(['canary']);
  const back = aJob(words, { isRollback: true });
  expect(starts(planned(back, olds(back)))).toEqual(['rollout']);
  const dead = (job: DesiredJob) =>
    [2, 3].map((attempt) =>
      aCopy(job, { node: 'n001', index: 0, attempt }, { ...DEAD, failure: aFailure() }),
    );
  expect(statusOf(planned(first, [...olds(first), ...dead(first)]))).toBe('failed');
  const failing = planned(back, [...olds(back), ...dead(back)]);
  expect(statusOf(failing)).toBe('stalled');
  expect(failing.proposals).toEqual([]);
});

it('a quota that is used up blocks what is new, not what takes the place of a copy (13)', () => {
  const job = aJob({ count: 2 }, { settled: true });
  const quota = { cpuMilli: 1, memoryBytes: 1 };
  const desired = desiredOf([job], {
    namespaces: [{ name: 'shop', protected: false, quota, evidence: 'codes' }],
  });
  const dead = copyOf(job, 0, { ...DEAD, deadForMs: 60_000 });
  const made = plan(desired, liveOf([dead]), 0);
  expect(made.steps).toMatchObject([{ slot: 'shop/web/main[0]', reason: 'reschedule' }]);
  const quotas = made.blocked.filter((one) => one.kind === 'waiting' && one.why === 'quota');
  expect(quotas).toMatchObject([{ slot: 'shop/web/main[1]' }]);
});

it.each([
  [{ cpuMilli: 50, memoryBytes: GIB }, 'a copy asks for 100m of CPU, 50m is left'],
  [
    { cpuMilli: 4_000, memoryBytes: 64 * 1024 * 1024 },
    'a copy asks for 95.37MiB of memory, 64MiB is left',
  ],
])('a quota that is used up says what is asked and what is left (13)', (quota, words) => {
  const namespaces = [{ name: 'shop', protected: false, quota, evidence: 'codes' as const }];
  const made = plan(desiredOf([aJob({ count: 1 })], { namespaces }), liveOf([]), 0);
  expect(made.blocked).toMatchObject([
    { why: 'quota', detail: `the quota of namespace shop is used up: ${words}` },
  ]);
});

it('a percentage of copies is one at least (5.1)', () => {
  const update = { maxParallel: { kind: 'percent', percent: 10 } } as const;
  const job = aJob({ version: 'v2', from: { version: 'v1' }, update });
  expect(
    stops(
      planned(
        job,
        [0, 1, 2].map((at) => copyOf(settledBefore(job), at)),
      ),
    ),
  ).toHaveLength(1);
  const fresh = { ...update, order: 'start-first' } as const;
  const beside = aJob({ version: 'v2', from: { version: 'v1' }, update: fresh });
  const olds = [0, 1, 2].map((at) => copyOf(settledBefore(beside), at));
  expect(planned(beside, olds).steps.map(({ kind }) => kind)).toEqual(['start']);
});

it('a promotion of another version is ignored (5.3)', () => {
  const at = (promote: string | null) => {
    const words = { version: 'v2', from: { version: 'v1' }, update: { canary: 1, promote } };
    const job = aJob(words);
    const olds = [0, 1, 2].map((index) => copyOf(settledBefore(job), index));
    const made = planned(job, [...olds, aCopy(job, { node: 'n002', index: 0 })]);
    return { status: statusOf(made), stops: stops(made).length, hash: job.spec.specHash };
  };
  const { hash, ...waits } = at(null);
  expect(waits).toEqual({ status: 'canary', stops: 0 });
  expect(at('0123456789ab')).toMatchObject(waits);
  expect(at(hash.slice(0, 12))).toMatchObject({ status: 'rolling', stops: 2 });
});

it('what starts again makes no progress (5.4, 6.2)', () => {
  const update = { progressDeadlineMs: 100_000, healthyDeadlineMs: 90_000 };
  const job = aJob({ version: 'v2', from: { version: 'v1' }, count: 1, update });
  const again = (firstMs: number) => {
    const dead = { ...DEAD, failure: aFailure(), firstStartedForMs: firstMs };
    const young = { ...STARTING, firstStartedForMs: 5_000 };
    return planned(job, [
      copyOf(settledBefore(job), 2),
      aCopy(job, { node: 'n001', index: 0, attempt: 1 }, dead),
      aCopy(job, { node: 'n001', index: 0, attempt: 2 }, young),
    ]);
  };
  expect(statusOf(again(99_000))).not.toBe('failed');
  const failed = again(100_000);
  expect(statusOf(failed)).toBe('failed');
  expect(recordsOf(failed)).toMatchObject([
    { evidence: { reason: 'no progress for 100 s: exited with code 1' } },
  ]);
});
