// What history says: held content, deployments, digests, fallbacks, rollbacks. Rules 1.1, 1.3, 2.3,
// 2.5, 3, 5.5.

import { describe, expect, it } from 'vitest';
import { asks, compile } from '../../../reconciler/desired/compile.ts';
import { historyWithHeld, withHeld } from '../../../reconciler/desired/held-files.ts';
import { createMemo } from '../../../reconciler/desired/memo.ts';
import type { LookupAnswer } from '../../../schema/source.ts';
import {
  digestOf,
  failedMark,
  jobOf,
  ready,
  settledMark,
  story,
  treeOf,
  type Change,
  type Story,
} from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const WEB = 'jobs/shop/web.yaml';
const image = (word: string, rest = '') =>
  `image: r.example/web:${word}@${digestOf(word)}\n${rest}`;
const tag = (word: string, rest = '') => `image: r.example/web:${word}\n${rest}`;
const base = (content: string) => ({ 'cluster.yaml': CLUSTER, [WEB]: content });
const oid = (commits: Story, at: number) => commits[at]?.commit.oid;
const webOf = (commits: Story, init = {}) => jobOf(ready(commits, init).desired, 'shop/web');

describe('held (rules 1.3)', () => {
  it('keeps a job that was removed and came back broken, until its removal was synced', () => {
    const commits = story(base(image('1')), { [WEB]: null }, { [WEB]: 'image: [\n' });
    const first = webOf(commits.slice(0, 1));
    const init = { lastSynced: 0, ledger: [settledMark(first)] };
    const held = webOf(commits, init);
    expect(held.standing).toMatchObject({ kind: 'held', why: expect.stringContaining(WEB) });
    expect(held.spec).toEqual(first.spec);
    expect(held.deployment).toBe(first.deployment);
    const memo = createMemo();
    ready(commits.slice(0, 2), { ...init, memo });
    expect(jobOf(ready(commits, { ...init, memo }).desired, 'shop/web')).toEqual(held);
    const others = story(
      { ...base(image('1')), 'jobs/shop/db.yaml': image('1') },
      { [WEB]: null },
      { [WEB]: 'image: [\n' },
    );
    const after = ready(others, { lastSynced: 1 }).desired.jobs.map(({ id }) => id);
    expect(after).toEqual(['shop/db']);
  });

  it('keeps the last valid content of a job', () => {
    const commits = story(base(image('1')), { [WEB]: image('2') }, { [WEB]: 'image: [\n' });
    const { desired } = ready(commits);
    const job = jobOf(desired, 'shop/web');
    expect(job.standing.kind).toBe('held');
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('2'));
    expect(job.commit.oid).toBe(oid(commits, 1));
    expect(desired.problems[0]).toMatchObject({ file: WEB, severity: 'error' });
    expect(desired.standing).toEqual({ kind: 'ok' });
  });

  it('looks up the images of content that was valid for a moment only', () => {
    const commits = story(base(tag('1', 'count: 3\n')), { [WEB]: 'image: [\n' });
    const { tree, desired, ledger } = ready(commits);
    const job = jobOf(desired, 'shop/web');
    expect(job.standing).toEqual({ kind: 'held', why: expect.stringContaining(WEB) });
    expect(job.spec.groups[0]).toMatchObject({
      count: 3,
      tasks: [{ image: { digest: digestOf('r.example/web:1') } }],
    });
    expect(ledger).toMatchObject([{ kind: 'digest', commit: oid(commits, 0) }]);
    expect(asks(tree).digests).toEqual([]);
    const memo = createMemo();
    ready(commits.slice(0, 1), { memo, resolve: () => null });
    expect(ready(commits, { memo, lastSynced: 0 }).desired.jobs).toEqual(desired.jobs);
  });

  it('waits for the images of held content, and says why; only policy’s registries are asked', () => {
    const commits = story(base(tag('1')), { [WEB]: '\n\nimage: [\n' });
    const failed = { kind: 'failed', why: 'not-found', message: 'unknown', sinceMs: 9e9 } as const;
    const { tree, desired } = ready(commits, { resolve: () => failed });
    expect(asks(tree).digests).toMatchObject([{ commit: oid(commits, 0) }]);
    expect(jobOf(desired, 'shop/web')).toMatchObject({
      standing: { kind: 'held' },
      unresolved: null,
      revert: { kind: 'impossible' },
    });
    expect(desired.problems).toContainEqual(
      expect.objectContaining({ code: 'image-unresolved', file: WEB, line: 1 }),
    );
    const narrowed = story(base(tag('1')), { 'cluster.yaml': 'name: home\n' });
    const waiting = ready(narrowed, { resolve: () => null });
    expect(asks(waiting.tree).digests).toEqual([]);
    expect(waiting.desired.problems.map(({ code }) => code)).toContain('registry-not-allowed');
    expect(jobOf(waiting.desired, 'shop/web').spec.groups[0]?.tasks[0]?.image.digest).toBeNull();
  });

  it('counts the content before as long as held content is not resolved', () => {
    const commits = story(base(image('1')), { [WEB]: tag('2') }, { [WEB]: 'image: [\n' });
    const digest = (init: Parameters<typeof webOf>[1]) =>
      webOf(commits, init).spec.groups[0]?.tasks[0]?.image.digest;
    expect(digest({ resolve: () => null })).toBe(digestOf('1'));
    expect(digest({})).toBe(digestOf('r.example/web:2'));
    const gone = story(base(tag('1')), { [WEB]: null }, { [WEB]: 'image: [\n' });
    const { tree, desired } = ready(gone, { resolve: () => null });
    expect([desired.jobs, asks(tree).digests]).toEqual([[], []]);
  });

  it('holds a job whose mounted file went, or whose registry policy no longer names', () => {
    const mounts = image('1', 'files: {/a: configs/a}\n');
    const gone = story({ ...base(mounts), 'configs/a': 'x' }, { 'configs/a': null });
    expect(webOf(gone).standing.kind).toBe('held');
    expect(webOf(gone).spec.groups[0]?.tasks[0]?.files[0]?.content).toBe('x');
    const refused = story(base(image('1')), { 'cluster.yaml': 'name: home\n' });
    expect(webOf(refused).standing.kind).toBe('held');
  });

  it('forgets what never was valid, and what was gone in between', () => {
    const never = ready(story(base('image: [\n'))).desired;
    expect(never.jobs).toEqual([]);
    const again = story(base(image('1')), { [WEB]: null }, { [WEB]: 'nonsense: 1\n' });
    expect(ready(again).desired.jobs).toEqual([]);
  });

  it('does nothing before the history is read, and asks for it', () => {
    const tree = treeOf(story(base(image('1')), { [WEB]: 'image: [\n' }));
    expect(asks(tree).histories).toEqual([
      { path: WEB, with: ['cluster.yaml', 'namespaces/shop.yaml'] },
    ]);
    expect(compile(tree).standing.kind).toBe('stopped');
  });

  it('keeps cluster, namespace, node and scale files too', () => {
    const machine = image('1', 'count: {min: 1, max: 9}\n');
    const commits = story(
      {
        ...base(machine),
        'namespaces/shop.yaml': 'protected: true\n',
        'nodes/n1.yaml': 'pool: web\n',
        'scale/shop/web.yaml': 'web: 4\n',
      },
      {
        'cluster.yaml': null,
        'namespaces/shop.yaml': 'protected: maybe\n',
        'nodes/n1.yaml': 'pol: web\n',
        'scale/shop/web.yaml': 'web: many\n',
      },
    );
    const { desired } = ready(commits);
    expect(desired.cluster.name).toBe('home');
    expect(desired.namespaces[0]?.protected).toBe(true);
    expect(desired.nodes).toMatchObject([{ name: 'n1', pool: 'web' }]);
    expect(jobOf(desired, 'shop/web').spec.groups[0]?.count).toBe(4);
    expect(desired.problems.map(({ file }) => file)).toEqual([
      'cluster.yaml',
      'namespaces/shop.yaml',
      'nodes/n1.yaml',
      'scale/shop/web.yaml',
    ]);
  });

  it('stops where cluster.yaml never was valid', () => {
    expect(ready(story({ [WEB]: image('1') })).desired.standing.kind).toBe('stopped');
  });

  describe('a file that is gone in between', () => {
    const NS = 'namespaces/shop.yaml';
    const first = {
      ...base(image('1')),
      [NS]: 'protected: true\n',
      'nodes/n1.yaml': 'pool: web\n',
    };
    /** The desired state after each commit: compiled afresh, and as the loop does it. */
    const after = (...changes: readonly Change[]) => {
      const memo = createMemo();
      return changes.map((_, at) => {
        const commits = story(...changes.slice(0, at + 1));
        const init = at === 0 ? {} : { lastSynced: 0 };
        const { desired } = ready(commits, init);
        expect(ready(commits, { ...init, memo }).desired).toEqual(desired);
        return desired;
      });
    };

    it('cluster.yaml counts on: missing is not valid, and never absent', () => {
      const lines = CLUSTER.replace('name: home', 'name: home\nmax_deployments: 2');
      const [, gone, broken, back] = after(
        { ...first, 'cluster.yaml': lines },
        { 'cluster.yaml': null },
        { 'cluster.yaml': 'name: [\n' },
        { 'cluster.yaml': CLUSTER },
      );
      for (const desired of [gone, broken]) {
        expect(desired?.standing).toEqual({ kind: 'ok' });
        expect(desired?.cluster).toMatchObject({ name: 'home', maxDeployments: 2 });
        expect(desired?.problems).toMatchObject([{ file: 'cluster.yaml', severity: 'error' }]);
        expect(desired?.jobs).toMatchObject([{ id: 'shop/web', standing: { kind: 'head' } }]);
      }
      expect(back?.cluster.maxDeployments).toBe(5);
      expect(back?.problems).toEqual([]);
    });

    it('a namespace’s begins anew: what it said is not known, its jobs wait, its guard stays', () => {
      const states = after(first, { [NS]: null }, { [NS]: 'protected: [\n' }, { [NS]: '{}\n' });
      expect(states.map(({ jobs }) => jobs[0]?.standing.kind)).toEqual([
        'head',
        'head',
        'held',
        'head',
      ]);
      expect(states.map(({ namespaces }) => namespaces[0])).toMatchObject([
        { name: 'shop', protected: true },
        { name: 'shop', protected: false, wasProtected: true },
        { name: 'shop', protected: false, wasProtected: true },
        { name: 'shop', protected: false, wasProtected: true },
      ]);
      expect(states.map(({ problems }) => problems.length)).toEqual([0, 0, 1, 0]);
    });

    it('a node’s begins anew: it stays out until its file is valid again', () => {
      const n1 = 'nodes/n1.yaml';
      const states = after(first, { [n1]: null }, { [n1]: 'pool: [\n' }, { [n1]: 'pool: db\n' });
      const pools = states.map(({ nodes }) => nodes.map(({ pool }) => pool));
      expect(pools).toEqual([['web'], [], [], ['db']]);
      expect(states[2]?.problems).toMatchObject([{ file: n1 }]);
    });
  });

  it('holds the jobs of a namespace whose file never was valid', () => {
    const commits = story(base(image('1')), { 'namespaces/shop.yaml': 'x: 1\n' });
    expect(webOf(commits).standing).toMatchObject({ kind: 'held' });
  });
});

