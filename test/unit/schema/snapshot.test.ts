// Values as text and back: maps survive wherever they stand.

import { expect, test } from 'vitest';
import { fromJson, toJson } from '../../../schema/snapshot.ts';

const back = (value: unknown): unknown => fromJson(toJson(value));

test('maps come back as maps: in maps, lists and fields, as keys too', () => {
  const value = {
    empty: new Map(),
    nested: new Map([['a', new Map([['b', [new Map([[1, 'one']])]]])]]),
    list: [{ inner: new Map([['x', null]]) }, 'text', 3, null],
    keys: new Map([[new Map([['k', 1]]), true]]),
  };
  expect(back(value)).toEqual(value);
});

test('what holds no map comes back as it was', () => {
  for (const value of [null, 7, 'a "$map" in a text', [], {}, { a: { b: [1, { c: 'd' }] } }]) {
    expect(back(value)).toEqual(value);
  }
});

test('a key that objects know by another meaning stays a key', () => {
  const read = fromJson('{"m": {"$map": []}, "__proto__": {"x": {"$map": [["a", 1]]}}}');
  expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  expect(Object.entries(read as object)).toEqual([
    ['m', new Map()],
    ['__proto__', { x: new Map([['a', 1]]) }],
  ]);
});
