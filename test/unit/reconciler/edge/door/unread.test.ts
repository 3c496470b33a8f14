// Answers that nobody takes: who is ended, and who may go on. In: answers of a size, a clock. Out:
// what is said of those that are ended.

import { expect, test, vi } from 'vitest';
import * as limits from '../../../../../reconciler/edge/door/limits.ts';
import { createUnread } from '../../../../../reconciler/edge/door/unread.ts';

const ended: string[] = [];
let now = 0;
const unread = createUnread({
  log: {
    info: () => {},
    warn: (fields) => void ended.push(Object.values(fields).join(' ')),
    error: () => {},
  },
  now: () => now,
});

const answer = (bearer: string, path = '/call') => {
  const state = { waiting: 0, sent: 0, isOver: false };
  const listeners: (() => void)[] = [];
  const end = (): void => {
    state.isOver = true;
    for (const listener of listeners) listener();
  };
  unread.watch(
    {
      waiting: () => state.waiting,
      sent: () => state.sent,
      end,
      onClose: (listener) => void listeners.push(listener),
    },
    { bearer, path, address: '10.0.0.1:1' },
  );
  return { state, end };
};

const pass = (ms: number): void => {
  for (const until = now + ms; now < until;) {
    now += limits.UNREAD_LOOK_MS;
    vi.advanceTimersByTime(limits.UNREAD_LOOK_MS);
  }
};

test('who takes nothing for a minute is ended, who takes a trickle is not', () => {
  vi.useFakeTimers();
  try {
    const [calm, slow, deaf] = [answer('a'), answer('a'), answer('a')];
    Object.assign(slow.state, { waiting: 1000 });
    Object.assign(deaf.state, { waiting: 1000 });
    for (let at = 0; at < 20; at += 1) {
      slow.state.sent += 2 * limits.UNREAD_TRICKLE_BYTES;
      // Pings alone are no taking.
      deaf.state.sent += 100;
      pass(limits.UNREAD_MS / 10);
    }
    expect([calm, slow, deaf].map(({ state }) => state.isOver)).toEqual([false, false, true]);
    expect(ended).toEqual([expect.stringContaining('its answer is not taken')]);
    for (const one of [calm, slow]) one.end();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('beyond what one may leave lying, its oldest is ended; one alone may be as large as it is', () => {
  vi.useFakeTimers();
  try {
    const alone = answer('large');
    alone.state.waiting = 2 * limits.UNREAD_BYTES_PER_BEARER;
    const many = Array.from({ length: 4 }, () => {
      const one = answer('many');
      one.state.waiting = limits.UNREAD_BYTES_PER_BEARER / 2;
      pass(limits.UNREAD_LOOK_MS);
      return one;
    });
    expect(alone.state.isOver).toBe(false);
    expect(many.map(({ state }) => state.isOver)).toEqual([true, true, false, false]);
    const others = Array.from({ length: 10 }, (_, at) => {
      const one = answer(`other ${at}`);
      one.state.waiting = limits.UNREAD_BYTES / 8;
      return one;
    });
    pass(limits.UNREAD_LOOK_MS);
    const left = [alone, ...many, ...others].filter(({ state }) => !state.isOver);
    const sum = left.reduce((all, { state }) => all + state.waiting, 0);
    expect(sum).toBeLessThanOrEqual(limits.UNREAD_BYTES);
    expect(alone.state.isOver).toBe(true);
    for (const one of left) one.end();
  } finally {
    vi.useRealTimers();
  }
});
