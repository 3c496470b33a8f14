// Previews: what a change causes, told apart from what is pending, as people read it.

import { expect, test } from 'vitest';
import { createMemos } from '../../../reconciler/memos.ts';
import { changedTree, preview, previewWith } from '../../../reconciler/preview.ts';
import type { Summary } from '../../../schema/summary.ts';
import { summarize } from '../../../reconciler/render/summary.ts';
import { planText } from '../../../reconciler/render/plan-text.ts';
import type { LiveState } from '../../../schema/live.ts';
import type { Asks, LookupAnswer, SourceTree } from '../../../schema/source.ts';
import type { Change } from '../../support/tree.ts';
import {
  answerHistories,
  digestOf,
  failedMark,
  jobOf,
  ready,
  settledMark,
  story,
} from '../../support/tree.ts';
import { aCopy, liveOf } from '../../support/world.ts';

const WEB = 'jobs/shop/web.yaml';
const job = (tag: string, count: number, more = '') =>
  `image: reg.example/web:${tag}\ncount: ${count}\n${more}`;

const BASE: Change = {
  'cluster.yaml': 'name: test\npolicies:\n  registries: [reg.example]\n',
  'nodes/n001.yaml': 'node: n001\n',
  'nodes/n002.yaml': 'node: n002\n',
  'nodes/n003.yaml': 'node: n003\n',
  [WEB]: job('1', 3),
};

const resolve = ({ reference }: { readonly reference: string }): LookupAnswer => ({
  kind: 'digest',
  digest: digestOf(reference),
});

interface Scene {
  /** What HEAD holds besides BASE, which has not happened yet. */
  readonly pending?: Change;
  readonly change: Change;
  readonly resolves?: boolean;
}

/** `shop/web` runs settled with three copies, one a node; then HEAD, then the change. */
const summaryOf = async ({ pending = {}, change, resolves = true }: Scene): Promise<Summary> => {
  const first = ready(story(BASE));
  const web = jobOf(first.desired, 'shop/web');
  const copies = ['n001', 'n002', 'n003'].map((node, index) =>
    aCopy({ ...web, settled: true }, { node, index, group: 'web' }),
  );
  const live: LiveState = liveOf(copies);
  const ledger = [...first.ledger, settledMark(web)];
  const head = ready(story(BASE, { files: pending, message: 'head' }), { ledger, lastSynced: 0 });
  const commits = story(BASE, { files: pending, message: 'head' }, change);
  const last = commits.at(-1);
  if (last === undefined) throw new Error('there is a commit');
  return summarize(
    await preview({
      snapshot: { format: 1, tree: head.tree, live, takenAt: '2026-01-01T00:00:00Z' },
      change: changedTree(head.tree, last.commit, last.files),
      source: {
        complete: (tree, asked) => Promise.resolve(answerHistories(commits, tree, asked)),
        resolve: (ask) => Promise.resolve(resolves ? resolve(ask) : null),
      },
    }),
  );
};

test('a new image: versions, waves, and how many are down at once', async () => {
  const summary = await summaryOf({ change: { [WEB]: job('2', 3) } });
  expect(planText(summary).map((line) => line.replaceAll(/\b[0-9a-f]{12}\b/g, '<hash>'))).toEqual([
    '1 job: 3 to start, 3 to stop, in 3 waves.',
    '',
    'shop/web  changes  (jobs/shop/web.yaml)',
    '  version  <hash> → <hash>',
    '  image    reg.example/web:1 → reg.example/web:2 (web)',
    '  copies   3, on n001 ×1, n002 ×1, n003 ×1',
    '  waves    3, at most 1 of 3 copies down at once',
    '',
    'Waves',
    '  1–3, one after the other',
    '    stop   shop/web/web[0, 1, 2] on n001, n002, n003 (makes room for the new version)',
    '    start  shop/web/web[0, 1, 2] on n001, n002, n003 (replaces an older version)',
    '',
    'Problems',
    expect.stringMatching(/^ {2}jobs\/shop\/web\.yaml:1:8 {2}image-tag .*`2` alone/),
    '',
    'Promised to copies: CPU 300m → 300m of 12, memory 384MiB → 384MiB of 12GiB.',
  ]);
});

test('nothing changes by a comment', async () => {
  const summary = await summaryOf({ change: { [WEB]: `# a comment\n${job('1', 3)}` } });
  expect(summary).toMatchObject({ jobs: [], waves: [], pending: { steps: 0 } });
  expect(planText(summary)[0]).toBe('Nothing would change.');
});

test('what is pending without the change is not blamed on it', async () => {
  const pending = { 'jobs/shop/other.yaml': job('1', 2) };
  const summary = await summaryOf({ pending, change: { [WEB]: job('1', 4) } });
  expect(summary.jobs.map((one) => one.job)).toEqual(['shop/web']);
  expect(summary.jobs[0]).toMatchObject({ starts: 1, stops: 0, copies: { from: 3, to: 4 } });
  expect(summary.pending.steps).toBe(2);
});

test('a tag that nobody can be asked for is taken for an image that never ran', async () => {
  const summary = await summaryOf({ change: { [WEB]: job('2', 3) }, resolves: false });
  expect(summary.assumed).toEqual(['reg.example/web:2']);
  expect(summary.jobs[0]).toMatchObject({ starts: 3, stops: 3 });
});

