// GitHub's limits as they are kept on this side: writes by the minute and the hour, waits that GitHub
// asks for. The clock is the test's.

import { describe, expect, test } from 'vitest';
import {
  createGate,
  KEPT_A_MINUTE,
  KEPT_AN_HOUR,
  PUSHES_A_MINUTE,
  PUSHES_AN_HOUR,
  WRITES_A_MINUTE,
  WRITES_AN_HOUR,
  WRITE_WAIT_MAX_MS,
} from '../../../../../reconciler/edge/forge/gate.ts';
import { waitMs, WAIT_MAX_MS } from '../../../../../reconciler/edge/forge/wait.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const GITHUB_NOW_S = 1_800_000_000;
const DATE = new Date(GITHUB_NOW_S * 1000).toUTCString();

const world = () => {
  const time = { now: 1000, slept: 0 };
  const gate = createGate({
    now: () => time.now,
    epochMs: () => GITHUB_NOW_S * 1000 + time.now,
    sleepUntil: async (at) => {
      time.slept += at - time.now;
      time.now = at;
    },
  });
  /** As many writes as go out at once. */
  const write = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      await gate.mayWrite();
      gate.wrote();
    }
  };
  return { time, gate, write };
};

describe('writes', () => {
  test('a minute takes 80, the next one more', async () => {
    const { time, gate, write } = world();
    await write(WRITES_A_MINUTE);
    expect(time.slept).toBe(0);
    await expect(gate.mayWrite()).rejects.toMatchObject({ consequence: 'retry' });
    await expect(gate.mayWrite()).rejects.toThrow(/nothing more is written to GitHub until \d\d:/);
    time.now += MINUTE_MS;
    await write(WRITES_A_MINUTE);
    expect(gate.writes()).toBe(2 * WRITES_A_MINUTE);
  });

  test('plans leave some for commits of the branch and for answers, each minute and each hour', async () => {
    const { time, gate, write } = world();
    await write(WRITES_A_MINUTE - KEPT_A_MINUTE);
    await expect(gate.mayWrite('plan')).rejects.toThrow(
      /nothing more of pull requests .* some are kept for commits and answers/,
    );
    await write(KEPT_A_MINUTE);
    for (let left = WRITES_AN_HOUR - KEPT_AN_HOUR - WRITES_A_MINUTE; left > 0; left -= 10) {
      time.now += MINUTE_MS;
      await write(Math.min(left, 10));
    }
    time.now += 2 * MINUTE_MS;
    await expect(gate.mayWrite('plan')).rejects.toMatchObject({ consequence: 'retry' });
    await gate.mayWrite();
    await write(KEPT_A_MINUTE);
  });

  test('plans that nobody waits for leave some for pushes; where there is room is told before', async () => {
    const { time, gate, write } = world();
    const began = time.now;
    const hasRoom = () => (['plan', 'push'] as const).map((of) => gate.roomAt(of) <= time.now);
    await write(WRITES_A_MINUTE - KEPT_A_MINUTE - PUSHES_A_MINUTE - 1);
    expect(hasRoom()).toEqual([true, true]);
    await write(1);
    expect(hasRoom()).toEqual([false, true]);
    expect(gate.roomAt('plan')).toBe(began + MINUTE_MS);
    await gate.mayWrite('push');
    await write(PUSHES_A_MINUTE);
    expect(hasRoom()).toEqual([false, false]);
    await gate.mayWrite();
    const most = WRITES_AN_HOUR - KEPT_AN_HOUR - PUSHES_AN_HOUR;
    while (gate.writes() < most) {
      time.now += MINUTE_MS;
      await write(Math.min(40, most - gate.writes()));
    }
    time.now += MINUTE_MS;
    expect(hasRoom()).toEqual([false, true]);
    expect(gate.roomAt('plan')).toBe(began + HOUR_MS);
    expect(time.slept).toBe(0);
  });

  test('when few requests of the hour are left, plans that nobody waits for wait', () => {
    const { time, gate } = world();
    const told = (remaining: number) =>
      gate.heard({
        status: 200,
        message: '',
        headers: {
          'x-ratelimit-limit': '5000',
          'x-ratelimit-remaining': String(remaining),
          'x-ratelimit-reset': String(GITHUB_NOW_S + 600),
          date: DATE,
        },
      });
    told(1001);
    expect(gate.roomAt('plan')).toBe(0);
    told(999);
    const until = gate.roomAt('plan');
    expect(until).toBeGreaterThanOrEqual(time.now + 600_000);
    expect(gate.roomAt('push')).toBe(0);
    time.now = until;
    expect(gate.roomAt('plan')).toBeLessThanOrEqual(time.now);
  });

  test('a short wait is sat out, a long one is told', async () => {
    const { time, gate, write } = world();
    await write(WRITES_A_MINUTE);
    time.now += MINUTE_MS - WRITE_WAIT_MAX_MS;
    await gate.mayWrite();
    expect(time.slept).toBe(WRITE_WAIT_MAX_MS);
  });

  test('an hour takes 500, in whichever minutes', async () => {
    const { time, gate, write } = world();
    const began = time.now;
    for (let index = 0; index < WRITES_AN_HOUR; index += 50) {
      await write(50);
      time.now += MINUTE_MS;
    }
    expect(gate.writes()).toBe(WRITES_AN_HOUR);
    await expect(gate.mayWrite()).rejects.toMatchObject({ consequence: 'retry' });
    time.now = began + HOUR_MS;
    await write(50);
    await expect(gate.mayWrite()).rejects.toMatchObject({ consequence: 'retry' });
  });

  test('whatever the pace, no minute and no hour has more than GitHub takes', async () => {
    const { time, gate } = world();
    const went: number[] = [];
    for (let step = 0; step < 4000; step += 1) {
      const may = await gate.mayWrite().then(
        () => true,
        () => false,
      );
      if (may) {
        gate.wrote();
        went.push(time.now);
      }
      time.now += (step * 7919) % 2500;
    }
    const most = (spanMs: number): number =>
      Math.max(...went.map((at) => went.filter((one) => one > at - spanMs && one <= at).length));
    expect(most(MINUTE_MS)).toBeLessThanOrEqual(WRITES_A_MINUTE);
    expect(most(HOUR_MS)).toBeLessThanOrEqual(WRITES_AN_HOUR);
    expect(went.length).toBeGreaterThan(WRITES_AN_HOUR);
  });
});