describe('removed and empty', () => {
  const both = { ...base(image('1')), 'jobs/shop/api.yaml': image('2') };

  it('shows a job that is gone with its content at the last synced commit', () => {
    const commits = story(both, { 'jobs/shop/api.yaml': null });
    const { desired } = ready(commits, { lastSynced: 0 });
    const job = jobOf(desired, 'shop/api');
    expect(job.standing).toEqual({ kind: 'removed' });
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('2'));
    expect(desired.standing).toEqual({ kind: 'ok' });
  });

  it('keeps the last valid content of a job whose file was broken when it was synced', () => {
    const api = 'jobs/shop/api.yaml';
    const broken = { [api]: 'image: [\n' };
    const commits = story(both, broken, { 'README.md': 'x' }, { [api]: null });
    const before = jobOf(ready(commits.slice(0, 1)).desired, 'shop/api');
    for (const lastSynced of [1, 2]) {
      const { desired } = ready(commits, { lastSynced, ledger: [settledMark(before)] });
      const job = jobOf(desired, 'shop/api');
      expect(job.standing).toEqual({ kind: 'removed' });
      expect(job.spec).toEqual(before.spec);
      expect(job.deployment).toBe(before.deployment);
      expect(desired.unknownJobs).toBe(undefined);
    }
    // Mended and removed since: what counted in the synced commit is kept all the same.
    const mended = story(both, broken, { [api]: image('3') }, { [api]: null });
    expect(jobOf(ready(mended, { lastSynced: 1 }).desired, 'shop/api').spec).toEqual(before.spec);
  });

  it('stands still until the history of such a job is read', () => {
    const api = 'jobs/shop/api.yaml';
    const commits = story(both, { [api]: 'image: [\n' }, { [api]: null });
    const ledger = [settledMark(webOf(commits.slice(0, 1)))];
    const tree = treeOf(commits, { lastSynced: 1, ledger });
    const { standing } = compile(tree);
    expect(standing).toEqual({ kind: 'stopped', why: `the history of ${api} is not read yet` });
    expect(asks(tree).histories.map(({ path }) => path)).toEqual([api]);
  });

  it('names a job of which no content was ever valid', () => {
    const api = 'jobs/shop/api.yaml';
    const never = story(base(image('1')), { [api]: 'image: [\n' }, { [api]: null });
    const { desired } = ready(never, { lastSynced: 1 });
    expect(desired.jobs.map(({ id }) => id)).toEqual(['shop/web']);
    expect(desired.unknownJobs).toEqual(['shop/api']);
    // What was gone in between began anew.
    const anew = story(both, { [api]: null }, { [api]: 'image: [\n' }, { [api]: null });
    expect(ready(anew, { lastSynced: 2 }).desired.unknownJobs).toEqual(['shop/api']);
  });

  it('refuses an empty HEAD, also when allow_empty comes with it', () => {
    const gone = { 'jobs/shop/api.yaml': null, [WEB]: null };
    const allowed = { 'cluster.yaml': `${CLUSTER}allow_empty: true\n` };
    const refused = story(both, { ...gone, ...allowed }, { 'README.md': 'x' });
    const { desired } = ready(refused, { lastSynced: 0 });
    expect(desired.standing.kind).toBe('stopped');
    expect(desired.problems.map(({ code }) => code)).toEqual(['tree-empty']);
    expect(desired.jobs.map(({ standing }) => standing.kind)).toEqual(['held', 'held']);
    const meant = story(both, allowed, gone);
    const second = ready(meant, { lastSynced: 0 }).desired;
    expect(second.standing).toEqual({ kind: 'ok' });
    expect(second.jobs.map(({ standing }) => standing.kind)).toEqual(['removed', 'removed']);
  });

  it('refuses an empty HEAD also where owners have not let some of it through', () => {
    const commits = story(both, { 'jobs/shop/api.yaml': null, [WEB]: null });
    const after = oid(commits, 1) ?? '';
    const accepted = commits[0]?.files.get(WEB)?.blob ?? null;
    const waits = { path: WEB, blob: null, accepted, commit: after, since: after };
    const held = [{ ...waits, owners: ['@ada'], by: 'eve' }];
    const { tree } = ready(commits, { lastSynced: 0 });
    const histories = new Map(
      [...tree.histories].map(([path, history]) => [path, historyWithHeld(history, held)] as const),
    );
    const files = withHeld(tree.files, held);
    const desired = compile({ ...tree, files, histories, held });
    expect(desired.standing.kind).toBe('stopped');
    expect(desired.problems.map(({ code }) => code)).toContain('tree-empty');
    expect(desired.jobs.map(({ standing }) => standing.kind)).toEqual(['held', 'held']);
  });
});

