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

export const fromJson = (text: string): unknown =>
  JSON.parse(text, (_key, field: unknown) => {
    if (typeof field !== 'object' || field === null || !(MAP_KEY in field)) return field;
    return new Map(field[MAP_KEY] as readonly (readonly [unknown, unknown])[]);
  }) as unknown;
