// Who is behind commits, asked of a forge beside the loop: once where it knows all, again where it is
// away or does not show a team, and never twice at once.

import { expect, test } from 'vitest';
import { createBehinds } from '../../../reconciler/behinds.ts';
import { NOBODY, type Behind } from '../../../schema/behind.ts';
import { story } from '../../support/tree.ts';

const world = (answers: (Behind | Error)[]) => {
  const sleeps: (() => void)[] = [];
  const seen = { asked: 0, woken: 0, warned: [] as string[] };
  const people = createBehinds({
    ask: async () => {
      const answer = answers[Math.min(seen.asked, answers.length - 1)] ?? NOBODY;
      seen.asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    clock: {
      now: () => 0,
      sleepUntil: () => new Promise<void>((resolve) => void sleeps.push(resolve)),
    },
    log: {
      info: () => undefined,
      warn: (_, words) => void seen.warned.push(words),
      error: () => undefined,
    },
    wake: () => void (seen.woken += 1),
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    people,
    seen,
    look: async () => {
      const known = people.behind(COMMIT, ['@shop/web']);
      await settle();
      return known;
    },
    why: () => people.why?.(COMMIT, ['@shop/web']),
    wait: async () => {
      for (const wake of sleeps.splice(0)) wake();
      await settle();
    },
  };
};

const COMMIT = story({})[0]?.commit ?? expect.fail('a story has a commit');
const away = Object.assign(new Error('GitHub cannot be reached'), {
  kind: 'edge-failure',
  consequence: 'retry',
});

test('an answer is asked for once, and the loop is woken with it', async () => {
  const { look, why, wait, seen } = world([NOBODY]);
  expect(await look()).toBeUndefined();
  expect([await look(), why(), seen.asked, seen.woken]).toEqual([NOBODY, null, 1, 1]);
  await wait();
  await look();
  expect(seen.asked).toBe(1);
});

test('a forge that is away is asked again, as long as somebody wants to know it', async () => {
  const { look, why, wait, seen } = world([away, away, NOBODY]);
  await look();
  await look();
  expect([seen.asked, seen.warned.length, why()]).toEqual([1, 1, 'GitHub cannot be reached']);
  await wait();
  expect(seen.asked).toBe(1); // nobody has asked since
  await look();
  await wait();
  await look();
  expect([await look(), why(), seen.asked, seen.warned.length]).toEqual([NOBODY, null, 3, 1]);
});

test('where a team is not shown the rest is known, and the team is asked about again', async () => {
  const unread = { teams: ['@shop/web'], why: 'the App lacks «Members: Read-only»' };
  const part: Behind = { ...NOBODY, unread };
  const { look, why, wait, seen } = world([part, NOBODY]);
  await look();
  expect([await look(), why(), seen.asked]).toEqual([part, unread.why, 1]);
  await wait();
  expect(await look()).toBe(part);
  expect([await look(), why(), seen.asked]).toEqual([NOBODY, null, 2]);
});
