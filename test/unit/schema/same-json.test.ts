import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameJson } from '../../../schema/same-json.ts';

describe('values of JSON are the same', () => {
  const rows: readonly [string, unknown, unknown, boolean][] = [
    ['fields in another order', { a: 1, b: [] }, { b: [], a: 1 }, true],
    ['a field more', { a: 1 }, { a: 1, b: null }, false],
    ['another field', { a: 1 }, { b: 1 }, false],
    ['a list in another order', [1, 2], [2, 1], false],
    ['a list and an object', [], {}, false],
    ['null and an object', null, {}, false],
    ['a number and its text', 1, '1', false],
    ['a name that all objects know', { toString: 1 }, { a: 1 }, false],
  ];
  it.each(rows)('%s', (_, a, b, same) => {
    expect(isSameJson(a, b)).toBe(same);
    expect(isSameJson(b, a)).toBe(same);
  });

  it('where they are written in the same way', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [first, second]: readonly unknown[] = JSON.parse(JSON.stringify([a, b]));
        expect(isSameJson(first, JSON.parse(JSON.stringify(first)))).toBe(true);
        if (JSON.stringify(first) === JSON.stringify(second)) {
          expect(isSameJson(first, second)).toBe(true);
        } else if (isSameJson(first, second)) {
          expect(sorted(first)).toEqual(sorted(second));
        }
      }),
    );
  });
});

/** With fields in the order of names. */
const sorted = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ),
  );
