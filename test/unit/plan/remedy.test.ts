// What a person is told to do about a version that failed or is degraded: never a command that
// refuses. Rules 6.3, invariant 7.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import { remedyFor } from '../../../reconciler/plan/remedy.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import { jobOf, ready, settledMark, story } from '../../support/tree.ts';
import { aCopy, aJob, DEAD, desiredOf, liveOf, settledBefore } from '../../support/world.ts';

const FAILED = { evidence: { reason: '2 of its allocations died', allocations: [] } };
const impossible = (why: string): DesiredJob['revert'] => ({ kind: 'impossible', why });
const held = (why: string) => ({ standing: { kind: 'held', why } }) as const;
const words = { version: 'v2', from: { version: 'v1' }, count: 1 } as const;

const remedies = (facts: Partial<DesiredJob>) => {
  const job = aJob(words, { failed: FAILED, ...facts });
  const copies = [
    aCopy(settledBefore(job), { node: 'n003', index: 0 }),
    aCopy(job, { node: 'n001', index: 0, attempt: 2 }, DEAD),
  ];
  const { blocked } = plan(desiredOf([job]), liveOf(copies), 0);
  return blocked.flatMap((one) =>
    one.kind === 'waiting' && ['failed', 'degraded', 'revert-impossible'].includes(one.why)
      ? [`${one.why}: ${one.remedy}`]
      : [],
  );
};

describe('a version that failed', () => {
  it('and whose file was broken since is mended first: a rollback refuses', () => {
    const broken = { ...held('it is not valid'), revert: impossible('correct it first') };
    expect(remedies(broken)).toEqual([
      'failed: correct jobs/shop/web.yaml: purser validate',
      'revert-impossible: correct jobs/shop/web.yaml: purser validate',
    ]);
  });

  it('and that the machine may not revert names rollback only where it can do it', () => {
    const off = aJob({ ...words, update: { autoRevert: false } });
    expect(remedies({ spec: off.spec })).toEqual([
      'failed: purser rollback shop/web',
      'revert-impossible: purser rollback shop/web',
    ]);
    expect(remedies({ revert: impossible('configs/x is mounted by shop/db too') })).toEqual([
      'failed: purser logs shop/web, then commit a correction',
      'revert-impossible: purser logs shop/web, then commit a correction',
    ]);
  });
});

it('a degraded version before which none settled has nothing to go back to', () => {
  const cluster = 'name: home\npolicies: {registries: [r.example]}\n';
  const web = (tag: string) => ({ 'jobs/shop/web.yaml': `image: r.example/web:${tag}\n` });
  const commits = story({ 'cluster.yaml': cluster, ...web('1') }, web('2'));
  const at = (last: number, ledger: readonly LedgerRecord[]) => {
    const now = ready(commits.slice(0, last + 1), { ledger });
    const marked = [...now.ledger, settledMark(jobOf(now.desired, 'shop/web'))];
    const known = ready(commits.slice(0, last + 1), { ledger: marked });
    return { ledger: marked, job: jobOf(known.desired, 'shop/web') };
  };
  const first = at(0, []);
  expect(first.job.settled).toBe(true);
  expect(remedyFor(first.job)).toBe('purser logs shop/web, then commit a correction');
  expect(remedyFor(at(1, first.ledger).job)).toBe('purser rollback shop/web');
});

it('a degraded version goes back by hand, also where the machine never would', () => {
  const settled = { settled: true, revert: impossible('this version has settled') };
  expect(remedyFor(aJob({}, settled))).toBe('purser rollback shop/web');
  expect(remedyFor(aJob({}, { ...settled, ...held('not valid') }))).toBe(
    'correct jobs/shop/web.yaml: purser validate',
  );
});
