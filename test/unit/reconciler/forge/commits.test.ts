// When a commit's state is told, and how one ends that another follows.

import { describe, expect, test } from 'vitest';
import { endOf, tellAt, type ToldCommit } from '../../../../reconciler/forge/commits.ts';
import type { CheckReport } from '../../../../schema/forge.ts';
import type { LedgerRecord } from '../../../../schema/ledger.ts';

const report = (fields: Partial<CheckReport> = {}): CheckReport => ({
  kind: 'sync',
  commit: 'c1',
  status: 'in_progress',
  conclusion: null,
  title: 'web 1/3 healthy',
  summary: '',
  text: '',
  annotations: [],
  buttons: [],
  ...fields,
});

const told = (fields: Partial<ToldCommit> = {}): ToldCommit => ({
  since: 0,
  told: report(),
  toldAt: 10_000,
  ...fields,
});

const retry = { id: 'retry', label: 'Retry', description: 'Try it again' } as const;

describe('tellAt', () => {
  test.each<[string, ToldCommit, CheckReport, number, number | null]>([
    ['the first report at once', told({ told: null }), report(), 20_000, 20_000],
    ['nothing that was said before', told(), report(), 20_000, null],
    ['progress 15 s after the last', told(), report({ title: 'web 2/3' }), 20_000, 25_000],
    ['progress every 60 s after a minute', told(), report({ title: 'web 2/3' }), 60_000, 70_000],
    ['a status at once', told(), report({ status: 'completed' }), 11_000, 11_000],
    [
      'a conclusion at once',
      told({ told: report({ status: 'completed', conclusion: 'success' }) }),
      report({ status: 'completed', conclusion: 'failure' }),
      11_000,
      11_000,
    ],
    ['a button with the progress', told(), report({ buttons: [retry] }), 11_000, 25_000],
    ['a turn that is waited for, too', told(), report({ status: 'queued' }), 11_000, 25_000],
  ])('%s', (_, known, next, now, at) => {
    expect(tellAt(known, next, now)).toBe(at);
  });
});

describe('endOf', () => {
  const evidence = { reason: 'crashed', allocations: [] };
  const mark = { job: 'shop/web', specHash: 's', deployment: 'd1', commit: 'c1' };
  const failed: LedgerRecord = { kind: 'failed', ...mark, evidence };
  const reverted: LedgerRecord = {
    kind: 'reverted',
    job: 'shop/web',
    deployment: 'd1',
    commit: 'c2',
  };
  const synced: LedgerRecord = { kind: 'synced', commit: 'c1' };

  test.each<[string, readonly LedgerRecord[], ReturnType<typeof endOf>]>([
    ['nothing was written of it: superseded', [], { kind: 'superseded' }],
    ['it was in sync once', [synced], { kind: 'synced' }],
    [
      'a job failed and was reverted',
      [synced, failed, reverted],
      { kind: 'failed', jobs: [{ job: 'shop/web', evidence, revertedBy: 'c2' }] },
    ],
    [
      'a job failed and stays',
      [failed],
      { kind: 'failed', jobs: [{ job: 'shop/web', evidence, revertedBy: null }] },
    ],
    ['what failed is of another commit', [{ ...failed, commit: 'c0' }], { kind: 'superseded' }],
  ])('%s', (_, ledger, end) => {
    expect(endOf('c1', ledger)).toEqual(end);
  });
});
