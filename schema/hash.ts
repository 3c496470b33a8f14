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
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  // Texts grow by appending: thousands of values are hashed at a start, before anything is warm.
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += text === '' ? canonical(item) : `,${canonical(item)}`;
    return `[${text}]`;
  }
  const fields = value as { readonly [key: string]: unknown };
  for (const key of Object.keys(fields).sort()) {
    const field = fields[key];
    if (field === undefined) continue;
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonical(field)}`;
  }
  return `{${text}}`;
};

/** SHA-256 of the text (UTF-8), 64 hex characters. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** SHA-256 of the canonical form. */
export const hashOf = (value: unknown): string => sha256(canonical(value));
