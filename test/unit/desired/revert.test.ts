// What a failed version would go back to. Rules 6.3.

import { describe, expect, it } from 'vitest';
import type { RevertTarget } from '../../../schema/desired.ts';
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

  it('is impossible without a settled version, and for an atomic commit', () => {
    const files = { 'cluster.yaml': CLUSTER, [WEB]: `image: ${ref('1')}\n` };
    const { revert } = jobOf(ready(story(files)).desired, 'shop/web');
    expect(textAfter(revert)).toContain('no earlier version');
    const commits = story(files, {
      files: { [WEB]: `image: ${ref('2')}\n` },
      trailers: [['Purser-Atomic', 'true']],
    });
    const one = jobOf(ready(commits.slice(0, 1)).desired, 'shop/web');
    const two = jobOf(ready(commits, { ledger: [settledMark(one)] }).desired, 'shop/web');
    expect(textAfter(two.revert)).toContain('git revert');
  });

  it('names the blob that each edit was computed from (rules 12.3)', () => {
    const next = `image: ${ref('2')}\n`;
    const { revert } = reverted({ [WEB]: `image: ${ref('1')}\n` }, { [WEB]: next });
    const blob = story({ [WEB]: next })[0]?.files.get(WEB)?.blob;
    expect(revert).toMatchObject({ edits: [{ path: WEB, base: blob }] });
  });
});
