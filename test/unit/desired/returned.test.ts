// A version that comes back is a deployment of its own: that of the newest commit at which it
// differs from its parent's. Rules 1.1, 2.3, 2.5, 12.4.

import { describe, expect, it } from 'vitest';
import { asks, compile } from '../../../reconciler/desired/compile.ts';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import {
  digestOf,
  failedMark,
  jobOf,
  ready,
  settledMark,
  story,
  touchedBetween,
  treeOf,
  type Change,
  type Story,
} from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const WEB = 'jobs/shop/web.yaml';
const image = (word: string, rest = '') =>
  `image: r.example/web:${word}@${digestOf(word)}\n${rest}`;
const first: Change = { 'cluster.yaml': CLUSTER, [WEB]: image('1') };
const oid = (commits: Story, at: number) => commits[at]?.commit.oid ?? '';
const webOf = (commits: Story, init = {}) => jobOf(ready(commits, init).desired, 'shop/web');
const ONE = settledMark(webOf(story(first)));

/** What of the commits brings version 1 back, after it settled with the first of them. */
const CASES: readonly {
  readonly name: string;
  readonly changes: readonly Change[];
  /** The commit that introduced HEAD's version. */
  readonly by: number;
  /** Synced last, as a place in the story; the first, where nothing is said. */
  readonly synced?: number;
}[] = [
  {
    name: 'another version in between, one push each',
    changes: [{ [WEB]: image('2') }, { [WEB]: image('1') }],
    by: 2,
    synced: 1,
  },
  {
    name: 'the same in one push: nothing was seen in between',
    changes: [{ [WEB]: image('2') }, { [WEB]: image('1') }],
    by: 2,
  },
  {
    name: 'there and back twice',
    changes: [
      { [WEB]: image('2') },
      { [WEB]: image('1') },
      { [WEB]: image('2') },
      { [WEB]: image('1') },
    ],
    by: 4,
  },
  {
    name: 'and fields that change in place since',
    changes: [{ [WEB]: image('2') }, { [WEB]: image('1') }, { [WEB]: image('1', 'count: 3\n') }],
    by: 2,
  },
  {
    name: 'by a cluster default',
    changes: [
      { 'cluster.yaml': `${CLUSTER}defaults: {resources: {cpu: 1m}}\n` },
      { 'cluster.yaml': CLUSTER },
    ],
    by: 2,
  },
  { name: 'deleted and made again', changes: [{ [WEB]: null }, { [WEB]: image('1') }], by: 2 },
  {
    name: 'an invalid file in between brings nothing in',
    changes: [{ [WEB]: 'image: [\n' }, { [WEB]: image('1', 'count: 2\n') }],
    by: 0,
  },
  {
    name: 'an invalid file after another version does, once it is mended',
    changes: [{ [WEB]: image('2') }, { [WEB]: 'image: [\n' }, { [WEB]: image('1') }],
    by: 3,
  },
  { name: 'changes in place alone do not', changes: [{ [WEB]: image('1', 'count: 2\n') }], by: 0 },
  { name: 'nor do other files', changes: [{ 'README.md': 'hello' }], by: 0 },
  {
    name: 'nor does policy that forms no version',
    changes: [{ 'cluster.yaml': `${CLUSTER}max_deployments: 2\n` }],
    by: 0,
  },
];

