// `purser plan --json` and the check of a pull request with the same change: judged alike, and what
// only a forge knows is named. Real repositories, the real reader of pull requests, a forge in
// memory. In: changes. Out: tests. Not here: what a plan holds (pull-plans), the command (cli).

import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { changeTree } from '../../cli/change-tree.ts';
import { asksPast } from '../../reconciler/cycle.ts';
import type { View } from '../../reconciler/cycle.ts';
import { asks, compile } from '../../reconciler/desired/compile.ts';
import { createPullReader } from '../../reconciler/edge/git/pulls.ts';
import { createGitSource } from '../../reconciler/edge/git/source.ts';
import type { ForgeContext } from '../../reconciler/forge-context.ts';
import { createMemos } from '../../reconciler/memos.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { previewPlan } from '../../reconciler/planned.ts';
import { createPullPlanner } from '../../reconciler/pull-plan.ts';
import { createPullReports } from '../../reconciler/pull-reports.ts';
import type { Behind } from '../../schema/behind.ts';
import type { CheckReport } from '../../schema/forge.ts';
import type { LookupAnswer } from '../../schema/source.ts';
import { createFakeForge } from '../support/fake-forge.ts';
import { pull } from '../support/forge-world.ts';
import { commitFiles, git, initRepository, tempFolder, type FileSet } from '../support/git-repo.ts';
import { signedCommit, signWith, sshKey, type SshKey } from '../support/signing.ts';
import { digestOf, jobOf } from '../support/tree.ts';
import { aCopy, liveOf } from '../support/world.ts';

const IMAGE = `reg.example/app:1@${digestOf('app')}`;
const WEB = 'jobs/shop/web.yaml';
const API = 'jobs/team/api.yaml';
const log = { info: () => {}, warn: () => {}, error: () => {} };
const isGone: LookupAnswer = { kind: 'failed', why: 'not-found', message: 'no', sinceMs: 0 };
const noDigests = { resolve: () => Promise.resolve(isGone) };
const BOB = { name: 'bob', as: ['@bob'] };
const ADA = { name: 'ada@example.org', as: ['ada@example.org'] };

let folder = '';
let work = '';
let ada: SshKey;