test('what does not fit is not done, and says why', async () => {
  const more = 'resources: { memory: 100GiB }\n';
  const summary = await summaryOf({ change: { 'jobs/shop/big.yaml': job('1', 1, more) } });
  expect(summary.waves).toEqual([]);
  expect(planText(summary).join('\n')).toMatch(
    /big\[0\] fits on no node: 3 nodes: too little memory/,
  );
});

test('a mistake is a problem of the change only where the change brings it in', async () => {
  const wrong = { 'jobs/shop/bad.yaml': 'image: [\n' };
  const own = await summaryOf({ change: wrong });
  expect(own.problems).toMatchObject([{ file: 'jobs/shop/bad.yaml', severity: 'error' }]);
  const before = await summaryOf({ pending: wrong, change: { [WEB]: job('1', 4) } });
  expect(before.problems).toEqual([]);
  expect(before.pending.problems.map(({ file }) => file)).toContain('jobs/shop/bad.yaml');
});

test('a job that goes: its copies stop, or wait for approval', async () => {
  const summary = await summaryOf({ change: { [WEB]: null, 'jobs/shop/new.yaml': job('1', 1) } });
  const text = planText(summary).join('\n');
  expect(summary.guarded).toMatchObject([{ job: 'shop/web' }]);
  expect(text).toMatch(/Waits for approval \(purser approve\)\n {2}shop\/web: /);
});

test('a failed version that goes back as a whole is no news of another change', async () => {
  const second = { [WEB]: job('2', 3), 'jobs/shop/other.yaml': job('1', 1) };
  const atomic = { files: second, trailers: [['Purser-Atomic', 'true']] } as const;
  const first = ready(story(BASE));
  const web = jobOf(first.desired, 'shop/web');
  const bad = jobOf(
    ready(story(BASE, atomic), { ledger: [...first.ledger, settledMark(web)], lastSynced: 0 })
      .desired,
    'shop/web',
  );
  const ledger = [...first.ledger, settledMark(web), failedMark(bad)];
  const head = ready(story(BASE, atomic), { ledger, lastSynced: 0 });
  const live = liveOf(
    ['n001', 'n002', 'n003'].map((node, index) =>
      aCopy({ ...web, settled: true }, { node, index, group: 'web' }),
    ),
  );
  const waitsAfter = async (change: Change) => {
    const commits = story(BASE, atomic, change);
    const last = commits.at(-1);
    if (last === undefined) throw new Error('there is a commit');
    const { change: side } = await preview({
      snapshot: { format: 1, tree: head.tree, live, takenAt: '2026-01-01T00:00:00Z' },
      change: changedTree(head.tree, last.commit, last.files),
      source: {
        complete: (tree, asked) => Promise.resolve(answerHistories(commits, tree, asked)),
        resolve: (ask) => Promise.resolve(resolve(ask)),
      },
    });
    const reverts = side.first.proposals.filter(({ kind }) => kind === 'revert').length;
    const waits = side.first.blocked.flatMap((one) => (one.kind === 'waiting' ? [one] : []));
    return { reverts, why: waits.find(({ why }) => why === 'revert-impossible')?.detail };
  };
  expect(await waitsAfter({ 'jobs/shop/third.yaml': job('1', 1) })).toEqual({ reverts: 1 });
  // What the change edits is no more as the commit left it, and that is its news.
  const edited = await waitsAfter({ 'jobs/shop/other.yaml': job('1', 2) });
  expect(edited).toMatchObject({ reverts: 0, why: expect.stringContaining('has changed since') });
});

test('what earlier previews left changes nothing in a later one', async () => {
  const first = ready(story(BASE));
  const web = jobOf(first.desired, 'shop/web');
  const copies = ['n001', 'n002', 'n003'].map((node, index) =>
    aCopy({ ...web, settled: true }, { node, index, group: 'web' }),
  );
  const ledger = [...first.ledger, settledMark(web)];
  const memos = createMemos();
  const changes: readonly Change[] = [
    { [WEB]: job('2', 3) },
    { [WEB]: job('1', 1), 'jobs/shop/api.yaml': job('3', 2) },
    { [WEB]: null, 'jobs/shop/api.yaml': job('3', 2, 'resources: { memory: 1TiB }\n') },
    { [WEB]: job('2', 3) },
    { [WEB]: 'image: [\n' },
  ];
  for (const [at, change] of changes.entries()) {
    const { tree } = ready(story(BASE), { ledger, lastSynced: 0 });
    const commits = story(BASE, change);
    const last = commits.at(-1);
    if (last === undefined) throw new Error('there is a commit');
    const lost = at % 2 === 0 ? {} : { n003: { connected: false, silentForMs: 1e7 } };
    const ask = {
      snapshot: { format: 1, tree, live: liveOf(copies, lost), takenAt: '' } as const,
      change: changedTree(tree, last.commit, last.files),
      source: {
        complete: async (asked: SourceTree, asks: Asks) => answerHistories(commits, asked, asks),
        resolve: async ({ reference }: { readonly reference: string }) => resolve({ reference }),
      },
    };
    const warm = await previewWith({ ...memos, now: 1000.1 * at + 0.3 }, ask);
    expect(summarize(warm.preview)).toEqual(summarize(await preview(ask)));
  }
});
