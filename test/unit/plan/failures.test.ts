// What counts as a version's failure, and what follows. Rules 6.1, 6.2, 6.4, 5.5.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LiveAllocation } from '../../../schema/live.ts';
import {
  aCopy,
  aFailure,
  aGroup,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  settledBefore,
  STARTING,
  type JobWords,
} from '../../support/world.ts';

const words = (update: JobWords['update'] = {}): JobWords & { readonly from: JobWords } => ({
  version: 'v2',
  from: { version: 'v1' },
  update,
});
const NODES = ['n001', 'n002', 'n003'];
const olds = (job: DesiredJob, facts: Partial<LiveAllocation> = {}, from = 0) =>
  [0, 1, 2]
    .slice(from)
    .map((index) => aCopy(settledBefore(job), { node: NODES[index] ?? '', index }, facts));
const deaths = (job: DesiredJob, count: number, ageMs = 1_000) =>
  Array.from({ length: count }, (_, at) =>
    aCopy(
      job,
      { node: 'n001', index: 0, attempt: at + 2 },
      { ...DEAD, failure: aFailure({ ageMs }) },
    ),
  );
const look = (job: DesiredJob, copies: readonly LiveAllocation[]) => {
  const made = plan(desiredOf([job]), liveOf(copies), 0);
  return {
    status: made.deployments[0]?.status,
    proposals: made.proposals.map((one) =>
      one.kind === 'ledger' ? one.records[0]?.kind : one.kind,
    ),
    starts: made.steps.flatMap((one) => (one.kind === 'start' ? [one.slot] : [])),
    stops: made.steps.flatMap((one) => (one.kind === 'stop' ? [one.slot] : [])),
  };
};

describe('settled copies that turn unhealthy together with new ones', () => {
  const job = aJob(words());
  const illSince = (ageMs: number): Partial<LiveAllocation> => ({
    health: 'unhealthy',
    healthyForMs: null,
    failure: aFailure({ ageMs, kind: 'check-failed' }),
  });

  it('say that it is not the version: it stalls and is not failed', () => {
    expect(look(job, [...olds(job, {}, 1), ...deaths(job, 2)]).status).toBe('failed');
    const both = look(job, [...olds(job, illSince(2_000), 1), ...deaths(job, 2)]);
    expect(both).toMatchObject({ status: 'stalled', proposals: [] });
  });

  it('are named beside the copy that failed', () => {
    const reasonOf = (copies: readonly LiveAllocation[]) =>
      plan(desiredOf([job]), liveOf(copies), 0).deployments[0]?.reason;
    const alone = reasonOf([...olds(job, {}, 1), ...deaths(job, 1)]);
    expect(alone).toMatch(/^main\[0\] on n001: /);
    expect(alone).not.toContain('settled');
    expect(reasonOf([...olds(job, illSince(2_000), 1), ...deaths(job, 2)])).toMatch(
      /^main\[0\] on n001: .*; a settled copy fails as well \(main\[[12]\] on n00[23]: .*\), so it is not/,
    );
  });

  it('and not where they were ill long before, or never healthy', () => {
    const before = look(job, [...olds(job, illSince(302_000), 1), ...deaths(job, 2)]);
    expect(before.status).toBe('failed');
    const never = { ...illSince(2_000), everHealthy: false, firstHealthyForMs: null };
    expect(look(job, [...olds(job, never, 1), ...deaths(job, 2)]).status).toBe('failed');
  });
});

it('a version is not failed while people have paused it (6.2)', () => {
  const paused = aJob(words({ paused: true }));
  const found = look(paused, [...olds(paused, {}, 1), ...deaths(paused, 2)]);
  expect(found).toMatchObject({ status: 'paused', proposals: [] });
});

describe('a rollout that can go no further', () => {
  const MINUTE_MS = 60_000;
  const died = (job: DesiredJob, ageMs: number, facts: Partial<LiveAllocation> = {}) =>
    aCopy(
      job,
      { node: 'n001', index: 0, attempt: 2 },
      {
        ...DEAD,
        failure: aFailure({ ageMs }),
        deadForMs: ageMs,
        acceptedForMs: ageMs + 1_000,
        firstStartedForMs: ageMs + 1_000,
        ...facts,
      },
    );
  const once = (update: JobWords['update'] = {}) => {
    const reschedule = { ...aGroup().reschedule, unlimited: false, attempts: 0 };
    const groups = [{ reschedule }];
    return aJob({ ...words(update), groups, from: { version: 'v1', groups } });
  };

  it('fails after progress_deadline, though one death is not max_failures (6.2)', () => {
    const job = once();
    const at = (ageMs: number) => look(job, [...olds(job, {}, 1), died(job, ageMs)]);
    expect(at(9 * MINUTE_MS)).toMatchObject({ status: 'stalled', proposals: [] });
    expect(at(10 * MINUTE_MS)).toMatchObject({ status: 'failed', proposals: ['failed'] });
    // Its slot is healthy again: nothing is held up by it.
    const healed = aCopy(job, { node: 'n002', index: 0, attempt: 3 });
    const copies = [...olds(job, {}, 1), died(job, 10 * MINUTE_MS), healed];
    expect(look(job, copies).status).toBe('rolling');
  });

  it('for want of an image that a stop waits for fails after healthy_deadline (3, 5.7)', () => {
    const job = aJob(words({ maxFailures: 9 }));
    const image = { repository: 'registry/app', digest: 'sha256:1' };
    const waits = { stopping: true, stopWaits: [image] };
    const old = aCopy(settledBefore(job), { node: 'n001', index: 0 }, waits);
    const never = { acceptedForMs: 0, firstStartedForMs: null, runningForMs: null };
    const next = aCopy(
      job,
      { node: 'n001', index: 0, attempt: 3 },
      { ...STARTING, ...never, phase: 'pending' },
    );
    const at = (ageMs: number, ...others: readonly LiveAllocation[]) =>
      look(job, [...olds(job, {}, 1), old, next, died(job, ageMs, never), ...others]);
    expect(at(4 * MINUTE_MS)).toMatchObject({ status: 'stalled', proposals: [] });
    expect(at(5 * MINUTE_MS)).toMatchObject({ status: 'failed', proposals: ['failed'] });
    // A stop that waits in another slot says nothing of this one.
    const elsewhere = look(job, [
      ...olds(job, {}, 2),
      aCopy(settledBefore(job), { node: 'n002', index: 1 }, waits),
      died(job, 5 * MINUTE_MS, never),
    ]);
    expect(elsewhere.status).toBe('stalled');
  });
});

