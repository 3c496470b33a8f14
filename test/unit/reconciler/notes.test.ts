// When notes are written and what they say.

import { expect, test } from 'vitest';
import type { View } from '../../../reconciler/cycle.ts';
import { createNoter } from '../../../reconciler/notes.ts';
import { forecastWith } from '../../../reconciler/plan/forecast.ts';
import { createPlanMemo } from '../../../reconciler/plan/memo.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import type { Plan } from '../../../schema/plan.ts';
import { aCommit, aJob, desiredOf, liveOf } from '../../support/world.ts';

/** The views of a rollout from nothing until it rests. */
const story = (commit: string): readonly View[] => {
  const desired: DesiredState = { ...desiredOf([aJob()]), commit: aCommit(commit) };
  const {
    waves,
    desired: after,
    live,
  } = forecastWith(createPlanMemo(), {
    desired,
    live: liveOf([]),
    now: 0,
  });
  const rest: Plan = forecastWith(createPlanMemo(), { desired: after, live, now: 0 }).first;
  return [...waves, { ...rest, synced: true }].map((plan) => viewOf(desired, plan));
};

const viewOf = (desired: DesiredState, plan: Plan): View => {
  const tree = { head: { oid: desired.commit.oid } } as View['tree'];
  const live = liveOf([]);
  return { tree, desired, live, told: live, plan, violations: [], at: 0, stale: null };
};

const setUp = (before: Readonly<Record<string, string>> = {}) => {
  const written: [string, string][] = [];
  const state = { now: Date.UTC(2026, 0, 1), fails: 0 };
  const noter = createNoter({
    notes: {
      read: async (commit) => before[commit] ?? null,
      write: async (commit, text) => {
        state.fails -= 1;
        if (state.fails >= 0) throw new Error('no');
        written.push([commit, text]);
      },
    },
    epochMs: () => state.now,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
  const look = async (views: readonly View[]) => {
    for (const view of views) {
      noter.look(view);
      await noter.idle();
      state.now += 20_000;
    }
  };
  return { written, state, look };
};

test('a commit that is in step says what it did and how long it took, once', async () => {
  const { written, look } = setUp();
  const first = story('one');
  await look([...first, ...first.slice(-1)]);
  await look([...story('two'), ...story('two').slice(-1)]);
  expect(written.map(([commit]) => commit)).toEqual([aCommit('one').oid, aCommit('two').oid]);
  expect(written[1]?.[1]).toMatch(
    /^sync\/test: in sync at 2026-01-01T00:\d\d:\d\dZ, after \d+\w+\n {2}shop\/web: 3 started\n$/,
  );
  expect(written[0]?.[1]).toContain('the reconciler started on this commit');
});

test('copies that are ordered and not yet healthy are not in step', async () => {
  const { written, look } = setUp();
  const last = story('one').at(-1);
  if (last === undefined) throw new Error('there is an end');
  const deployments = last.plan.deployments.map((row) => ({ ...row, status: 'rolling' }) as const);
  await look([viewOf(last.desired, { ...last.plan, deployments })]);
  expect(written).toEqual([]);
});

test('one that is overtaken says by whom; one that failed says why, and then how it ended', async () => {
  const { written, look } = setUp();
  const [begin] = story('one');
  if (begin === undefined) throw new Error('there is a wave');
  await look([begin]);
  const row = begin.plan.deployments[0];
  if (row === undefined) throw new Error('there is a deployment');
  const reason = 'exit\u001b[31m code 1';
  const failed = { ...row, status: 'failed', reason, commit: aCommit('two') } as const;
  const [other, ...rest] = story('two');
  if (other === undefined) throw new Error('there is a wave');
  await look([viewOf(other.desired, { ...other.plan, deployments: [failed] }), ...rest]);
  expect(written.map(([, text]) => text.split('\n').slice(0, 2))).toEqual([
    [
      expect.stringMatching(`superseded by ${aCommit('two').oid.slice(0, 12)}`),
      '  shop/web: 3 started',
    ],
    [expect.stringMatching('failed at'), '  shop/web failed: exit [31m code 1'],
    [expect.stringMatching('in sync at'), '  shop/web: 3 started'],
  ]);
});

test('a write that fails is tried again later; what an earlier life told is not told again', async () => {
  const { written, state, look } = setUp();
  state.fails = 2;
  const views = story('one');
  await look([...views, ...views.slice(-1), ...views.slice(-1)]);
  expect(written).toEqual([]);
  state.now += 60_000;
  await look([...views.slice(-1), ...views.slice(-1)]);
  state.now += 60_000;
  await look(views.slice(-1));
  expect(written.length).toBe(1);
  const told = setUp({ [aCommit('one').oid]: 'sync/test: in sync at some time\n' });
  await told.look(views);
  expect(told.written).toEqual([]);
});
