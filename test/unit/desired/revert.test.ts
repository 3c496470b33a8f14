// What a failed version would go back to. Rules 6.3.

import { describe, expect, it } from 'vitest';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import { atomicEdits, isAtomic } from '../../../reconciler/desired/revert-atomic.ts';
import type { RevertTarget } from '../../../schema/desired.ts';
import type { CommitChange, CommitInfo } from '../../../schema/source.ts';
import { digestOf, jobOf, ready, settledMark, story, type Change } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const WEB = 'jobs/shop/web.yaml';
const ref = (word: string) => `r.example/web:${word}@${digestOf(word)}`;

/** The first commit settles; the target of the last one, and the files that it would leave. */
const reverted = (...changes: readonly Change[]) => {
  const [first, ...rest] = changes;
  const commits = story({ 'cluster.yaml': CLUSTER, ...first }, ...rest);
  const one = jobOf(ready(commits.slice(0, 1)).desired, 'shop/web');
  const ledger = [settledMark(one)];
  const { revert, spec } = jobOf(ready(commits, { ledger }).desired, 'shop/web');
  const edits = revert.kind === 'possible' ? revert.edits : [];
  const after = story(
    { 'cluster.yaml': CLUSTER, ...first },
    ...rest,
    Object.fromEntries(edits.map(({ path, content }) => [path, content])),
  );
  const back = ready(after, { ledger }).desired;
  return { revert, one, spec, after: jobOf(back, 'shop/web') };
};

const textAfter = (revert: RevertTarget, path = WEB) =>
  revert.kind === 'possible'
    ? revert.edits.find((edit) => edit.path === path)?.content
    : revert.why;

describe('revert', () => {
  it('takes the old text whole where nothing but the version changed', () => {
    const old = `# ours\nimage: ${ref('1')} # good\ncount: 3\n`;
    const { revert, one, after } = reverted(
      { [WEB]: old },
      { [WEB]: `image: ${ref('2')}\ncount: 3\n` },
    );
    expect(textAfter(revert)).toBe(old);
    expect(revert).toMatchObject({ specHash: one.spec.specHash, commit: one.commit.oid });
    expect(after).toMatchObject({ settled: true, isRollback: false });
    expect(after.spec.specHash).toBe(one.spec.specHash);
  });

  it('keeps HEAD’s count, in-place fields and comments', () => {
    const { revert, one, after } = reverted(
      { [WEB]: `image: ${ref('1')}\nuser: "1"\ncount: 3\n` },
      { [WEB]: `image: ${ref('2')}\nread_only: true\n# many\ncount: 9\nkill_timeout: 3s\n` },
    );
    expect(after.spec.specHash).toBe(one.spec.specHash);
    expect(after.spec.groups[0]).toMatchObject({ count: 9, tasks: [{ killTimeoutMs: 3000 }] });
    expect(textAfter(revert)).toContain('# many\ncount: 9\nkill_timeout: 3s\n');
    expect(textAfter(revert)).not.toContain('read_only');
  });

  it('brings groups back and lets those go that came', () => {
    const { one, after } = reverted(
      { [WEB]: `groups:\n  a: {image: ${ref('1')}}\n  b: {image: ${ref('1')}, count: 2}\n` },
      { [WEB]: `groups:\n  a: {image: ${ref('2')}, count: 5}\n  c: {image: ${ref('1')}}\n` },
    );
    expect(after.spec.specHash).toBe(one.spec.specHash);
    expect(after.spec.groups.map(({ name, count }) => [name, count])).toEqual([
      ['a', 5],
      ['b', 2],
    ]);
  });

  it('works where the short form was written out in between', () => {
    const { one, after } = reverted(
      { [WEB]: `image: ${ref('1')}\ncount: 2\n` },
      { [WEB]: `groups: {web: {image: ${ref('2')}, count: 2}}\n` },
    );
    expect(after.spec.specHash).toBe(one.spec.specHash);
  });

  it('takes mounted files back, and removes those that came with the version', () => {
    const { revert, after } = reverted(
      { [WEB]: `image: ${ref('1')}\nfiles: {/a: configs/a}\n`, 'configs/a': 'old' },
      {
        [WEB]: `image: ${ref('1')}\nfiles: {/a: configs/a, /b: configs/b}\n`,
        'configs/a': 'new',
        'configs/b': 'b',
      },
    );
    expect(textAfter(revert, 'configs/a')).toBe('old');
    expect(textAfter(revert, 'configs/b')).toBeNull();
    expect(after.settled).toBe(true);
  });

  it('leaves files to themselves that the settled version does not use', () => {
    const mounts = `image: ${ref('2')}\nfiles: {/b: configs/b}\n`;
    const before: Change = { [WEB]: `image: ${ref('1')}\n`, 'configs/b': 'old' };
    const there = reverted(before, { [WEB]: mounts, 'configs/b': 'new' }).revert;
    const edited = (revert: RevertTarget) =>
      revert.kind === 'possible' ? revert.edits.map(({ path }) => path) : revert.why;
    expect(edited(there), 'one that was there before').toEqual([WEB]);
    const shared = reverted(
      { [WEB]: `image: ${ref('1')}\n` },
      { [WEB]: mounts, 'configs/b': 'new' },
      { 'jobs/shop/api.yaml': `image: ${ref('1')}\nfiles: {/b: configs/b}\n` },
    ).revert;
    expect(edited(shared), 'one that another job uses by now').toEqual([WEB]);
  });

  it.each([
    [
      'a file that another job uses',
      {
        [WEB]: `image: ${ref('1')}\nfiles: {/a: configs/a}\n`,
        'jobs/shop/api.yaml': `image: ${ref('1')}\nfiles: {/a: configs/a}\n`,
        'configs/a': 'old',
      },
      { 'configs/a': 'new' },
      'configs/a has changed since, and jobs/shop/api.yaml uses it too',
    ],
    [
      'a change in cluster.yaml',
      { [WEB]: `image: ${ref('1')}\n` },
      { 'cluster.yaml': `${CLUSTER}defaults: {kill_signal: SIGINT}\n` },
      '`defaults` in cluster.yaml have changed',
    ],
  ] as const)('is impossible after %s', (_name, first, second, why) => {
    const { revert } = reverted(first, second);
    expect(revert.kind).toBe('impossible');
    expect(textAfter(revert)).toContain(why);
  });

  it('is impossible without a settled version', () => {
    const files = { 'cluster.yaml': CLUSTER, [WEB]: `image: ${ref('1')}\n` };
    const { revert } = jobOf(ready(story(files)).desired, 'shop/web');
    expect(textAfter(revert)).toContain('no earlier version');
  });

  it('names the blob that each edit was computed from (rules 12.3)', () => {
    const next = `image: ${ref('2')}\n`;
    const { revert } = reverted({ [WEB]: `image: ${ref('1')}\n` }, { [WEB]: next });
    const blob = story({ [WEB]: next })[0]?.files.get(WEB)?.blob;
    expect(revert).toMatchObject({ edits: [{ path: WEB, base: blob }] });
  });
});

