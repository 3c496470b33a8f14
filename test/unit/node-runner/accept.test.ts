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

const self = { cluster: 'test', node: 'n1', held: [] };
const one = runItem(testBody('a-0-1'));
const current = testOrders(5, [one]);
const ids = (count: number, letter = 'a') =>
  Array.from({ length: count }, (_, at) => `${letter}-${String(at).padStart(4, '0')}-1`);
const files = (letters: number, letter = 'x', id = 'a-0-1') =>
  testBody(id, {
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
    ['items that are no list', { ...testOrders(6, []), items: null as never }, /form of orders/],
    ['an item that is none', { ...testOrders(6, []), items: [null as never] }, /form of orders/],
    [
      'a body without a group',
      testOrders(6, [runItem({ ...testBody('a-0-1'), spec: null as never })]),
      /form of orders/,
    ],
    [
      'a group with a task that has no name',
      testOrders(6, [runItem(testBody('a-0-1', { spec: testGroup({ tasks: [null as never] }) }))]),
      /form of orders/,
    ],
    [
      'a namespace that ends a line',
      testOrders(6, [runItem(testBody('a-0-1', { namespace: 'x\nnameserver 203.0.113.9' }))]),
      /"x\\nnameserver 203.0.113.9" cannot be a name/,
    ],
    ['an allocation that leads out', testOrders(6, [stopItem('../../etc')]), /cannot be a name/],
    ['too large a body', testOrders(6, [runItem(files(262_144))]), /larger than 256KiB/],
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
      'too many images to fetch',
      {
        ...testOrders(6, []),
        fetch: ids(101).map((id) => ({ repository: id, digest: 'sha256:1' })),
      },
      /101 images to fetch, more than 100/,
    ],
    [
      'too many allocations',
      testOrders(
        6,
        ids(2001).map((id) => runItem(testBody(id))),
      ),
      /2001 allocations/,
    ],
    [
      'too many items',
      testOrders(
        6,
        ids(4001).map((id) => stopItem(id)),
      ),
      /4001 items/,
    ],
    [
      'bodies that are too large together',
      testOrders(
        6,
        ids(270).map((id) => runItem(files(250_000, 'x', id))),
      ),
      /270 allocations are larger than 64MiB together/,
    ],
  ])('refuses %s', (_name, offered, why) => {
    const answer = accept(current, offered, self);
    expect(answer.kind).toBe('refused');
    expect(answer.kind === 'refused' ? answer.why : '').toMatch(why);
  });

  it('takes a body just below the limit', () => {
    expect(accept(null, testOrders(1, [runItem(files(250_000))]), self).kind).toBe('accepted');
  });

  describe('what leaves counts until it is gone, since it is reported until then', () => {
    const leaving = (count: number, letters: number) =>
      [...ids(count / 2, 'b'), ...ids(count / 2, 'c')].map((id) => files(letters, 'x', id));

    it.each([
      ['4,000 copies and one more', leaving(4_000, 1), [testBody('a-0-1')], /4001 allocations/],
      [
        '128 MiB of bodies and one more',
        leaving(526, 254_000),
        ids(3).map((id) => files(254_000, 'x', id)),
        /529 allocations, with those that leave, are larger than 128MiB/,
      ],
    ] as const)('%s', (_name, held, bodies, why) => {
      const offered = testOrders(
        6,
        bodies.map((body) => runItem(body)),
      );
      const answer = accept(current, offered, { ...self, held });
      expect(answer).toMatchObject({ kind: 'not-yet', why: expect.stringMatching(why) });
      const later = accept(current, offered, { ...self, held: held.slice(10) });
      expect(later).toEqual({ kind: 'accepted', changed: true });
    });

    it('a body that comes anew counts once', () => {
      const held = leaving(4_000, 1);
      const offered = testOrders(6, [runItem(held[0] ?? never())]);
      expect(accept(current, offered, { ...self, held }).kind).toBe('accepted');
    });
  });
});

function never(): never {
  throw new Error('a run item was expected');
}
