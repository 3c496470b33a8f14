// Values of a text are counted, and nothing inside its strings. In: JSON. Out: whether it is too
// much.

import { expect, test } from 'vitest';
import { hasTooManyValues } from '../../../../reconciler/edge/json-values.ts';

const isTooMuch = (value: unknown, most: number): boolean =>
  hasTooManyValues(Buffer.from(JSON.stringify(value)), most);

test('lists and fields count, what stands in texts does not', () => {
  expect(isTooMuch(Array(50).fill({}), 120)).toBe(false);
  expect(isTooMuch(Array(50).fill({}), 80)).toBe(true);
  expect(isTooMuch({ a: [1, [2], { b: 3 }] }, 5)).toBe(true);
  expect(isTooMuch(['{'.repeat(100), '\\",[{'.repeat(100)], 5)).toBe(false);
});

test('the most hostile of reports is refused before it is read', () => {
  expect(hasTooManyValues(Buffer.alloc(33_000_000, '{},'))).toBe(true);
});