describe('how long GitHub asks to wait', () => {
  const reset = (afterS: number) => ({
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': String(GITHUB_NOW_S + afterS),
    date: DATE,
  });
  test.each<[string, number, string, Record<string, string>, number | null]>([
    ['a number of seconds', 403, '', { 'retry-after': '60' }, 60_000],
    ['a number before a reset', 429, '', { ...reset(900), 'retry-after': '5' }, 5000],
    ['a used-up limit, by its own clock', 403, '', reset(900), 901_000],
    ['a reset that has passed', 403, '', reset(-5), 1000],
    ['a used-up limit without an end', 403, '', { 'x-ratelimit-remaining': '0' }, 60_000],
    ['a secondary limit in words alone', 403, 'You exceeded a secondary rate limit', {}, 60_000],
    ['429 without a word', 429, '', {}, 60_000],
    ['a service that says when', 503, '', { 'retry-after': '120' }, 120_000],
    ['a service that does not', 503, '', {}, null],
    ['a permission that is missing', 403, 'Resource not accessible by integration', {}, null],
    ['a number that is none', 403, '', { 'retry-after': 'soon' }, null],
    ['a number below zero', 429, '', { 'retry-after': '-7' }, 0],
    ['a year', 503, '', { 'retry-after': '31536000' }, WAIT_MAX_MS],
    ['a reset in ten years', 403, '', reset(315_360_000), WAIT_MAX_MS],
  ])('%s', (_, status, message, headers, wait) => {
    expect(waitMs({ status, message, headers })).toBe(wait);
  });

  test('until then nothing is asked, and it is said why', () => {
    const { time, gate } = world();
    gate.enter();
    const headers = { 'retry-after': '60' };
    expect(gate.heard({ status: 429, message: '', headers })).toMatch(/^\d\d:\d\d:\d\d UTC$/);
    expect(() => gate.enter()).toThrow(/asks to wait until .* its limit of requests is reached/);
    // A shorter wait does not end a longer one.
    gate.heard({ status: 429, message: '', headers: { 'retry-after': '1' } });
    time.now += 59_999;
    expect(() => gate.enter()).toThrow(/asks to wait/);
    time.now += 1;
    gate.enter();
    gate.heard({ status: 503, message: '', headers });
    expect(() => gate.enter()).toThrow(/it is out of service/);
  });

  test('an answer that is well closes nothing, and tells what is left', () => {
    const { time, gate } = world();
    expect(gate.rate()).toBeNull();
    const told = { ...reset(100), 'x-ratelimit-remaining': '9', 'x-ratelimit-limit': '5000' };
    expect(gate.heard({ status: 200, message: '', headers: told })).toBeNull();
    gate.enter();
    expect(gate.rate()).toEqual({ limit: 5000, remaining: 9, resetsInMs: 101_000 });
    time.now += 200_000;
    expect(gate.rate()?.resetsInMs).toBe(0);
  });
});
