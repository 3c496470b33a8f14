// Durations, sizes and CPU: examples of what is read and what is refused.
// In: texts. Out: numbers or null, and back.
// Not here: laws over all values (test/property/units.test.ts).

import { expect, test } from 'vitest';
import {
  formatAge,
  formatCpu,
  formatDuration,
  formatSize,
  parseCpu,
  parseDuration,
  parseSize,
} from '../../../schema/units.ts';

test.each([
  ['500ms', 500],
  ['0s', 0],
  ['1.5s', 1500],
  ['1h30m', 5_400_000],
  ['10m', 600_000],
  ['2d', 172_800_000],
  ['1m500ms', 60_500],
  ['1d2h3m4s5ms', 93_784_005],
])('duration %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '5', '5 s', '-5s', '1.5h', '30m1h', '1s1s', '5S', 's', '1e3s', '99999999d', '٣s'])(
  'no duration: %s',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test.each([
  ['128MiB', 134_217_728],
  ['512Mi', 536_870_912],
  ['1.5GiB', 1_610_612_736],
  ['1GB', 1_000_000_000],
  ['1kB', 1000],
  ['1Ki', 1024],
  ['100B', 100],
  ['2TiB', 2_199_023_255_552],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', '128', '128M', '1g', '-1MiB', '1 MiB', '1mib', '1PiB', '9999999TiB', '1.GiB'])(
  'no size: %s',
  (text) => {
    expect(parseSize(text)).toBeNull();
  },
);

test.each([
  ['250m', 250],
  ['1', 1000],
  ['0.5', 500],
  ['1.125', 1125],
  ['16', 16_000],
])('cpu %s', (text, milli) => {
  expect(parseCpu(text)).toBe(milli);
});

test.each(['', 'm', '1.5m', '-1', '1 core', '0.0001', '1e3', '99999999'])('no cpu: %s', (text) => {
  expect(parseCpu(text)).toBeNull();
});

test('printed as people write', () => {
  expect([0, 999, 1500, 90_000, 5_400_000, 90_061_000].map(formatDuration)).toEqual([
    '0s',
    '999ms',
    '1.5s',
    '1m30s',
    '1h30m',
    '1d1h1m1s',
  ]);
  expect([-5, 0, 12_345, 200_000, 90_061_000, 3_600_000].map(formatAge)).toEqual([
    '0ms',
    '0ms',
    '12s',
    '3m20s',
    '1d1h',
    '1h',
  ]);
  expect([0, 1023, 1024, 134_217_728, 1_610_612_736, 1_000_000_000].map(formatSize)).toEqual([
    '0B',
    '1023B',
    '1KiB',
    '128MiB',
    '1.5GiB',
    '953.67MiB',
  ]);
  expect([100, 1000, 1500, 16_000].map(formatCpu)).toEqual(['100m', '1', '1.5', '16']);
});
