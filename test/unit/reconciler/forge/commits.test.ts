// When a commit's state is told, and how one ends that another follows.

import { describe, expect, test } from 'vitest';
import { endOf, isReturn, tellAt, type ToldCommit } from '../../../../reconciler/forge/commits.ts';
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
  wasSynced: false,
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

describe('isReturn: what a commit says of itself', () => {
  const reverts = [['Purser-Reverts', 'c1']] as const;
  test.each([
    ['a revert of the machine', 'Revert shop/web', reverts, true],
    ['a roll back by a button', 'Roll back commit c1', reverts, true],
    ['git revert', 'Revert "web 2"\n\nThis reverts commit 0123456789abcdef.', [], true],
    ['what a button landed again', 'Re-land what c1 took back', reverts, false],
    [
      'git revert of a revert',
      'Reapply "web 2"\n\nThis reverts commit 0123456789abcdef.',
      [],
      false,
    ],
    ['an older git', 'Revert "Revert "web 2""\n\nThis reverts commit 0123456789.', [], false],
    ['any other', 'web 2\n\nNot what This reverts commit says.', [], false],
  ] as const)('%s', (_, message, trailers, is) => {
    expect(isReturn({ message, trailers })).toBe(is);
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

  const settled: LedgerRecord = { kind: 'settled', ...mark, digests: [] };

  test('what was told counts before the ledger', () => {
    const one = { commit: 'c1', told: report(), wasSynced: false };
    expect(endOf(one, [synced, settled])).toEqual({ kind: 'superseded' });
    expect(endOf({ ...one, wasSynced: true }, [])).toEqual({ kind: 'synced' });
    expect(endOf({ ...one, wasSynced: true }, [failed])).toMatchObject({ kind: 'failed' });
  });

  test.each<[string, readonly LedgerRecord[], ReturnType<typeof endOf>]>([
    ['nothing was written of it: superseded', [], { kind: 'superseded' }],
    ['nothing waited, and nobody knows more: superseded', [synced], { kind: 'superseded' }],
    ['a version of it settled', [settled], { kind: 'synced' }],
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
    expect(endOf({ commit: 'c1', told: null, wasSynced: false }, ledger)).toEqual(end);
  });
});
