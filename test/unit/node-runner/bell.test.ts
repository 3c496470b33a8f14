// When the runner's loop is woken.
import { expect, it } from 'vitest';
import { createBell } from '../../../node-runner/bell.ts';

/** A clock whose sleeps end when they are cut short, or never. */
const never = {
  sleepUntil: (_at: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
};

const isOver = async (wait: Promise<void>): Promise<boolean> =>
  Promise.race([wait.then(() => true), new Promise<false>((no) => setImmediate(() => no(false)))]);

it('a ring for an instant wakes only who would sleep longer', async () => {
  const bell = createBell(never);
  const wait = bell.wait(1000, new AbortController().signal);
  bell.ringBy(1000);
  bell.ringBy(2000);
  expect(await isOver(wait)).toBe(false);
  bell.ringBy(999);
  expect(await isOver(wait)).toBe(true);
});

it('a ring before the wait is not lost, unless it is cleared', async () => {
  const bell = createBell(never);
  const { signal } = new AbortController();
  bell.ringBy(5000);
  expect(await isOver(bell.wait(1000, signal))).toBe(true);
  bell.clear();
  expect(await isOver(bell.wait(1000, signal))).toBe(false);
});
