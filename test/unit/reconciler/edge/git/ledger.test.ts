// The ledger's stored form: what is kept, what a newer line replaces, what is left alone.
// In: records. Out: tests.
// Not here: reading and writing them (test/contract).

import { describe, expect, test } from 'vitest';
import type { LedgerLine } from '../../../../../reconciler/edge/git/ledger.ts';
import {
  compact,
  formatLines,
  ledgerFile,
  lineOf,
  parseLines,
} from '../../../../../reconciler/edge/git/ledger.ts';
import type { LedgerRecord } from '../../../../../schema/ledger.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW = Date.parse('2026-11-21T00:00:00Z');
const HEAD = { atHead: true, epochMs: NOW };
const GONE = { atHead: false, epochMs: NOW };

const settled = (specHash: string, commit = 'c'): LedgerRecord => ({
  kind: 'settled',
  job: 'shop/web',
  specHash,
  deployment: 'd',
  commit,
  digests: [],
});

const approval = (id: string, at: number, used: boolean): LedgerRecord => ({
  kind: 'approval',
  id,
  by: 'ada@example.org',
  at: new Date(at).toISOString(),
  commit: 'c',
  slots: [],
  nodes: [],
  used,
});

const records = (lines: readonly LedgerLine[]) => lines.map((line) => line.record);

describe('compact', () => {
  test('of records with one key the newest stays, at its place', () => {
    const lines = [settled('a', '1'), settled('b', '2'), settled('a', '3')].map(lineOf);
    expect(records(compact(lines, HEAD))).toEqual([settled('b', '2'), settled('a', '3')]);
  });

  test('a version that came back: each deployment’s mark stays, of returns the newest', () => {
    const again = { ...settled('a', '3'), deployment: 'e' } as LedgerRecord;
    const returned = (deployment: string): LedgerRecord => ({
      kind: 'returned',
      job: 'shop/web',
      specHash: 'a',
      deployment,
      commit: 'c',
    });
    const lines = [settled('a'), returned('e'), again, returned('f')].map(lineOf);
    expect(records(compact(lines, HEAD))).toEqual([settled('a'), again, returned('f')]);
    expect(ledgerFile(returned('e'))).toBe('jobs/shop/web.jsonl');
  });

  test('a job at HEAD is never pruned; of one that is gone the newest 50 stay', () => {
    const lines = Array.from({ length: 80 }, (_, at) => lineOf(settled(`h${at}`)));
    expect(compact(lines, HEAD)).toHaveLength(80);
    const kept = records(compact(lines, GONE));
    expect(kept).toHaveLength(50);
    expect(kept.at(-1)).toEqual(settled('h79'));
  });

  test('used approvals go after 30 days, others stay', () => {
    const lines = [
      approval('old-used', NOW - 31 * DAY_MS, true),
      approval('old-open', NOW - 31 * DAY_MS, false),
      approval('new-used', NOW - 29 * DAY_MS, true),
    ].map(lineOf);
    expect(records(compact(lines, HEAD)).map((one) => one?.kind === 'approval' && one.id)).toEqual([
      'old-open',
      'new-used',
    ]);
  });

  test('the first cluster record counts, whatever was appended', () => {
    const cluster = (directory: string): LedgerRecord => ({
      kind: 'cluster',
      cluster: 'ship',
      branch: 'main',
      directory,
    });
    const lines = [cluster('a'), { kind: 'synced', commit: '1' } as const, cluster('b')].map(
      lineOf,
    );
    expect(records(compact(lines, HEAD))).toEqual([cluster('a'), { kind: 'synced', commit: '1' }]);
  });

  test('compacting twice changes nothing more', () => {
    const lines = [settled('a'), settled('b'), settled('a'), approval('x', NOW, true)].map(lineOf);
    const once = compact(lines, HEAD);
    expect(compact(once, HEAD)).toEqual(once);
  });
});

describe('lines', () => {
  test('survive a round trip; a kind of a later release is kept and not used', () => {
    const later = '{"kind":"run","job":"shop/batch","id":"1"}';
    const text = `${later}\n${formatLines([lineOf(settled('a'))])}not json\n[1]\n`;
    const { lines, bad } = parseLines(text);
    expect(bad).toBe(2);
    expect(records(lines)).toEqual([null, settled('a')]);
    expect(formatLines(compact(lines, HEAD))).toContain(later);
  });

  test('a record without the fields that it is found by is not used', () => {
    expect(records(parseLines('{"kind":"settled","job":"shop/web"}').lines)).toEqual([null]);
  });

  test('a job has one file, and no name leads out of the ledger', () => {
    expect(ledgerFile(settled('a'))).toBe('jobs/shop/web.jsonl');
    const odd: LedgerRecord = { kind: 'reverted', job: '../a b/..', deployment: 'd', commit: 'c' };
    expect(ledgerFile(odd)).toBe('jobs/_/a%20b/_.jsonl');
    const home: LedgerRecord = {
      kind: 'volume',
      namespace: 'shop',
      job: 'web',
      volume: 'data',
      group: 'web',
      index: 0,
      node: 'n1',
    };
    expect(ledgerFile(home)).toBe('jobs/shop/web.jsonl');
  });
});