describe('deployment (rules 1.1, 2.3)', () => {
  it('is that of the newest commit at which the version differs from the parent’s', () => {
    const commits = story(
      base(image('1')),
      { [WEB]: image('2') },
      { [WEB]: image('1') },
      { [WEB]: image('1', 'count: 4\n') },
      { [WEB]: image('1', 'count: [\n') },
      { [WEB]: image('1', 'count: 5\n') },
    );
    expect(webOf(commits).commit.oid).toBe(oid(commits, 2));
    expect(webOf(commits).deployment).not.toBe(webOf(commits.slice(0, 1)).deployment);
    expect(webOf(commits.slice(0, 4)).deployment).toBe(webOf(commits).deployment);
  });

  it('of a version that came by a mounted file or a cluster default is that commit', () => {
    const mounts = image('1', 'files: {/a: configs/a}\n');
    const byFile = story({ ...base(mounts), 'configs/a': 'x' }, { 'configs/a': 'y' });
    expect(webOf(byFile).commit.oid).toBe(oid(byFile, 1));
    const defaults = `${CLUSTER}defaults: {resources: {cpu: 1m}}\n`;
    const byDefault = story(base(image('1')), { 'cluster.yaml': defaults });
    expect(webOf(byDefault).commit.oid).toBe(oid(byDefault, 1));
  });

  it('of a settled version is read off its mark, without a history (rules 12.4)', () => {
    const commits = story(base(image('1')), { [WEB]: image('1', 'count: 2\n') });
    const first = webOf(commits.slice(0, 1));
    const tree = treeOf(commits, { ledger: [settledMark(first)] });
    expect(asks(tree)).toEqual({ digests: [], histories: [] });
    expect(jobOf(compile(tree), 'shop/web')).toMatchObject({
      deployment: first.deployment,
      settled: true,
      isRollback: false,
      standing: { kind: 'head' },
      commit: { oid: oid(commits, 0), author: 'Ada', subject: 'Commit 1' },
    });
    const { author: _a, email: _e, subject: _s, ...older } = settledMark(first);
    expect(jobOf(compile(treeOf(commits, { ledger: [older] })), 'shop/web').commit).toEqual({
      oid: oid(commits, 0),
      author: '',
      email: '',
      subject: '',
    });
  });

  it('failed and reverted marks match by deployment: a second try is a new one', () => {
    const commits = story(base(image('1')), { [WEB]: image('2') });
    const one = webOf(commits.slice(0, 1));
    const two = webOf(commits, { ledger: [settledMark(one)] });
    const reverted = { kind: 'reverted', job: 'shop/web', commit: 'c', deployment: two.deployment };
    const ledger = [settledMark(one), failedMark(two), reverted as never];
    expect(webOf(commits, { ledger })).toMatchObject({
      failed: { evidence: { reason: 'it crashed' } },
      reverted: 'c',
    });
    const again = story(
      base(image('1')),
      { [WEB]: image('2') },
      { [WEB]: image('1') },
      { [WEB]: image('2') },
    );
    expect(webOf(again, { ledger }).failed).toBeNull();
    expect(webOf(again.slice(0, 3), { ledger })).toMatchObject({ settled: true, isRollback: true });
  });
});

