// Invariant 5 and rules 10.3: what is accepted, what is refused.
import { describe, expect, it } from 'vitest';
import { accept } from '../../../node-runner/accept.ts';
import type { NodeOrders } from '../../../schema/orders.ts';
import {
  runItem,
  stopItem,
  testBody,
  testGroup,
  testOrders,
  testTask,
} from '../../support/runner-specs.ts';

const self = { cluster: 'test', node: 'n1' };
const one = runItem(testBody('a-0-1'));
const current = testOrders(5, [one]);
const files = (letters: number, letter = 'x') =>
  testBody('a-0-1', {
    spec: testGroup({
      tasks: [testTask({ files: [{ path: '/f', source: 'f', content: letter.repeat(letters) }] })],
    }),
  });

describe('accept', () => {
  it.each<[string, NodeOrders, boolean]>([
    ['a higher generation', testOrders(6, []), true],
    ['a much higher generation', testOrders(600, [one]), true],
    ['the same again', structuredClone(current), false],
  ])('takes %s', (_name, offered, changed) => {
    expect(accept(current, offered, self)).toEqual({ kind: 'accepted', changed });
  });

  it('takes any generation above 0 first', () => {
    expect(accept(null, testOrders(1, [one, stopItem('b-0-1')]), self).kind).toBe('accepted');
  });

  const a = runItem(testBody('a-0-1'));
  const b = runItem(testBody('b-0-1'));
  it.each<[string, NodeOrders, RegExp]>([
    ['an older generation', testOrders(4, [one]), /4 is older than the accepted 5/],
    ['other content under the same number', testOrders(5, []), /5 arrived twice/],
    ['another cluster', { ...testOrders(6, []), cluster: 'other' }, /cluster other/],
    ['another node', { ...testOrders(6, []), node: 'n2' }, /for node n2/],
    [
      'a body of another node',
      testOrders(6, [runItem({ ...(a.kind === 'run' ? a.body : never()), node: 'n2' })]),
      /test\/n2/,
    ],
    ['unsorted items', { ...testOrders(6, []), items: [b, a] }, /out of order/],
    ['an item twice', { ...testOrders(6, []), items: [a, a] }, /twice/],
    ['a generation that is no number', testOrders(Number.NaN, []), /whole number/],
    [
      'a body under another id',
      { ...testOrders(6, []), items: [{ ...b, allocation: 'c' }] },
      /another body/,
    ],
    ['too large a body', testOrders(6, [runItem(files(262_144))]), /larger than 262144 bytes/],
    [
      'too large a body in bytes, not characters',
      testOrders(6, [runItem(files(100_000, '€'))]),
      /larger/,
    ],
    [
      'a volume to remove that is none',
      { ...testOrders(6, []), removeVolumes: ['a.b.c.0.d', '../../etc'] },
      /no folder of a volume/,
    ],
    [
      'too many allocations',
      testOrders(
        6,
        Array.from({ length: 2001 }, (_, index) => stopItem(`a-${index}`)),
      ),
      /2001 allocations/,
    ],
  ])('refuses %s', (_name, offered, why) => {
    const answer = accept(current, offered, self);
    expect(answer.kind).toBe('refused');
    expect(answer.kind === 'refused' ? answer.why : '').toMatch(why);
  });

  it('takes a body just below the limit', () => {
    expect(accept(null, testOrders(1, [runItem(files(250_000))]), self).kind).toBe('accepted');
  });
});

function never(): never {
  throw new Error('a run item was expected');
}