it('while it has stalled no further slot is touched, and the given one goes on (6.2)', () => {
  const job = aJob(words());
  const late = { ...DEAD, failure: aFailure({ ageMs: 60_000 }), deadForMs: 60_000 };
  const one = aCopy(job, { node: 'n001', index: 0, attempt: 2 }, late);
  const found = look(job, [...olds(job, {}, 1), one]);
  expect(found).toMatchObject({ status: 'stalled', starts: ['shop/web/main[0]'], stops: [] });
  const whole = look(job, [...olds(job), one]);
  expect(whole.stops).toEqual(['shop/web/main[0]']);
});

it('a deployment that was answered by a revert is not reverted again (6.4)', () => {
  const failed = { evidence: { reason: '2 of its allocations died', allocations: [] } };
  const job = aJob(words(), { failed });
  const copies = [...olds(job, {}, 1), ...deaths(job, 2)];
  expect(look(job, copies).proposals).toEqual(['revert']);
  expect(look({ ...job, reverted: 'abc' }, copies).proposals).toEqual([]);
});

it('at most max_parallel new copies are not yet healthy at once (5.5)', () => {
  const job = aJob(words({ order: 'start-first' }));
  const fresh = aCopy(job, { node: 'n002', index: 0 }, STARTING);
  expect(look(job, olds(job)).starts).toHaveLength(1);
  expect(look(job, [...olds(job), fresh]).starts).toEqual([]);
  // Room there is: a slot that is missing is filled at the version that serves.
  const filled = plan(desiredOf([job]), liveOf([...olds(job, {}, 1), fresh]), 0);
  expect(filled.steps).toEqual([]);
  const two = plan(desiredOf([job]), liveOf([...olds(job, {}, 2), fresh]), 0).steps;
  expect(two).toMatchObject([{ kind: 'start', slot: 'shop/web/main[1]', reason: 'fallback' }]);
});

describe('a copy on a node that is silent or lost', () => {
  const job = aJob(words());
  const late = aCopy(
    job,
    { node: 'n001', index: 0, attempt: 2 },
    { ...STARTING, firstStartedForMs: 400_000, runningForMs: 400_000 },
  );
  const statusOf = (copies: readonly LiveAllocation[], silentForMs: number) => {
    const n001 = { connected: silentForMs === 0, silentForMs };
    return plan(desiredOf([job]), liveOf(copies, { n001 }), 0).deployments[0]?.status;
  };

  it('is not late: nobody knows how it is (6.1, 9.1)', () => {
    expect(statusOf([...olds(job, {}, 1), late], 0)).toBe('failed');
    expect(statusOf([...olds(job, {}, 1), late], 10_000)).toBe('rolling');
    expect(statusOf([...olds(job, {}, 1), late], 40_000)).not.toBe('failed');
  });

  it('is no settled copy that fails as well', () => {
    const ill = { ...olds(job, {}, 0)[0], health: 'unhealthy' as const, failure: aFailure() };
    const copies = [...olds(job, {}, 2), ill as LiveAllocation];
    const elsewhere = deaths(job, 2).map((copy) => ({ ...copy, node: 'n002' }));
    expect(statusOf([...copies, ...elsewhere], 40_000)).toBe('failed');
  });

  it('and does not stall it: what follows in its slot is another copy', () => {
    const failure = aFailure({ kind: 'check-failed' });
    const ill = aCopy(
      job,
      { node: 'n001', index: 0, attempt: 2 },
      { health: 'unhealthy', healthyForMs: null, failure },
    );
    expect(statusOf([...olds(job, {}, 1), ill], 0)).toBe('stalled');
    expect(statusOf([...olds(job, {}, 1), ill], 40_000)).toBe('rolling');
  });
});

it('a version that never gets so far as to be late fails after progress_deadline too (6.2)', () => {
  const job = aJob(words({ progressDeadlineMs: 60_000 }));
  const at = (ageMs: number) =>
    look(job, [
      ...olds(job, {}, 1),
      aCopy(
        job,
        { node: 'n001', index: 0, attempt: 2 },
        { ...STARTING, firstStartedForMs: ageMs, runningForMs: ageMs },
      ),
    ]).status;
  expect(at(59_000)).toBe('rolling');
  expect(at(60_000)).toBe('failed');
});

it('without a settled version its copies go on trying, stalled and failed alike (6.2)', () => {
  const job = aJob({ version: 'v1', count: 3 });
  const one = look(job, deaths(job, 1));
  expect(one).toMatchObject({ status: 'stalled', stops: [] });
  expect(one.starts).toContain('shop/web/main[1]');
  const two = look(job, deaths(job, 2));
  expect(two).toMatchObject({ status: 'failed', proposals: [], stops: [] });
  expect(two.starts).toContain('shop/web/main[1]');
});