describe('a revert of ours whose record was not written (rules 6.4, 11)', () => {
  const first = base(image('1'));
  const one = webOf(story(first));
  const two = webOf(story(first, { [WEB]: image('2') }), { ledger: [settledMark(one)] });
  const ledger = [settledMark(one), failedMark(two)];
  const said = {
    'Purser-Cluster': 'home',
    'Purser-Job': 'shop/web',
    'Purser-Deployment': two.deployment,
  };
  const answered = (changes: Partial<typeof said> = {}) =>
    story(
      first,
      { [WEB]: image('2') },
      { files: { [WEB]: image('1') }, trailers: Object.entries({ ...said, ...changes }) },
      { 'cluster.yaml': `${first['cluster.yaml']}# pushed on top\n` },
    );
  const owed = (commits: Story, init: Parameters<typeof treeOf>[1]) =>
    compile(treeOf(commits, init)).owed.filter(({ kind }) => kind === 'reverted');
  const record = {
    kind: 'reverted',
    job: 'shop/web',
    deployment: two.deployment,
    commit: oid(answered(), 2) ?? '',
  } as const;

  it('is owed to the ledger, also when people pushed on top', () => {
    expect(owed(answered(), { ledger, lastSynced: 1 })).toEqual([record]);
    expect(owed(answered(), { ledger })).toEqual([record]);
  });

  it('is owed once, and never for what the ledger does not call failed, or for another cluster', () => {
    expect(owed(answered(), { ledger: [...ledger, record], lastSynced: 1 })).toEqual([]);
    expect(owed(answered(), { ledger: [settledMark(one)], lastSynced: 1 })).toEqual([]);
    expect(owed(answered({ 'Purser-Cluster': 'other' }), { ledger, lastSynced: 1 })).toEqual([]);
  });

  it('is not looked for before the last synced commit', () => {
    expect(owed(answered(), { ledger, lastSynced: 2 })).toEqual([]);
  });
});

