// The canonical form of a value and its hash: what versions, ids and order sets are compared by.
// In: JSON values. Out: text. The one adapter for the hash (architecture, ● files): node:crypto is
// allowed here only.

import { createHash } from 'node:crypto';

/** A value that JSON can hold; undefined fields are left out. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/**
 * JSON with object keys in code-unit order, no white space, undefined fields left out: equal
 * values give equal text.
 * Numbers as JSON.stringify writes them; NaN and infinities are refused by the caller's types and
 * become null.
 */
export const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
};

/** SHA-256 of the text (UTF-8), 64 hex characters. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** SHA-256 of the canonical form. */
export const hashOf = (value: unknown): string => sha256(canonical(value));
