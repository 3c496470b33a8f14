// What a person may ask of one allocation while it runs: its logs and a process inside it.
// In: what a command asks. Out: types, and the ask where it is one. Not here: how the bytes travel.

import { NAME_PATTERN, NODE_NAME_PATTERN } from './patterns.ts';

export type StreamAsk =
  | {
      readonly kind: 'logs';
      readonly node: string;
      readonly allocation: string;
      readonly task: string;
      /** Lines from the end; null: everything that is kept. */
      readonly tail: number | null;
      readonly follow: boolean;
      /** The run before the current one. */
      readonly previous: boolean;
    }
  | {
      readonly kind: 'exec';
      readonly node: string;
      readonly allocation: string;
      readonly task: string;
      readonly args: readonly string[];
      readonly tty: { readonly columns: number; readonly rows: number } | null;
    };

export interface StreamEnd {
  /** Exit code of the process; 0 at the end of a log; null when it could not be had. */
  readonly code: number | null;
  /** Why it did not work, null when it did. */
  readonly error: string | null;
}

const NODE = new RegExp(NODE_NAME_PATTERN);
const NAME = new RegExp(NAME_PATTERN);
/** See allocationId. */
const ALLOCATION = /^[0-9a-f]{16}-[0-9]{1,9}-[0-9]{1,9}$/;
/** Lines, columns and rows: more than any log or screen has. */
const COUNT_MAX = 1_000_000_000;
/** Words of a command, and their characters together: what Linux takes is 2 MiB. */
const WORDS = 10_000;
const WORDS_CHARS = 1024 * 1024;

/** The ask in this JSON; null: it is none. Names become parts of paths and commands on a node. */
export const checkAsk = (bytes: Uint8Array): StreamAsk | null => {
  let ask: Partial<Record<string, unknown>>;
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    ask = { ...(parsed as object) };
  } catch {
    return null;
  }
  const { kind, node, allocation, task } = ask;
  if (!isText(node, NODE) || !isText(allocation, ALLOCATION) || !isText(task, NAME)) return null;
  if (kind === 'logs') {
    const { tail, follow, previous } = ask;
    if (tail !== null && !isCount(tail)) return null;
    if (typeof follow !== 'boolean' || typeof previous !== 'boolean') return null;
    return { kind, node, allocation, task, tail, follow, previous };
  }
  if (kind !== 'exec') return null;
  const { args, tty } = ask;
  if (!areWords(args)) return null;
  if (tty === null) return { kind, node, allocation, task, args, tty };
  const { columns, rows } = { columns: null, rows: null, ...(tty as object | undefined) };
  if (!isCount(columns) || !isCount(rows)) return null;
  return { kind, node, allocation, task, args, tty: { columns, rows } };
};

const isText = (value: unknown, form: RegExp): value is string =>
  typeof value === 'string' && form.test(value);

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= COUNT_MAX;

const areWords = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.length <= WORDS &&
  value.every((word) => typeof word === 'string') &&
  value.reduce((sum, word: string) => sum + word.length, 0) <= WORDS_CHARS;