describe('fallback (rules 5.5)', () => {
  it('is the newest settled version, under HEAD’s in-place fields and count', () => {
    const commits = story(
      base(image('1', 'count: 2\n')),
      { [WEB]: image('2') },
      { [WEB]: image('3', 'count: 7\nkill_timeout: 3s\n') },
    );
    const one = webOf(commits.slice(0, 1));
    const job = webOf(commits, { ledger: [settledMark(one)] });
    expect(job.fallback).toMatchObject({
      deployment: one.deployment,
      commit: { oid: oid(commits, 0), author: 'Ada' },
      spec: {
        specHash: one.spec.specHash,
        groups: [{ count: 7, tasks: [{ killTimeoutMs: 3000 }] }],
      },
    });
    expect(webOf(commits).fallback).toBeNull();
  });

  it('is found where an older content used other files', () => {
    const old = image('1', 'files: {/a: configs/old}\n');
    const commits = story({ ...base(old), 'configs/old': 'x' }, { [WEB]: image('2') });
    const one = webOf(commits.slice(0, 1));
    const job = webOf(commits, { ledger: [settledMark(one)] });
    expect(job.fallback?.spec.specHash).toBe(one.spec.specHash);
  });
});

describe('images (rules 3)', () => {
  it('are looked up once, and count once the record is in the ledger', () => {
    const commits = story(base(tag('1')));
    const answer: LookupAnswer = { kind: 'digest', digest: digestOf('x') };
    const { desired, ledger } = ready(commits, { resolve: () => answer });
    const job = jobOf(desired, 'shop/web');
    expect(job.standing).toEqual({ kind: 'head' });
    expect(job.spec.groups[0]?.tasks[0]?.image).toEqual({
      reference: 'r.example/web:1',
      repository: 'r.example/web',
      digest: digestOf('x'),
    });
    expect(ledger).toMatchObject([{ kind: 'digest', commit: oid(commits, 0) }]);
    expect(desired.problems).toMatchObject([{ code: 'image-tag', severity: 'warning', line: 1 }]);
    const waiting = ready(commits, { resolve: () => null }).desired;
    expect(jobOf(waiting, 'shop/web').standing).toMatchObject({ kind: 'held' });
    expect(waiting.owed).toEqual([]);
  });

  it('keep the digest of the commit that brought the text in', () => {
    const commits = story(base(tag('1')), { [WEB]: tag('1', 'user: "1"\n') });
    const first = ready(commits.slice(0, 1), {
      resolve: () => ({ kind: 'digest', digest: digestOf('old') }),
    });
    const second = ready(commits, { ledger: first.ledger, resolve: () => null });
    const job = jobOf(second.desired, 'shop/web');
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('old'));
  });

  it('keep it too where that commit lies further back than history is read (12.4)', () => {
    const edits = Array.from({ length: 51 }, (_, at) => ({ [WEB]: tag('1', `user: "${at}"\n`) }));
    const commits = story(base(tag('1')), ...edits);
    const first = ready(commits.slice(0, 1), {
      resolve: () => ({ kind: 'digest', digest: digestOf('old') }),
    });
    const { desired } = ready(commits, { ledger: first.ledger, resolve: () => null });
    const job = jobOf(desired, 'shop/web');
    expect(job.standing).toEqual({ kind: 'head' });
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('old'));
  });

  it('take the settled digest when a text comes back, else are looked up anew', () => {
    const commits = story(base(tag('1')), { [WEB]: tag('2') }, { [WEB]: tag('1', 'user: "1"\n') });
    const first = ready(commits.slice(0, 1), {
      resolve: () => ({ kind: 'digest', digest: digestOf('old') }),
    });
    const moved = { resolve: () => ({ kind: 'digest', digest: digestOf('new') }) as const };
    const mark = settledMark(jobOf(first.desired, 'shop/web'));
    const digest = (ledger: typeof first.ledger) =>
      webOf(commits, { ...moved, ledger }).spec.groups[0]?.tasks[0]?.image.digest;
    expect(digest([...first.ledger, mark])).toBe(digestOf('old'));
    expect(digest(first.ledger)).toBe(digestOf('new'));
  });

  it('that are not found are the version’s fault, with the settled version as fallback', () => {
    const commits = story(base(image('1')), { [WEB]: tag('2') });
    const one = webOf(commits.slice(0, 1));
    const failed = { kind: 'failed', message: 'manifest unknown', sinceMs: 7000 } as const;
    const job = webOf(commits, {
      ledger: [settledMark(one)],
      resolve: () => ({ ...failed, why: 'not-found' }),
    });
    expect(job).toMatchObject({
      standing: { kind: 'held', why: 'unresolved image: r.example/web:2' },
      commit: { oid: oid(commits, 1) },
      settled: false,
      fallback: { deployment: one.deployment },
      unresolved: { sinceMs: 7000, blame: 'version' },
      revert: { kind: 'possible', specHash: one.spec.specHash },
    });
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBeNull();
    const platform = webOf(commits, {
      ledger: [settledMark(one)],
      resolve: () => ({ ...failed, why: 'unreachable' }),
    });
    expect(platform.unresolved?.blame).toBe('platform');
  });

  it('that are not resolved hold the content before, where nothing has settled', () => {
    const commits = story(base(image('1')), { [WEB]: tag('2') });
    const job = webOf(commits, { resolve: () => null });
    expect(job.standing.kind).toBe('held');
    expect(job.spec.groups[0]?.tasks[0]?.image.digest).toBe(digestOf('1'));
    expect(job.commit.oid).toBe(oid(commits, 0));
  });

  it('by tag are refused in a protected namespace', () => {
    const commits = story({ ...base(tag('1')), 'namespaces/shop.yaml': 'protected: true\n' });
    const { desired } = ready(commits);
    expect(desired.jobs).toEqual([]);
    expect(desired.problems.map(({ code }) => code)).toContain('image-tag-protected');
  });
});

