// Reverts that the machine may not make itself: when one is offered as a pull request, what is in it,
// and that it is offered once.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseTrailers } from '../../../reconciler/edge/git/format.ts';
import type { View } from '../../../reconciler/cycle.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { LoopState } from '../../../reconciler/loop.ts';
import type { EdgeFailure } from '../../../reconciler/ports.ts';
import { BASE, createForgeWorld, pull, WEB } from '../../support/forge-world.ts';
import { failedMark, jobOf, ready, settledMark, story, type Change } from '../../support/tree.ts';
import { aCopy, DEAD, liveOf } from '../../support/world.ts';

let world: ReturnType<typeof createForgeWorld>;
beforeEach(() => {
  world = createForgeWorld();
});
afterEach(() => world.stop());

const second = (more = ''): Change => ({ [WEB]: `image: reg.example/web:2\ncount: 3\n${more}` });
const PROTECTED: NonNullable<LoopState['write']> = {
  what: 'a revert',
  message: 'main is protected',
  since: 0,
  consequence: 'broken',
};

/** The last version has failed; the one before it settled where it is told so. */
const failedView = (commits: readonly Change[], isSettled: boolean): View => {
  const whole = story(...commits);
  const first = ready(whole.slice(0, -1));
  const old = first.desired.jobs.find(({ id }) => id === 'shop/web');
  const before = isSettled && old !== undefined ? [...first.ledger, settledMark(old)] : [];
  const now = ready(whole, { ledger: before });
  const mark = failedMark(jobOf(now.desired, 'shop/web'));
  const { tree, desired } = ready(whole, { ledger: [...now.ledger, mark] });
  const job = jobOf(desired, 'shop/web');
  const copies = ['n001', 'n002', 'n003'].map((node, index) =>
    aCopy(job, { node, index, group: 'web' }, DEAD),
  );
  const live = liveOf(copies);
  world.answer.commits = whole;
  const made = plan(desired, live, 0);
  return { tree, desired, live, told: () => live, plan: made, violations: [], at: 0, stale: null };
};

const branchOf = (view: View): string =>
  `purser/test/revert-${jobOf(view.desired, 'shop/web').deployment}`;

test('where the branch can be written nothing is offered', async () => {
  const view = failedView([BASE, second()], true);
  expect(view.plan.proposals.map(({ kind }) => kind)).toContain('revert');
  await world.see(view);
  expect(world.fake.opened).toEqual([]);
});

test('where it cannot, the very commit becomes one pull request', async () => {
  const view = failedView([BASE, second()], true);
  await world.see(view, { write: PROTECTED });
  for (let turn = 0; turn < 5; turn += 1) await world.poke();
  expect(world.offers.map(({ branch }) => branch)).toEqual([branchOf(view)]);
  expect(world.fake.opened).toMatchObject([
    { branch: branchOf(view), title: 'Revert shop/web: it crashed' },
  ]);
  expect(world.fake.opened[0]?.body).toContain('Purser-Job: shop/web');
  const trailers = parseTrailers(world.offers[0]?.ask.message ?? '');
  // Whoever brings it to the branch, it is not the machine.
  expect(trailers.map(([key]) => key)).not.toContain('Purser-Pushed');
  expect(trailers.map(([key]) => key)).toContain('Purser-Deployment');
  const [edit] = world.offers[0]?.ask.edits ?? [];
  expect(edit).toMatchObject({ path: WEB, content: BASE[WEB] });
});

test('a failure that passes by itself offers nothing', async () => {
  const view = failedView([BASE, second()], true);
  await world.see(view, { write: { ...PROTECTED, consequence: 'retry' } });
  expect(world.fake.opened).toEqual([]);
});

test('where no version settled, the inverse of the commit is offered', async () => {
  const { [WEB]: web, ...empty } = BASE;
  const view = failedView([empty, { [WEB]: web ?? null }], false);
  await world.see(view);
  expect(world.offers).toMatchObject([
    { branch: branchOf(view), ask: { edits: [{ path: WEB, content: null }] } },
  ]);
  const [asked] = world.fake.opened;
  expect(asked?.title).toContain('by which shop/web failed');
  expect(asked?.body).toContain(`Purser-Reverts: ${view.tree.head.oid}`);
  expect(asked?.body).toContain('it crashed.\n');
  const trailers = parseTrailers(world.offers[0]?.ask.message ?? '');
  expect(trailers).toContainEqual(['Purser-Reason', 'it crashed']);
});

test('where auto_revert is off nothing is offered', async () => {
  const view = failedView([BASE, second('update:\n  auto_revert: false\n')], true);
  expect(view.plan.blocked).toMatchObject(
    expect.arrayContaining([expect.objectContaining({ why: 'revert-impossible' })]),
  );
  await world.see(view, { write: PROTECTED });
  expect(world.fake.opened).toEqual([]);
});

