// How often GitHub is asked: seldom with webhooks, more seldom the less of the rate is left, and
// never without a bound.

import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { createBell, intervalMs } from '../../../../../reconciler/edge/forge/polling.ts';

const rate = (remaining: number, resetsInMs: number) => ({ limit: 5000, remaining, resetsInMs });
const HOUR_MS = 3_600_000;

test.each([
  ['webhooks, nothing known of the rate', true, null, 60_000],
  ['no webhook, nothing known of the rate', false, null, 10_000],
  ['webhooks, all of the rate is left', true, rate(5000, HOUR_MS), 60_000],
  ['no webhook, all of the rate is left', false, rate(5000, HOUR_MS), 19_200],
  ['no webhook, a tenth is left', false, rate(500, HOUR_MS), 192_000],
  ['nothing is left', false, rate(0, HOUR_MS), 300_000],
  ['nothing is left, for a second more', false, rate(0, 1000), 10_000],
  ['little is left, but it begins anew at once', false, rate(5, 0), 10_000],
])('%s', (_, hasWebhook, told, interval) => {
  expect(intervalMs(hasWebhook, told)).toBeCloseTo(interval, 6);
});

test('the list of open pull requests counts by its pages', () => {
  expect(intervalMs(false, rate(5000, HOUR_MS), 10)).toBeCloseTo((17 / 8) * 19_200, 6);
});

test('whatever the rate: between ten seconds and five minutes, and within its share', () => {
  const remaining = fc.integer({ min: 0, max: 15_000 });
  const resets = fc.integer({ min: 0, max: HOUR_MS + 1000 });
  fc.assert(
    fc.property(fc.boolean(), remaining, resets, (hasWebhook, left, inMs) => {
      const every = intervalMs(hasWebhook, rate(left, inMs));
      expect(every).toBeGreaterThanOrEqual(hasWebhook ? 60_000 : 10_000);
      expect(every).toBeLessThanOrEqual(300_000);
      if (every < 300_000)
        expect((inMs / every) * 8).toBeLessThanOrEqual(Math.max(1, left * 0.3) + 1e-6);
    }),
  );
});

test('calls that go on are passed on ever more seldom; the first after a pause at once', () => {
  vi.useFakeTimers();
  const now = () => Date.now();
  const sleepUntil = () => new Promise<void>(() => undefined);
  const bell = createBell({ now, sleepUntil }, () => HOUR_MS);
  const heard: number[] = [];
  const began = Date.now();
  const stop = bell.listen(() => void heard.push(Date.now() - began));
  for (let at = 0; at < 60_000; at += 50) {
    bell.ring();
    vi.advanceTimersByTime(50);
  }
  expect(heard.slice(0, 6)).toEqual([0, 250, 750, 1750, 3750, 7750]);
  expect(heard.length).toBeLessThanOrEqual(6 + 60 / 4);
  vi.advanceTimersByTime(20_000);
  bell.ring();
  expect(heard.at(-1)).toBe(80_000);
  bell.ring();
  vi.advanceTimersByTime(250);
  expect(heard.at(-1)).toBe(80_250);
  stop();
  bell.close();
  vi.useRealTimers();
});

test('one without an interval never rings by itself', async () => {
  const now = () => 0;
  const slept: number[] = [];
  const sleepUntil = async (at: number): Promise<void> => void slept.push(at);
  const bell = createBell({ now, sleepUntil }, null);
  let heard = 0;
  bell.listen(() => void (heard += 1));
  await Promise.resolve();
  expect([heard, slept]).toEqual([0, []]);
  bell.ring();
  expect(heard).toBe(1);
  bell.close();
});
