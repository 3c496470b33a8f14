// When a pull request is planned anew, and what of it is worth telling.

import { describe, expect, test } from 'vitest';
import {
  dueOf,
  isNews,
  plannedPulls,
  PULLS_PLANNED,
  pullsBeyond,
  REPLAN_MS,
  toldOf,
  type Cause,
  type PlannedPull,
  type PullNow,
} from '../../../../reconciler/forge/pulls.ts';
import type { CheckReport, PullRequest } from '../../../../schema/forge.ts';

const [live, other] = [1, 2];

const report: CheckReport = {
  kind: 'plan',
  commit: 'h1',
  status: 'completed',
  conclusion: 'success',
  title: '3 start',
  summary: 'on n1',
  text: '',
  annotations: [],
  buttons: [],
};

const known: PlannedPull = {
  head: 'h1',
  base: 'b1',
  live,
  plannedAt: 1000,
  plan: { kind: 'untouched', base: 'b1', head: 'h1' },
  approvals: [],
  behind: null,
  open: [],
  unjudged: null,
  whole: null,
  told: toldOf(report),
  comment: null,
  isBeyond: false,
};

const now: PullNow = { base: 'b1', live, approvals: [], now: 2000 };

const again = { kind: 'again', isApproved: false } as const;
const waits = { ...known, told: { ...known.told, conclusion: 'action_required' as const } };

describe('dueOf', () => {
  test.each<[string, string, PlannedPull | undefined, PullNow, ReturnType<typeof dueOf>]>([
    ['one that was never planned', 'h1', undefined, now, { kind: 'push' }],
    ['nothing has changed', 'h1', known, now, { kind: 'no' }],
    ['it was pushed to', 'h2', known, now, { kind: 'push' }],
    ['the branch moved', 'h1', known, { ...now, base: 'b2' }, again],
    ['somebody approved', 'h1', known, { ...now, approvals: ['a'] }, again],
    [
      'it waited for that',
      'h1',
      waits,
      { ...now, approvals: ['a'] },
      { ...again, isApproved: true },
    ],
    ['the cluster moved', 'h1', known, { ...now, live: other }, later()],
    ['long ago', 'h1', known, { ...now, live: other, now: 1000 + REPLAN_MS }, again],
    ['too many are open now', 'h1', known, { ...now, isBeyond: true }, { kind: 'push' }],
    ['still', 'h1', { ...known, isBeyond: true }, { ...now, base: 'b2', isBeyond: true }, no()],
    ['no more', 'h1', { ...known, isBeyond: true }, now, { kind: 'push' }],
  ])('%s', (_, head, before, state, due) => {
    expect(dueOf(head, before, state)).toEqual(due);
  });
});

function no() {
  return { kind: 'no' } as const;
}

function later() {
  return { kind: 'later', at: 1000 + REPLAN_MS } as const;
}

describe('isNews', () => {
  const madeFrom = 'on n1, `0123456789ab` merged onto `abcdef012345`, in `75567fc39e06c540`';
  const madeBefore = 'on n1, `ffffffffffff` merged onto `eeeeeeeeeeee`, in `dddddddddddddddd`';
  test.each<[string, Partial<CheckReport>, Cause, boolean]>([
    ['a change with other words', { summary: 'on n2' }, 'change', true],
    ['a change with other details', { text: 'x' }, 'change', true],
    ['a change with the same words', {}, 'change', false],
    ['another commit with the same words', { commit: 'h2' }, 'change', true],
    ['the branch moved, and nothing else', { summary: madeFrom }, 'change', false],
    ['the same, and somebody asked for it', { summary: madeFrom }, 'asked', true],
    ['the cluster moved a copy', { summary: 'on n2' }, 'cluster', false],
    ['the cluster changed the counts', { title: '2 start, 1 does not fit' }, 'cluster', true],
    ['the cluster changed the conclusion', { conclusion: 'failure' }, 'cluster', true],
  ])('%s', (_, fields, cause, news) => {
    const before = { ...report, summary: madeBefore };
    const after = toldOf({ ...before, ...fields });
    expect(isNews(toldOf(before), after, cause)).toBe(news);
  });
});

const pull = (number: number, state: PullRequest['state'] = 'open'): PullRequest => ({
  number,
  title: '',
  author: { login: 'ada', id: 1 },
  head: `h${number}`,
  headRef: 'x',
  fromFork: false,
  state,
});

test('the newest open pull requests are planned', () => {
  const many = Array.from({ length: PULLS_PLANNED + 5 }, (_, index) => pull(index + 1));
  const planned = plannedPulls([...many, pull(9999, 'merged')]);
  expect(planned.map(({ number }) => number)).toEqual(
    Array.from({ length: PULLS_PLANNED }, (_, index) => PULLS_PLANNED + 5 - index),
  );
  expect(pullsBeyond(many).map(({ number }) => number)).toEqual([5, 4, 3, 2, 1]);
});

test('a thousand of strangers keep neither the own ones nor what somebody asked for from being planned', () => {
  const theirs = Array.from({ length: 1000 }, (_, index) => ({
    ...pull(index + 10),
    fromFork: true,
  }));
  const planned = plannedPulls([pull(1), pull(2), ...theirs], new Set([15]));
  expect(planned).toHaveLength(PULLS_PLANNED);
  expect(planned.slice(0, 4).map(({ number }) => number)).toEqual([15, 2, 1, 1009]);
});
