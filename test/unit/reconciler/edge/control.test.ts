// The control socket's watch: every change is shown in the end, and showing takes a part of the
// loop only.

import type { CallContext } from 'nice-grpc';
import { expect, test } from 'vitest';
import { createControl } from '../../../../reconciler/edge/control.ts';

/** What an answer of a large cluster takes; long beside what timers are late. */
const MAKING_MS = 30;
/** Five milliseconds apart at least: twenty times as long as an answer takes. */
const CHANGES = 120;

const busyFor = (ms: number): void => {
  const until = performance.now() + ms;
  while (performance.now() < until);
};

test('whoever watches takes a quarter of the loop, and sees the last change', async () => {
  const listeners = new Set<() => void>();
  let value = 0;
  const control = createControl({
    handlers: {
      state: async () => {
        busyFor(MAKING_MS);
        return value;
      },
    },
    changes: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    streams: {} as Parameters<typeof createControl>[0]['streams'],
  });
  const abort = new AbortController();
  const context = { signal: abort.signal } as CallContext;
  const ask = { method: 'state', argument: new Uint8Array() };
  const began = performance.now();
  const changing = setInterval(() => {
    value += 1;
    for (const listener of listeners) listener();
    if (value === CHANGES) clearInterval(changing);
  }, 5);
  const seen: number[] = [];
  for await (const { value: bytes } of control.watch(ask, context)) {
    seen.push(Number(Buffer.from(bytes ?? []).toString()));
    if (seen.at(-1) === CHANGES) abort.abort();
  }
  const tookMs = performance.now() - began;
  // Without rests it would be four times as many; one more for the first, one for the last.
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.length).toBeLessThanOrEqual(tookMs / (4 * MAKING_MS) + 2);
  expect(listeners.size).toBe(0);
});
