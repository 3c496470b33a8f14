// When a pass is due: by what rang, and by how long the pass before it took.

import { expect, test } from 'vitest';
import { createBell } from '../../../reconciler/bell.ts';

/** A bell whose last pass ended at 1,000 ms and took so long. */
const rested = (tookMs: number) => {
  const bell = createBell();
  bell.begin();
  bell.take();
  bell.end(1000, tookMs);
  return bell;
};

test('nothing rang: nothing is due', () => {
  expect(rested(10).dueAt()).toBe(Infinity);
});

test('a commit is due at once, however long the pass before it took', () => {
  const bell = rested(300);
  bell.ring('quiet')();
  bell.ring('report')();
  bell.ring('other')();
  expect(bell.dueAt()).toBe(1000);
});

test.each([
  [0, 1000],
  [5, 1010],
  [100, 1200],
  [60_000, 2000],
])('after a pass of %d ms reports are due at %d ms', (tookMs, at) => {
  const bell = rested(tookMs);
  bell.ring('quiet')();
  bell.ring('report')();
  expect(bell.dueAt()).toBe(at);
});

test.each([
  [0, 2000],
  [50, 2000],
  [200, 5000],
])('after a pass of %d ms reports without news are due at %d ms', (tookMs, at) => {
  const bell = rested(tookMs);
  bell.ring('quiet')();
  expect(bell.dueAt()).toBe(at);
});

test('what rang before a pass asked for reports is in its plan, what rings later is not', () => {
  const bell = createBell();
  bell.begin();
  bell.ring('report')();
  bell.ring('quiet')();
  bell.take();
  bell.end(1000, 0);
  expect(bell.dueAt()).toBe(Infinity);
  bell.begin();
  bell.take();
  bell.ring('report')();
  bell.take();
  bell.end(1000, 0);
  expect(bell.dueAt()).toBe(1000);
});

test('a sleep is ended by each kind of ring once', () => {
  const bell = rested(10);
  const signals = (['quiet', 'quiet', 'report', 'report', 'other'] as const).map((what) => {
    const { signal } = bell.woken();
    bell.ring(what)();
    return signal.aborted;
  });
  expect(signals).toEqual([true, false, true, false, true]);
});
