// Laws of units: what is printed is read back.
// In: any number or text. Out: the same number, or null.
// Not here: examples (test/unit/schema/units.test.ts).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  MAX_CPU_MILLI,
  MAX_DURATION_MS,
  MAX_SIZE_BYTES,
  formatAge,
  formatCpu,
  formatDuration,
  formatSize,
  parseCpu,
  parseDuration,
  parseSize,
} from '../../schema/units.ts';

test('a printed duration is read back as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
});

test('a printed age is at most one unit too small', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      const shown = parseDuration(formatAge(ms));
      expect(shown).not.toBeNull();
      expect(shown ?? -1).toBeLessThanOrEqual(ms);
      expect(ms - (shown ?? 0)).toBeLessThanOrEqual(Math.max(999, ms * 0.05));
    }),
  );
});

test('printed CPU is read back as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_CPU_MILLI }), (milli) => {
      expect(parseCpu(formatCpu(milli))).toBe(milli);
    }),
  );
});

test('a printed size is read back within a hundredth of its unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_SIZE_BYTES }), (bytes) => {
      const read = parseSize(formatSize(bytes));
      expect(Math.abs((read ?? -1e18) - bytes)).toBeLessThanOrEqual(Math.max(0, bytes * 0.0051));
    }),
  );
});

test('whole units of size are exact', () => {
  const units = fc.constantFrom(
    ['MiB', 1024 ** 2] as const,
    ['Gi', 1024 ** 3] as const,
    ['MB', 1e6] as const,
  );
  fc.assert(
    fc.property(fc.nat(1000), units, (amount, [unit, size]) => {
      expect(parseSize(`${amount}${unit}`)).toBe(amount * size);
    }),
  );
});

test('any other text is no unit and never NaN', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of [parseDuration, parseSize, parseCpu]) {
        const value = parse(text);
        expect(value === null || (Number.isSafeInteger(value) && value >= 0)).toBe(true);
      }
    }),
  );
});