describe('a commit that is to be reverted as a whole (6.3)', () => {
  const API = 'jobs/shop/api.yaml';
  const first: Change = {
    'cluster.yaml': CLUSTER,
    [WEB]: `image: ${ref('1')}\nfiles: {/a: configs/a}\n`,
    [API]: `image: ${ref('1')}\nfiles: {/a: configs/a}\n`,
    'configs/a': 'one',
    'configs/words': 'before',
  };
  const bad: Change = {
    'cluster.yaml': `${CLUSTER}defaults: {kill_signal: SIGINT}\n`,
    [WEB]: `image: ${ref('2')}\nfiles: {/a: configs/a}\ncount: 4\n`,
    [API]: null,
    'jobs/shop/new.yaml': `image: ${ref('2')}\n`,
    'configs/a': 'two',
    'configs/words': 'after',
    'scale/shop/web.yaml': 'web: 7\n',
  };
  const atomic = (...since: readonly Change[]) => {
    const commits = story(first, { files: bad, trailers: [['Purser-Atomic', 'true']] }, ...since);
    const one = jobOf(ready(commits.slice(0, 1)).desired, 'shop/web');
    const memo = createMemo();
    const ledger = [settledMark(one)];
    const plain = jobOf(ready(commits, { ledger }).desired, 'shop/web');
    const remembered = ready(commits, { ledger, memo });
    expect(jobOf(remembered.desired, 'shop/web')).toEqual(plain);
    return { one, commits, revert: plain.revert, ledger };
  };
  const edited = (revert: RevertTarget) =>
    revert.kind === 'possible'
      ? revert.edits.map(({ path, content }) => [path, content] as const)
      : revert.why;

  it('takes back all files that it changed, other jobs’ too, and gives the settled version', () => {
    const { one, commits, revert, ledger } = atomic();
    expect(edited(revert)).toEqual([
      ['cluster.yaml', CLUSTER],
      ['configs/a', 'one'],
      ['configs/words', 'before'],
      [API, first[API]],
      ['jobs/shop/new.yaml', null],
      [WEB, first[WEB]],
    ]);
    const edits = revert.kind === 'possible' ? revert.edits : [];
    const head = commits.at(-1)?.files;
    for (const { path, base } of edits) expect(base).toBe(head?.get(path)?.blob ?? null);
    const after = story(
      first,
      bad,
      Object.fromEntries(edits.map(({ path, content }) => [path, content])),
    );
    const back = jobOf(ready(after, { ledger }).desired, 'shop/web');
    expect(back.spec.specHash).toBe(one.spec.specHash);
    expect(back.settled).toBe(true);
  });

  it('keeps what later commits said in the job’s own file', () => {
    const later = `# many\nimage: ${ref('2')}\nfiles: {/a: configs/a}\ncount: 9\n`;
    const { revert } = atomic({ [WEB]: later });
    const own = revert.kind === 'possible' ? revert.edits.find(({ path }) => path === WEB) : null;
    expect(own?.content).toContain('# many\n');
    expect(own?.content).toContain('count: 9\n');
    expect(own?.content).toContain(ref('1'));
    expect(edited(revert)).toContainEqual(['configs/words', 'before']);
  });

  it('leaves what somebody has taken back already', () => {
    const { revert } = atomic({ 'configs/words': 'before' });
    expect(edited(revert)).not.toContainEqual(['configs/words', 'before']);
    expect(revert.kind).toBe('possible');
  });

  it.each([
    ['a later commit changed one of its files', { 'configs/words': 'third' }, /words has changed/],
    [
      'a later commit changed another field of one of its files',
      {
        'cluster.yaml': `${CLUSTER}defaults: {kill_signal: SIGINT}\nguards: {own_approval: true}\n`,
      },
      /cluster.yaml has changed since/,
    ],
    ['a job that it removed is there again', { [API]: 'count: 1\n' }, /api.yaml has changed since/],
  ] as const)('is impossible when %s', (_name, since, why) => {
    const { revert } = atomic(since);
    expect(revert.kind).toBe('impossible');
    expect(edited(revert)).toMatch(why);
  });

  it('is impossible when all of it gives another version than the one that settled', () => {
    const commits = story(
      first,
      { [WEB]: `image: ${ref('x')}\n` },
      { files: { [WEB]: `image: ${ref('2')}\n` }, trailers: [['Purser-Atomic', 'true']] },
    );
    const ledger = [settledMark(jobOf(ready(commits.slice(0, 1)).desired, 'shop/web'))];
    const { revert } = jobOf(ready(commits, { ledger }).desired, 'shop/web');
    expect(edited(revert)).toMatch(/as a whole \(Purser-Atomic\) does not give version/);
  });

  it('is asked for only once there is something to go back to', () => {
    const commits = story(first, { files: bad, trailers: [['Purser-Atomic', 'true']] });
    expect(ready(commits).tree.changes?.size).toBe(0);
  });
});

describe('what keeps a commit from being reverted as a whole (6.3)', () => {
  const oid = 'c'.repeat(40);
  const asked = (files: CommitChange['files']) =>
    atomicEdits({ path: WEB, changes: new Map([[oid, { commit: oid, files }]]) }, oid);

  it('more files than are read, and one that is no text', () => {
    expect(asked(null)).toMatchObject({ why: expect.stringMatching(/more files than are read/) });
    const after = { kind: 'refused', blob: 'b2', why: 'not-utf8', size: 3 } as const;
    const before = { ...after, blob: 'b1' };
    const picture = { path: 'configs/logo', before, after, head: after };
    expect(asked([picture])).toMatchObject({
      why: expect.stringMatching(/configs\/logo is no text/),
    });
  });

  it('another word than `true`', () => {
    const said = (value: string) => ({
      ...story({})[0]?.commit,
      trailers: [['purser-ATOMIC', value]],
    });
    const is = (value: string) => isAtomic(said(value) as unknown as CommitInfo);
    expect([is('true '), is('false'), is('no')]).toEqual([true, false, false]);
  });
});
