// The counting at the door: what is allowed at once and what comes back, addresses that are one,
// pieces of messages, lines of the log. In: names, amounts, a clock. Out: who is beyond a limit.

import { expect, test } from 'vitest';
import { counted, hostOf } from '../../../../../reconciler/edge/door/address.ts';
import { createAllowance } from '../../../../../reconciler/edge/door/allowance.ts';
import { LINES_PER_ADDRESS } from '../../../../../reconciler/edge/door/limits.ts';
import { createFramer } from '../../../../../reconciler/edge/door/messages.ts';
import { sparing } from '../../../../../reconciler/edge/door/sparing.ts';

test('so many at once, then so many a second, for each name; old names are forgotten', () => {
  let now = 0;
  const allowance = createAllowance({ burst: 3, perMs: 1 / 1000, names: 2, now: () => now });
  expect(Array.from({ length: 5 }, () => allowance.take('a'))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(allowance.take('b')).toBe(true);
  expect(allowance.waitMs('a')).toBe(1000);
  now += 1000;
  expect(allowance.has('a')).toBe(true);
  expect(allowance.take('a')).toBe(true);
  expect(allowance.take('a')).toBe(false);
  allowance.take('c');
  expect(allowance.take('a', 0)).toBe(true);
  allowance.take('d');
  expect(allowance.take('c', 3)).toBe(true);
});

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:0:1:aaaa::1', '2001:db8:0:1::/64'],
  ['2001:DB8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('%s counts as %s', (address, as) => {
  expect(counted(address)).toBe(as);
  expect(hostOf(`${address}:7420`)).toBe(as);
});

test('a message is held until it is whole; single bytes cost more than they are', () => {
  const framer = createFramer(1000);
  const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100)]);
  expect(framer.take(message)).toBeNull();
  expect(framer.held()).toBe(0);
  for (const byte of message.subarray(0, 50)) framer.take(Buffer.from([byte]));
  expect(framer.held()).toBeGreaterThan(50 * 200);
  framer.take(message.subarray(50));
  expect(framer.held()).toBe(0);
  expect(framer.take(Buffer.from([0, 0, 0, 4, 0]))).toContain('more than 1000');
  expect(createFramer(1000).take(Buffer.from([1, 0, 0, 0, 1]))).toContain('compressed');
});

test('a stranger fills no log, and writes nothing there that a terminal obeys', () => {
  const said: { readonly fields: object; readonly message: string }[] = [];
  const write = (fields: object, message: string): void => void said.push({ fields, message });
  let now = 0;
  const log = sparing({ info: write, warn: write, error: write }, () => now);
  const why = `\u001B[2Jname\u202E\n{"level":30} ${'x'.repeat(10_000)}`;
  for (let at = 0; at < 1000; at += 1) log.warn({ address: `10.0.0.1:${at}`, why }, 'refused');
  expect(said).toHaveLength(LINES_PER_ADDRESS.burst);
  log.warn({ address: '10.0.0.2:1' }, 'refused');
  expect(said.at(-1)?.fields).toMatchObject({ leftOut: 1000 - LINES_PER_ADDRESS.burst });
  expect(JSON.stringify(said)).not.toMatch(/\\u001b|\\n|\u202E/);
  expect(JSON.stringify(said[0]).length).toBeLessThan(1000);
  now += 60_000;
  log.warn({ address: '10.0.0.1:1' }, 'refused');
  expect(said.at(-1)?.fields).toMatchObject({ address: '10.0.0.1:1' });
});