describe('what runners may have accepted (rules 10.3)', () => {
  const commits = story(base(image('1')));
  const head = oid(commits, 0);

  it('is anything in a local repository, else what HEAD contains or a resume names', () => {
    expect(compile(treeOf(commits)).acceptable).toBe(null);
    const resume = { kind: 'resume', commit: 'r', by: 'Ada', at: '2026-01-01T00:00:00Z' } as const;
    const tree = treeOf(commits, { local: false, ledger: [resume] });
    expect(compile(tree).acceptable).toEqual([head, 'r']);
    expect(compile({ ...tree, contained: ['c'] }).acceptable).toEqual([head, 'c', 'r']);
  });
});

describe('what the last synced commit wanted (rules 8.1)', () => {
  const now = {
    'cluster.yaml': CLUSTER,
    'jobs/shop/web.yaml': `image: r.example/web@${digestOf('1')}\ncount: {min: 1, max: 9}\n`,
    'jobs/shop/db.yaml': `image: r.example/web@${digestOf('1')}\ncount: 2\n`,
    'scale/shop/web.yaml': 'web: 4\n',
    'namespaces/shop.yaml': 'protected: true\n',
    'namespaces/gone.yaml': 'protected: true\n',
  };
  const then = (...changes: readonly Change[]) =>
    ready(story(now, ...changes), { lastSynced: 0 }).desired;

  it('is said only of jobs whose file, or count, changed since', () => {
    const desired = then({ 'scale/shop/web.yaml': 'web: 2\n', 'jobs/shop/new.yaml': 'image: x\n' });
    const web = [{ name: 'web', min: 1, max: 9, value: 4 }];
    expect(desired.synced).toEqual(
      new Map([
        ['shop/web', web],
        ['shop/new', []],
      ]),
    );
    const missing = then({ 'scale/shop/web.yaml': null }, { 'jobs/shop/db.yaml': null });
    expect(missing.synced).toEqual(new Map([['shop/web', web]]));
    const fresh = ready(story({ ...now, 'jobs/shop/db.yaml': null }, now), { lastSynced: 0 });
    expect(fresh.desired.synced?.get('shop/db')).toEqual([]);
    const broken = story({ ...now, 'jobs/shop/db.yaml': 'count: x' }, now);
    expect(ready(broken, { lastSynced: 0 }).desired.synced?.get('shop/db')).toBeNull();
    expect(
      ready(story(now, { 'configs/x': 'x' }), { lastSynced: 0 }).desired.synced,
    ).toBeUndefined();
  });

  it('a protection that HEAD takes away is known', () => {
    const { namespaces } = then({
      'namespaces/shop.yaml': 'protected: false\n',
      'namespaces/gone.yaml': null,
    });
    expect(namespaces.map((one) => [one.name, one.protected, one.wasProtected])).toEqual([
      ['gone', false, true],
      ['shop', false, true],
    ]);
    expect(then({ 'jobs/shop/db.yaml': null }).namespaces.some((one) => one.wasProtected)).toBe(
      false,
    );
  });
});