describe('the deployment of a version that settled before (rules 1.1, 2.3)', () => {
  it.each(CASES)('$name', ({ changes, by, synced = 0 }) => {
    const commits = story(first, ...changes);
    const init = { ledger: [ONE], lastSynced: synced };
    const { desired, ledger } = ready(commits, init);
    const job = jobOf(desired, 'shop/web');
    expect(job).toMatchObject({ settled: true, commit: { oid: oid(commits, by) } });
    expect(job.deployment === ONE.deployment).toBe(by === 0);
    expect(job.isUnmarked).toBe(by === 0 ? undefined : true);
    // Once the commit is synced nobody reads a history, and the answer is the same.
    const later = treeOf(commits, { ledger, lastSynced: commits.length - 1 });
    expect(asks(later).histories).toEqual([]);
    expect(identity(jobOf(compile(later), 'shop/web'))).toEqual(identity(job));
    // A reconciler that was there all the time says what one that has just started says.
    const memo = createMemo();
    for (const at of commits.keys()) {
      ready(commits.slice(0, at + 1), { ...init, memo, lastSynced: Math.min(synced, at) });
    }
    expect(ready(commits, { ...init, memo }).desired.jobs).toEqual(desired.jobs);
  });

  it('by a mounted file', () => {
    const mounts = { ...first, [WEB]: image('1', 'files: {/a: configs/a}\n') };
    const commits = story(
      { ...mounts, 'configs/a': 'x' },
      { 'configs/a': 'y' },
      { 'configs/a': 'x' },
    );
    const mark = settledMark(webOf(commits.slice(0, 1)));
    const job = webOf(commits, { ledger: [mark], lastSynced: 0 });
    expect(job).toMatchObject({
      settled: true,
      sameAs: oid(commits, 0),
      commit: { oid: oid(commits, 2) },
    });
  });

  it('says where it is from, and keeps that when it comes back again', () => {
    const commits = story(
      first,
      { [WEB]: image('2') },
      { [WEB]: image('1') },
      { [WEB]: image('2') },
      { [WEB]: image('1') },
    );
    const second = ready(commits.slice(0, 3), { ledger: [ONE], lastSynced: 1 });
    const back = jobOf(second.desired, 'shop/web');
    expect(back).toMatchObject({ isRollback: true, sameAs: oid(commits, 0) });
    const ledger = [...second.ledger, settledMark(back)];
    const third = webOf(commits, { ledger, lastSynced: 2 });
    expect(third).toMatchObject({ isRollback: true, sameAs: oid(commits, 0) });
    expect(third.commit.oid).toBe(oid(commits, 4));
  });

  it('is read off the record alone where nobody looked, or the history is cut before it', () => {
    const commits = story(first, { [WEB]: image('2') }, { [WEB]: image('1') });
    expect(webOf(commits, { ledger: [ONE] }).deployment).toBe(ONE.deployment);
    const counts = Array.from({ length: 60 }, (_, at) => ({
      [WEB]: image('1', `count: ${at + 2}\n`),
    }));
    const long = story(first, ...counts);
    expect(webOf(long, { ledger: [ONE], lastSynced: 58 }).deployment).toBe(ONE.deployment);
  });
});

const identity = ({
  deployment,
  commit,
  isRollback,
  sameAs,
  isUnmarked,
}: ReturnType<typeof webOf>) => ({
  deployment,
  commit,
  isRollback,
  sameAs,
  isUnmarked,
});

describe('what the ledger learns of it', () => {
  const commits = story(first, { [WEB]: image('2') }, { [WEB]: image('1') });
  const { tree, desired, ledger } = ready(commits, { ledger: [ONE], lastSynced: 1 });
  const back = jobOf(desired, 'shop/web');

  it('is owed until it is written, with the words of the commit', () => {
    const record: LedgerRecord = {
      kind: 'returned',
      job: 'shop/web',
      specHash: back.spec.specHash,
      deployment: back.deployment,
      commit: oid(commits, 2),
      author: 'Ada',
      email: 'ada@example.org',
      subject: 'Commit 3',
      sameAs: oid(commits, 0),
    };
    expect(compile({ ...tree, ledger: [ONE] }).owed).toEqual([record]);
    expect(ledger).toEqual([ONE, record]);
    expect(desired.owed).toEqual([]);
  });

  it('and its mark, once it has settled again', () => {
    const marked = [...ledger, settledMark(back)];
    const job = webOf(commits, { ledger: marked, lastSynced: 2 });
    expect(job).toMatchObject({ deployment: back.deployment, isRollback: true });
    expect(job.isUnmarked).toBeUndefined();
  });

  it('a version that failed meanwhile and is committed again is a new try all the same', () => {
    const two = webOf(commits.slice(0, 2), { ledger: [ONE] });
    const more = story(first, { [WEB]: image('2') }, { [WEB]: image('1') }, { [WEB]: image('2') });
    const failed = [ONE, failedMark(two), ...ledger.slice(1)];
    const again = webOf(more, { ledger: failed, lastSynced: 2 });
    expect(again.failed).toBeNull();
    // Its copies of version 1 keep the label of the deployment that they are of.
    expect(again.fallback).toMatchObject({ deployment: back.deployment, commit: back.commit });
  });
});

describe('a branch that was rewritten (rules 12.1)', () => {
  const whole = story(first, { [WEB]: image('2') }, { [WEB]: image('1') });
  const back = webOf(whole, { ledger: [ONE], lastSynced: 1 });
  const ledger = [ONE, settledMark(back)];

  it('goes back to the first deployment where the commits in between are thrown away', () => {
    const reset = whole.slice(0, 1);
    const touched = touchedBetween(reset, 0, whole.slice(1));
    const job = webOf(reset, { ledger, touched });
    expect(job).toMatchObject({ deployment: ONE.deployment, isRollback: false, settled: true });
    expect(job.isUnmarked).toBeUndefined();
  });

  it('is another deployment where the commit is amended, and no rollback', () => {
    const amended = story({ files: first, message: 'Said better\n' });
    const touched = 'unknown';
    const job = webOf(amended, { ledger: [ONE], touched });
    expect(job).toMatchObject({ isRollback: false, isUnmarked: true, settled: true });
    expect(job.commit.oid).toBe(oid(amended, 0));
    expect(job.sameAs).toBeUndefined();
  });
});