test('one that cannot be opened now is tried again, and keeps its branch', async () => {
  const view = failedView([BASE, second()], true);
  const refusal: EdgeFailure = { kind: 'edge-failure', consequence: 'retry', message: 'HTTP 502' };
  world.fake.refused.set(`open ${branchOf(view)}`, refusal);
  await world.see(view, { write: PROTECTED });
  expect(world.loop.failure()).toBe('HTTP 502');
  world.fake.refused.clear();
  await world.advance(60_000);
  expect(world.fake.opened).toHaveLength(1);
  expect(new Set(world.offers.map(({ branch }) => branch))).toEqual(new Set([branchOf(view)]));
});

test('one that a person closed is not opened again while the version stays', async () => {
  const view = failedView([BASE, second()], true);
  await world.see(view, { write: PROTECTED });
  world.fake.pulls = [];
  for (let turn = 0; turn < 3; turn += 1) await world.advance(3_600_000);
  await world.see(failedView([BASE, second()], true), { write: PROTECTED });
  expect(world.fake.opened).toHaveLength(1);
});

test('it is closed once the branch has another version, however that came, and says so', async () => {
  const failed = failedView([BASE, second()], true);
  await world.see(failed, { write: PROTECTED });
  const mine = pull({ number: 7, headRef: branchOf(failed), title: 'Revert shop/web' });
  const others = [
    pull({ number: 8, headRef: branchOf(failed), fromFork: true }),
    pull({ number: 9, headRef: 'purser/other/revert-0123' }),
  ];
  world.fake.pulls = [mine, ...others];
  await world.poke();
  expect(world.fake.closed).toEqual([]);
  const back = movedOn(failed);
  await world.see(back);
  await world.poke();
  const short = jobOf(back.desired, 'shop/web').commit.oid.slice(0, 12);
  expect(world.fake.closed).toEqual([
    {
      pull: 7,
      branch: branchOf(failed),
      words:
        `Closed by Purser: the branch has another version of \`shop/web\` since commit \`${short}\`. ` +
        'There is nothing left to take back.',
    },
  ]);
});

test('while the branch cannot be read nothing is closed', async () => {
  const failed = failedView([BASE, second()], true);
  world.fake.pulls = [pull({ headRef: 'purser/test/revert-gone' })];
  await world.see({
    ...failed,
    stale: { kind: 'edge-failure', consequence: 'retry', message: '' },
  });
  expect(world.fake.closed).toEqual([]);
});

/** The branch after somebody else brought another version to it. */
const movedOn = (failed: View): View => {
  const { tree, desired } = ready(story(BASE, second(), BASE), { ledger: failed.tree.ledger });
  return { ...failed, tree, desired, plan: plan(desired, failed.live, 0) };
};

test('the branch of one that was never seen to end is removed once the version is another', async () => {
  const failed = failedView([BASE, second()], true);
  await world.see(failed, { write: PROTECTED });
  world.fake.pulls = [];
  await world.poke();
  expect(world.fake.closed).toEqual([]);
  await world.see(movedOn(failed));
  await world.poke();
  await world.poke();
  expect(world.fake.closed).toMatchObject([{ pull: null, branch: branchOf(failed) }]);
});

test('a branch that is pushed once more from an old view is removed with the next one', async () => {
  const failed = failedView([BASE, second()], true);
  await world.see(failed, { write: PROTECTED });
  world.fake.pulls = [pull({ number: 7, headRef: branchOf(failed), state: 'merged' })];
  await world.poke();
  world.fake.pulls = [];
  // A write that fails otherwise for a moment lets go of what was offered.
  await world.see(failed, { write: { ...PROTECTED, consequence: 'stale' } });
  await world.see(failed, { write: PROTECTED });
  expect(world.offers).toHaveLength(2);
  await world.see(movedOn(failed));
  await world.poke();
  expect(world.fake.closed).toHaveLength(2);
});

test('branches of an earlier reconciler are found at the start, and only ours', async () => {
  const failed = failedView([BASE, second()], true);
  world.fake.branches = [branchOf(failed), 'purser/test/revert-gone', 'purser/other/revert-gone'];
  await world.see(failed);
  await world.poke();
  expect(world.fake.closed).toMatchObject([{ pull: null, branch: 'purser/test/revert-gone' }]);
});

test('one that is merged is done with, though the branch is not read yet', async () => {
  const failed = failedView([BASE, second()], true);
  await world.see(failed, { write: PROTECTED });
  world.fake.pulls = [pull({ number: 7, headRef: branchOf(failed), state: 'merged' })];
  await world.poke();
  expect(world.fake.closed).toMatchObject([{ pull: null, branch: branchOf(failed) }]);
});

test('the inverse of a commit is not offered where what it changed was changed since', async () => {
  const { [WEB]: web, ...empty } = BASE;
  const first = { [WEB]: web ?? null, 'configs/x': 'one' };
  const whole = await offersOf([empty, first]);
  expect(whole).toMatchObject([{ ask: { edits: [{ path: 'configs/x' }, { path: WEB }] } }]);
  expect(await offersOf([empty, first, { 'configs/x': 'two' }])).toEqual([]);
});

const offersOf = async (commits: readonly Change[]) => {
  await world.stop();
  world = createForgeWorld();
  await world.see(failedView(commits, false));
  return world.offers;
};
