// Durations, sizes and CPU as people write them, read strictly and printed the same way.
// In: text. Out: milliseconds, bytes, thousandths of a core, or null where the text is none. And
// back.
// The patterns are those of the schemas, so that an editor and Purser refuse the same text. Not
// here: messages about a wrong unit (schema/parse-messages.ts).

import { CPU_PATTERN, DURATION_PATTERN, SIZE_PATTERN } from './patterns.ts';
import type { Ms } from './spec.ts';

/** Ten years: a longer duration in a job file is a slip of the finger. */
export const MAX_DURATION_MS: Ms = 3650 * 86_400_000;
/** More memory than any machine has; well inside the integers that a number holds exactly. */
export const MAX_SIZE_BYTES = 1024 ** 5;
/** More cores than any machine has. */
export const MAX_CPU_MILLI = 1_000_000;

const DURATION = new RegExp(DURATION_PATTERN);
const SIZE = new RegExp(SIZE_PATTERN);
const CPU = new RegExp(CPU_PATTERN);

const DURATION_UNITS: Readonly<Record<string, Ms>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KI: 1024,
  MI: 1024 ** 2,
  GI: 1024 ** 3,
  TI: 1024 ** 4,
};

const within = (value: number, limit: number): number | null => (value <= limit ? value : null);

/**
 * `500ms`, `30s`, `1.5s`, `1h30m`, `2d` → milliseconds. Units fall from left to right, each at most
 * once.
 */
export const parseDuration = (written: string): Ms | null => {
  if (!DURATION.test(written)) return null;
  let total = 0;
  for (const [, amount, unit] of written.matchAll(/([0-9.]+)(ms|[dhms])/g)) {
    total += Number(amount) * (DURATION_UNITS[unit ?? ''] ?? 0);
  }
  return within(Math.round(total), MAX_DURATION_MS);
};

/** `128MiB`, `512Mi`, `1.5GiB`, `1GB`, `100B` → bytes, to the nearest byte. */
export const parseSize = (written: string): number | null => {
  if (!SIZE.test(written)) return null;
  const unit = written.replace(/^[0-9.]+/, '').toUpperCase();
  const bytesPerUnit = SIZE_UNITS[unit.replace(/IB$/, 'I')];
  if (bytesPerUnit === undefined) return null;
  return within(Math.round(Number.parseFloat(written) * bytesPerUnit), MAX_SIZE_BYTES);
};

/** `250m`, `1`, `0.5` → thousandths of a core. */
export const parseCpu = (written: string): number | null => {
  if (!CPU.test(written)) return null;
  const milli = written.endsWith('m')
    ? Number.parseInt(written, 10)
    : Math.round(Number.parseFloat(written) * 1000);
  return within(milli, MAX_CPU_MILLI);
};

/**
 * Milliseconds → the shortest text that `parseDuration` reads back as the same: `500ms`, `1.5s`,
 * `1h30m`, `0s`.
 */
export const formatDuration = (ms: Ms): string => {
  if (ms === 0) return '0s';
  if (ms < 1000) return `${ms}ms`;
  let rest = ms;
  let written = '';
  for (const unit of ['d', 'h', 'm'] as const) {
    const size = DURATION_UNITS[unit] ?? 1;
    if (rest >= size) written += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return rest === 0 ? written : `${written}${rest / 1000}s`;
};

/**
 * An age for people: the two largest units, rounded down. 200,000 ms → `3m20s`; 90,061,000 ms →
 * `1d1h`.
 */
export const formatAge = (ms: Ms): string => {
  if (ms < 1000) return `${Math.max(0, Math.floor(ms))}ms`;
  const units = ['d', 'h', 'm', 's'] as const;
  const first = units.findIndex((unit) => ms >= (DURATION_UNITS[unit] ?? 1));
  const last = DURATION_UNITS[units[Math.min(first + 1, units.length - 1)] ?? 's'] ?? 1000;
  return formatDuration(Math.floor(ms / last) * last);
};

/**
 * Bytes → the largest binary unit with at most two decimals: `128MiB`, `1.5GiB`, `0B`. Rounded for
 * people.
 */
export const formatSize = (bytes: number): string => {
  const units = ['TiB', 'GiB', 'MiB', 'KiB'] as const;
  for (const [index, unit] of units.entries()) {
    const size = 1024 ** (units.length - index);
    if (bytes >= size) return `${Math.round((bytes / size) * 100) / 100}${unit}`;
  }
  return `${bytes}B`;
};

/** Thousandths of a core → `250m` below one core, `1`, `1.5` from there on. */
export const formatCpu = (milli: number): string =>
  milli < 1000 ? `${milli}m` : `${milli / 1000}`;
