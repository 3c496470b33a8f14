// Which downloads run beside which: by what each of them waits for.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createDownloadOrder } from '../../../../../node-runner/edge/containerd/order.ts';

const forever = new AbortController().signal;
const LAYERS = 600;

const chunks = async function* (everyMs: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < 40; sent += 1) {
    if (everyMs > 0) await sleep(everyMs);
    yield Buffer.alloc(1000);
  }
};

/** Downloads in turn; gives the order in which they started and ended. */
const run = async (sourceMs: number, takeMs: number): Promise<readonly string[]> => {
  const order = createDownloadOrder(3, forever);
  const told: string[] = [];
  const download = async (index: number): Promise<void> => {
    await order.turn(index);
    told.push(`start ${index}`);
    for await (const _ of order.watched(chunks(sourceMs))) if (takeMs > 0) await sleep(takeMs);
    order.ended(index);
    told.push(`end ${index}`);
  };
  await Promise.all([0, 1, 2].map(download));
  return told;
};

test('a download that containerd cannot keep up with is left alone', async () => {
  const told = await run(0, 5);
  expect(told).toEqual(['start 0', 'end 0', 'start 1', 'end 1', 'start 2', 'end 2']);
});

test('downloads that wait for the network run side by side', async () => {
  const told = await run(10, 0);
  expect(told.slice(0, 3)).toEqual(['start 0', 'start 1', 'start 2']);
});

test('layers that are there already hold nobody up', async () => {
  const order = createDownloadOrder(LAYERS, forever);
  const began = performance.now();
  for (let index = 0; index < LAYERS; index += 1) {
    await order.turn(index);
    order.ended(index);
  }
  // Each would be watched for 50 ms: half a minute.
  expect(performance.now() - began).toBeLessThan(20_000);
});

test('a pull that is given up has no more turns', async () => {
  const abort = new AbortController();
  const order = createDownloadOrder(2, abort.signal);
  await order.turn(0);
  const next = order.turn(1);
  abort.abort();
  await expect(next).rejects.toMatchObject({ name: 'AbortError' });
});
