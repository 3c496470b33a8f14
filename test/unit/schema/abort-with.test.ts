// A controller that is aborted with a signal, before or after, and not once it goes its own way.

import { expect, test } from 'vitest';
import { abortWith } from '../../../schema/abort-with.ts';

test('it is aborted with the signal, for the same reason', () => {
  const [outer, own] = [new AbortController(), new AbortController()];
  abortWith(outer.signal, own);
  expect(own.signal.aborted).toBe(false);
  outer.abort('enough');
  expect([own.signal.aborted, own.signal.reason]).toEqual([true, 'enough']);
});

test('also with one that was aborted before', () => {
  const own = new AbortController();
  abortWith(AbortSignal.abort('before'), own);
  expect(own.signal.reason).toBe('before');
});

test('no more after the way back, and the other is never aborted by it', () => {
  const [outer, own] = [new AbortController(), new AbortController()];
  abortWith(outer.signal, own)();
  outer.abort();
  expect(own.signal.aborted).toBe(false);
  const other = new AbortController();
  abortWith(other.signal, own);
  own.abort();
  expect(other.signal.aborted).toBe(false);
});
