// By which commits a job came back to what had settled before (rules 2.5).

import { expect, test } from 'vitest';
import { returnsOf } from '../../../reconciler/returns.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import {
  answerHistories,
  failedMark,
  jobOf,
  ready,
  settledMark,
  story,
  treeOf,
  type Change,
} from '../../support/tree.ts';

const WEB = 'jobs/shop/web.yaml';
const web = (tag: string, rest = ''): Change => ({ [WEB]: `image: r.example/web:${tag}\n${rest}` });
const BASE: Change = {
  'cluster.yaml': 'name: home\npolicies: {registries: [r.example]}\n',
  'jobs/shop/other.yaml': 'image: r.example/other:1\n',
  ...web('1'),
};

const commits = story(
  { files: BASE, message: 'One' },
  { files: web('2'), message: 'Two' },
  { files: web('3'), message: 'Three' },
  { files: web('2'), message: 'Revert Three' },
  { files: web('2', 'count: 3\n'), message: 'A count' },
  { files: { [WEB]: 'image: [\n' }, message: 'A mistake' },
  { files: web('2'), message: 'Corrected' },
  { files: web('1'), message: 'Revert Two' },
);

/** As the loop leaves it: one and two settled, three failed. */
const ledgerOf = (): readonly LedgerRecord[] => {
  let ledger: readonly LedgerRecord[] = [];
  for (const [at, mark] of [settledMark, settledMark, failedMark].entries()) {
    const now = ready(commits.slice(0, at + 1), { ledger });
    ledger = [...now.ledger, mark(jobOf(now.desired, 'shop/web'))];
  }
  return ledger;
};

const returnsAt = async (last: number, ledger = ledgerOf()) => {
  const known = commits.slice(0, last + 1);
  const found = await returnsOf({
    tree: treeOf(known, { ledger }),
    job: 'shop/web',
    complete: (tree, asked) => Promise.resolve(answerHistories(known, tree, asked)),
  });
  return found.map(({ commit: { subject }, sameAs }) => [
    subject,
    commits.find(({ commit }) => commit.oid === sameAs)?.commit.message,
  ]);
};

test('a revert by hand, one by the machine, and nothing else', async () => {
  expect(await returnsAt(7)).toEqual([
    ['Revert Two', 'One'],
    ['Revert Three', 'Two'],
  ]);
});

test('a commit that brings nothing back is none', async () => {
  expect(await returnsAt(2)).toEqual([]);
});

test('what stands at HEAD came with the revert, not with a count or a correction', async () => {
  expect((await returnsAt(6))[0]).toEqual(['Revert Three', 'Two']);
});

test('also when the version has settled anew, so that its record names the revert', async () => {
  const [first, head] = [commits[0]?.commit.oid, commits.at(-1)?.commit.oid ?? ''];
  const ledger = ledgerOf().map((one) =>
    one.kind === 'settled' && one.commit === first ? { ...one, commit: head } : one,
  );
  expect(await returnsAt(7, ledger)).toEqual([
    ['Revert Two', 'One'],
    ['Revert Three', 'Two'],
  ]);
});
