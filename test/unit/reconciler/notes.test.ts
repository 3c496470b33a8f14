// When notes are written and what they say.

import { expect, test } from 'vitest';
import type { View } from '../../../reconciler/cycle.ts';
import { createForeseer } from '../../../reconciler/foresee.ts';
import { GitFailure } from '../../../reconciler/edge/git/failure.ts';
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
  return { tree, desired, live, told: () => live, plan, violations: [], at: 0, stale: null };
};

const setUp = (there: Readonly<Record<string, string>> = {}, asked = () => {}) => {
  const notes = new Map(Object.entries(there));
  const written: [string, string][] = [];
  const state = { now: Date.UTC(2026, 0, 1), fails: 0, stepMs: 2_000 };
  const host = { areTaken: true, refuses: false };
  const noter = createNoter({
    notes: {
      areTaken: () => host.areTaken,
      update: async (commit, make) => {
        if (host.refuses) throw new GitFailure('broken', 'not allowed');
        state.fails -= 1;
        if (state.fails >= 0) throw new Error('no');
        const text = make(notes.get(commit) ?? null);
        if (text === null) return;
        notes.set(commit, text);
        written.push([commit, text]);
      },
    },
    foresee: createForeseer({
      memo: createPlanMemo(),
      now: () => 0,
      pause: async () => asked(),
    }),
    epochMs: () => state.now,
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
  const look = async (views: readonly View[]) => {
    for (const view of views) {
      noter.look(view);
      await noter.idle();
      state.now += state.stepMs;
    }
  };
  return { notes, written, state, host, look };
};

test('a commit that is in step says what it did and how long it took, once', async () => {
  const { written, look } = setUp();
  const first = story('one');
  await look([...first, ...first.slice(-1)]);
  await look([...story('two'), ...story('two').slice(-1)]);
  expect(written.map(([commit]) => commit)).toEqual([aCommit('one').oid, aCommit('two').oid]);
  expect(written[1]?.[1]).toMatch(
    /^plan\/test: .*\nsync\/test: in sync at 2026-01-01T00:\d\d:\d\dZ, after \d+\w+\n {2}shop\/web: 3 started\n$/,
  );
  expect(written[0]?.[1]).toContain('the reconciler started on this commit');
});

test('where a host takes no notes nothing is foreseen', async () => {
  let foreseen = 0;
  const { written, host, look } = setUp({}, () => void (foreseen += 1));
  host.areTaken = false;
  await look([...story('one'), ...story('two')]);
  expect([foreseen, written]).toEqual([0, []]);
  host.areTaken = true;
  await look(story('three'));
  expect(foreseen).toBeGreaterThan(0);
  expect(written.map(([commit]) => commit)).toEqual([aCommit('three').oid]);
});

test('while a host refuses notes nothing more is foreseen; one that it takes ends that', async () => {
  let foreseen = 0;
  const { notes, state, host, look } = setUp({}, () => void (foreseen += 1));
  host.refuses = true;
  await look([...story('one'), ...story('one').slice(-1)]);
  const first = foreseen;
  await look(story('two'));
  expect([foreseen, notes.size]).toEqual([first, 0]);
  host.refuses = false;
  state.now += 600_000;
  await look(story('two').slice(-1));
  expect(notes.get(aCommit('two').oid)).toMatch(/^sync\/test: /);
  await look(story('three'));
  expect(foreseen).toBeGreaterThan(first);
  expect(notes.get(aCommit('three').oid)).toMatch(/^plan\/test: /);
});

test('copies that are ordered and not yet healthy are not in step', async () => {
  const { written, look } = setUp();
  const last = story('one').at(-1);
  if (last === undefined) throw new Error('there is an end');
  const deployments = last.plan.deployments.map((row) => ({ ...row, status: 'rolling' }) as const);
  await look([viewOf(last.desired, { ...last.plan, deployments })]);
  // Nor are those of a version that has settled before.
  const back = last.plan.deployments.map((row) => {
    const groups = row.groups.map((group) => ({ ...group, healthy: group.wanted - 1 }));
    return { ...row, groups };
  });
  await look([viewOf(last.desired, { ...last.plan, deployments: back })]);
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
  const parts = written.map(([, text]) => text.slice(text.indexOf('sync/')).split('\n'));
  expect(parts.map((lines) => lines.slice(0, 2))).toEqual([
    [
      expect.stringMatching(`superseded by ${aCommit('two').oid.slice(0, 12)}`),
      '  shop/web: 3 started',
    ],
    [expect.stringMatching('failed at'), '  shop/web failed: exit code 1'],
    [expect.stringMatching('in sync at'), '  shop/web: 3 started'],
  ]);
});

test('what takes longer is noted with its plan at once; the next life keeps the plan', async () => {
  const { notes, state, look } = setUp();
  state.stepMs = 6_000;
  await look(story('zero'));
  const [begin] = story('one');
  if (begin === undefined) throw new Error('there is a wave');
  const job = aJob({ count: 5, version: 'v2' });
  const five = { ...desiredOf([job]), commit: begin.desired.commit };
  const { first } = forecastWith(createPlanMemo(), { desired: five, live: liveOf([]), now: 0 });
  const view = viewOf(five, first);
  const { oid } = five.commit;
  await look([view, view]);
  expect(notes.get(oid)).toBe(undefined);
  await look([view, view, view]);
  const told = notes.get(oid) ?? '';
  expect(told).toMatch(
    /^plan\/test: 5 start\n {2}shop\/web changes, .*copies 0 → 5, .*\nsync\/test: under way at .*, since 12s\n {2}shop\/web: 5 started\n$/,
  );
  const next = setUp({ [oid]: `${told}A person’s words.\n  more of them\n` });
  next.state.stepMs = 6_000;
  await next.look([view, view, view]);
  expect(next.written).toEqual([]);
  const rest = { ...first, steps: [], synced: true, deployments: [], blocked: [], proposals: [] };
  await next.look([viewOf(five, rest)]);
  expect(next.notes.get(oid)).toMatch(
    /^plan\/test: 5 start\n {2}shop\/web changes.*\nsync\/test: in sync at .*\n {2}shop\/web: 5 started\n.*not counted\)\nA person’s words.\n {2}more of them\n$/,
  );
});

test('tags that are being looked up are waited for a moment', async () => {
  const asked: number[] = [];
  const { state, look } = setUp({}, () => asked.push(state.now));
  const [begin] = story('one');
  if (begin === undefined) throw new Error('there is a wave');
  const why = { kind: 'waiting', why: 'unresolved-image', remedy: null } as const;
  const blocked = [{ ...why, job: 'shop/web', slot: null, detail: 'x' }];
  const view = viewOf(begin.desired, { ...begin.plan, blocked });
  const start = state.now;
  await look([view, view, view, view]);
  expect([...new Set(asked)]).toEqual([start + 6_000]);
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