beforeAll(() => {
  folder = tempFolder('plan-json');
  ada = sshKey(folder, 'ada');
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

const cluster = (...more: readonly string[]): string =>
  ['name: ship', 'policies: { registries: [reg.example] }', ...more, ''].join('\n');
const OWNED = ['owners: |', '  /cluster.yaml @bob', '  /jobs/team/ @bob ada@example.org'];

/** The cluster with five copies of web, in sync with its branch, as the loop sees it. */
const viewOf = async (): Promise<View> => {
  const options = { repository: work, branch: 'main', directory: '', cluster: 'ship', log };
  const source = createGitSource({ ...options, cacheDir: work });
  const { head } = await source.read();
  await source.record([{ kind: 'synced', commit: head.oid }]);
  let tree = await source.read();
  const { compile: memo } = createMemos();
  for (let wanted = asks(tree, memo); asksPast(wanted); wanted = asks(tree, memo)) {
    tree = await source.complete(tree, wanted);
  }
  const desired = compile(tree, memo);
  const web = { ...jobOf(desired, 'shop/web'), settled: true };
  const place = (index: number) => ({ node: `n00${(index % 3) + 1}`, index, group: 'web' });
  const live = liveOf([0, 1, 2, 3, 4].map((index) => aCopy(web, place(index))));
  const made = plan(desired, live, 0);
  source.close();
  return { tree, desired, live, told: () => live, plan: made, violations: [], at: 0, stale: null };
};

/** The check of a pull request with this head, as the forge gets it. */
const checkOf = async (view: View, head: string, behind?: Behind): Promise<CheckReport> => {
  const fake = createFakeForge();
  if (behind !== undefined) fake.behind.set('#3', behind);
  const options = { repository: work, branch: 'main', directory: '', cluster: 'ship', log };
  const reader = createPullReader({ ...options, cacheDir: work });
  const registry = noDigests;
  const plans = createPullPlanner({ reader, registry, anonymous: registry, now: () => 0 });
  const never = () => new Promise<void>(() => {});
  const clock = { now: () => 0, sleepUntil: never };
  const unused = {} as Pick<ForgeContext, 'source' | 'loop'>;
  const context = { ...unused, forge: fake.port, clock, log, plans: { plan: plans, close: never } };
  const reports = createPullReports(context, { wake: () => {}, isWoken: () => false });
  await reports.tell(view, { pulls: [pull({ head })], groups: [], requests: [] });
  reader.close();
  const check = fake.checks.get(`plan/${head}`);
  if (check === undefined) throw new Error('there is no check');
  return check;
};

const jsonOf = async ({ tree, live }: View, named: string) => {
  const snapshot = { format: 1, tree, live, takenAt: '' } as const;
  const change = await changeTree(snapshot, named, work);
  try {
    const { complete, arrival } = change;
    const source = { complete, resolve: noDigests.resolve };
    return await previewPlan({ snapshot, change: change.tree, source, arrival });
  } finally {
    change.close();
  }
};

const five = (more = ''): string => `image: ${IMAGE}\ncount: 5\n${more}`;
const six = five().replace('count: 5', 'count: 6');
const base = (...rules: readonly string[]): FileSet => ({
  'cluster.yaml': cluster(...rules),
  ...Object.fromEntries([1, 2, 3].map((at) => [`nodes/n00${at}.yaml`, `node: n00${at}\n`])),
  [WEB]: five(),
  [API]: `image: ${IMAGE}\nstopped: true\n`,
});

/** On a branch of its own, unsigned unless a key is given. */
const branch = (files: FileSet, key?: SshKey): string => {
  git(work, 'checkout', '--quiet', '-B', 'change');
  return key === undefined
    ? commitFiles(work, files, 'a change')
    : signedCommit(work, key, { files, message: 'a change' });
};

beforeEach(() => {
  fs.rmSync(path.join(folder, 'work'), { recursive: true, force: true });
  work = initRepository(path.join(folder, 'work'));
  git(work, 'config', 'user.email', 'ada@example.org');
});

interface Case {
  readonly title: string;
  readonly conclusion: CheckReport['conclusion'];
  readonly files: FileSet;
  readonly rules?: readonly string[];
  readonly behind?: Behind;
}

const CASES: Readonly<Record<string, Case>> = {
  safe: { title: '1 start', conclusion: 'success', files: { [WEB]: six } },
  'elsewhere only': {
    title: 'Nothing of this cluster changes',
    conclusion: 'success',
    files: { README: 'words' },
  },
  destructive: {
    title: '1 job removed, 5 copies would stop once approved',
    conclusion: 'action_required',
    files: { [WEB]: null },
  },
  unplaceable: {
    title: '1 job does not fit',
    conclusion: 'failure',
    files: { 'jobs/shop/big.yaml': five('resources: { memory: 900GiB }\n') },
  },
  invalid: {
    title: '1 error',
    conclusion: 'failure',
    files: { [WEB]: 'imagine: nothing\n' },
  },
  'a registry that the change itself allows': {
    title: '1 start',
    conclusion: 'success',
    files: {
      'cluster.yaml': cluster().replace('reg.example', 'reg.example, new.example'),
      'jobs/shop/new.yaml': 'image: new.example/app:1\n',
    },
  },
  'an owned path': {
    title: '1 start, waits for @bob, ada@example.org',
    conclusion: 'action_required',
    files: { [API]: `image: ${IMAGE}\n` },
    rules: OWNED,
    behind: { authors: [ADA], approvals: [] },
  },
  'an owned path that its author owns, where that is enough': {
    title: '1 start',
    conclusion: 'success',
    files: { [API]: `image: ${IMAGE}\n` },
    rules: ['guards: { own_approval: true }', ...OWNED],
    behind: { authors: [ADA], approvals: [] },
  },
};

describe('`purser plan --json` says what the check says', () => {
  test.each(Object.entries(CASES))('%s', async (_, one) => {
    commitFiles(work, base(...(one.rules ?? [])), 'first');
    const view = await viewOf();
    const head = branch(one.files);
    const check = await checkOf(view, head, one.behind);
    expect(check).toMatchObject({ title: one.title, conclusion: one.conclusion });
    const { title, conclusion } = one;
    const told = await jsonOf(view, 'change');
    expect(told).toMatchObject({ title, conclusion, head, base: view.tree.head.oid });
    const isOwned = one.rules !== undefined;
    expect(told.unknown).toEqual(isOwned ? [expect.stringContaining('who reviews')] : []);
    expect(await jsonOf(view, work)).toMatchObject(
      // A folder without edits, and the same edits before they are committed.
      title.startsWith('Nothing') ? { conclusion } : { title, conclusion, head },
    );
    git(work, 'reset', '--quiet', '--mixed', 'main');
    git(work, 'checkout', '--quiet', 'main');
    const edits = await jsonOf(view, work);
    expect(edits).toMatchObject(
      title.startsWith('Nothing') ? { conclusion } : { title, conclusion },
    );
  });

  test('a review lets it through for the check; the JSON says that it knows none', async () => {
    commitFiles(work, base(...OWNED), 'first');
    const view = await viewOf();
    const head = branch({ [API]: `image: ${IMAGE}\n` });
    const reviewed = { authors: [ADA], approvals: [BOB] };
    expect(await checkOf(view, head, reviewed)).toMatchObject({ title: '1 start' });
    expect(await jsonOf(view, 'change')).toMatchObject({
      conclusion: 'action_required',
      waits: [{ path: API, owners: ['@bob', 'ada@example.org'] }],
      unknown: [expect.stringContaining('who opens and who reviews')],
    });
  });

  test('a branch that fell behind is merged; one that cannot be is a conflict', async () => {
    const start = commitFiles(work, base(), 'first');
    const ours = commitFiles(
      work,
      { [API]: `image: ${IMAGE}\nstopped: true\npriority: 60\n` },
      'ours',
    );
    const view = await viewOf();
    git(work, 'checkout', '--quiet', '--detach', start);
    const head = branch({ [WEB]: six });
    expect(await checkOf(view, head)).toMatchObject({ title: '1 start', conclusion: 'success' });
    const told = await jsonOf(view, 'change');
    expect(told).toMatchObject({ title: '1 start', base: ours, head, unknown: [] });
    expect(told.plan?.summary.jobs.map(({ job }) => job)).toEqual(['shop/web']);
    // The folder lacks what came: that it is shown as taken back is said.
    expect(await jsonOf(view, work)).toMatchObject({
      unknown: [expect.stringContaining('not checked out here')],
    });
    git(work, 'checkout', '--quiet', '--detach', start);
    const theirs = branch({ [API]: `image: ${IMAGE}\nstopped: true\npriority: 70\n` });
    const title = 'Conflicts with the branch in 1 file';
    expect(await checkOf(view, theirs)).toMatchObject({ title, conclusion: 'failure' });
    const conflict = await jsonOf(view, 'change');
    expect(conflict).toMatchObject({ title, conclusion: 'failure', files: [API], plan: null });
    // What the branch has left behind is shown as it stands: going back is no merge.
    expect(await jsonOf(view, start)).toMatchObject({ conclusion: 'success', unknown: [] });
  });

  test.each(['strict', 'head'] as const)('unsigned commits with `%s`', async (verify) => {
    const signers = `ada@example.org ${ada.line}\n`;
    const files = {
      ...base(`signatures: { verify: ${verify} }`),
      'signers/allowed_signers': signers,
    };
    signedCommit(work, ada, { files, message: 'first' });
    const view = await viewOf();
    const unsigned = branch({ [WEB]: six });
    const title = '1 start, 1 commit would not be accepted';
    expect(await checkOf(view, unsigned)).toMatchObject({ title, conclusion: 'failure' });
    expect(await jsonOf(view, 'change')).toMatchObject({
      title,
      conclusion: 'failure',
      plan: { refusals: [{ commit: unsigned }] },
    });
    // With edits on top: of the commit that they will be nobody knows.
    fs.appendFileSync(path.join(work, WEB), '# edited\n');
    expect(await jsonOf(view, work)).toMatchObject({
      title: verify === 'strict' ? title : '1 start',
      unknown: [expect.stringContaining('signed as the policy asks')],
    });
    git(work, 'checkout', '--quiet', '--', '.');
    git(work, ...signWith(ada), 'commit', '--quiet', '--amend', '--no-edit');
    const signed = git(work, 'rev-parse', 'HEAD');
    const fine = { title: '1 start', conclusion: 'success' };
    expect(await checkOf(view, signed)).toMatchObject(fine);
    expect(await jsonOf(view, 'change')).toMatchObject(fine);
    git(work, 'checkout', '--quiet', 'main');
    const words = branch({ README: 'words' });
    const elsewhere = { title: '1 commit would not be accepted', conclusion: 'failure' };
    expect(await checkOf(view, words)).toMatchObject(elsewhere);
    expect(await jsonOf(view, 'change')).toMatchObject(elsewhere);
  });
});
