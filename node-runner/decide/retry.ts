// When work that failed for reasons of the platform is tried again.
// In: what failed before, now. Out: an instant. Doubling from a second to a minute.
// Not here: failures that are the version's own, which count under `restart` (outcome.ts).

import type { Ms } from '../../schema/spec.ts';
import type { Work } from './action.ts';
import { workKey } from './action.ts';
import type { RuntimeFailure } from '../ports.ts';
import type { RetryMark } from './inventory.ts';
import { MESSAGE_CHARS } from './outcome.ts';

export const RETRY_FIRST_MS: Ms = 1000;
export const RETRY_LAST_MS: Ms = 60_000;

/** 1 s, 2 s, 4 s … 60 s after the first, second, third … failure in a row. */
export const nextRetry = (
  before: RetryMark | undefined,
  { blame, message }: Pick<RuntimeFailure, 'blame' | 'message'>,
  now: Ms,
): RetryMark => {
  const failures = (before?.failures ?? 0) + 1;
  const delay = Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10));
  const since = before?.failure.blame === blame ? before.failure.since : now;
  const short = message.slice(0, MESSAGE_CHARS);
  return { failures, notBefore: now + delay, failure: { blame, message: short, since } };
};

/** A kill is not held back by a create that failed: retries count by kind. */
export const retryKey = (kind: Work['kind'], key: string): string => `${kind} ${key}`;

export const retryKeyOf = (work: Work): string => retryKey(work.kind, workKey(work));
