// Values as text and back: JSON in which maps survive. What `purser snapshot` writes and what the
// control socket
// answers. In: values of schema/. Out: text. Not here: who asks.

import type { LiveState } from './live.ts';
import type { SourceTree } from './source.ts';

/** What a plan can be made from without a running cluster. */
export interface Snapshot {
  readonly format: 1;
  readonly tree: SourceTree;
  readonly live: LiveState;
  /** ISO 8601, for people: how old the snapshot is. */
  readonly takenAt: string;
}

const MAP_KEY = '$map';

export const toJson = (value: unknown, indent = 0): string =>
  JSON.stringify(
    value,
    (_key, field: unknown) => (field instanceof Map ? { [MAP_KEY]: [...field] } : field),
    indent,
  );

export const fromJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text);
  // A reviver would be called for each of a million values; few of them are maps.
  return text.includes(`"${MAP_KEY}"`) ? withMaps(value) : value;
};

const withMaps = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  // In place: nobody else holds what was just parsed.
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      const item: unknown = value[at];
      if (isObject(item)) value[at] = withMaps(item);
    }
    return value;
  }
  if (MAP_KEY in value && Array.isArray(value[MAP_KEY])) {
    return new Map(value[MAP_KEY].map(withMaps) as (readonly [unknown, unknown])[]);
  }
  const fields = value as Record<string, unknown>;
  for (const key in fields) {
    const field = fields[key];
    // Set only where it is another one: writing costs more than looking.
    const read = isObject(field) ? withMaps(field) : field;
    if (read !== field) fields[key] = read;
  }
  return fields;
};

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
