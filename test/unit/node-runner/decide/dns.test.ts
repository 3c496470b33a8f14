// Names below svc.purser: which records they stand for.

import { describe, expect, it } from 'vitest';
import { departedAfter } from '../../../../node-runner/decide/departed.ts';
import {
  ANSWER_RECORDS,
  answerOf,
  labelOf,
  type Zone,
} from '../../../../node-runner/decide/dns.ts';
import type { DnsAnswer } from '../../../../node-runner/ports.ts';
import type { Catalogue } from '../../../../schema/services.ts';
import { catalogue, instance, outside, service } from '../../../support/catalogues.ts';

const three = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address, at) =>
  instance({
    allocation: `a${at}-0-1`,
    node: `n${at + 1}`,
    address,
    port: 20_001 + at,
    tags: at === 0 ? ['Blue'] : ['green'],
  }),
);
const shop = catalogue(
  service('data/none', []),
  service('shop/bank', [outside('bank.example.org', 443)]),
  service('shop/six', [instance({ address: '2001:db8::1' }), outside('192.0.2.9')]),
  service('shop/web', three),
);

const zone = (fields: Partial<Zone> & { readonly catalogue?: Catalogue } = {}): Zone => ({
  catalogue: shop,
  node: 'n1',
  isOut: () => false,
  departed: [],
  draw: () => 0,
  ...fields,
});

/** `address`, or `target:port` of each record; what the answer is otherwise. */
const shown = (answer: DnsAnswer): readonly string[] | string => {
  if (answer.kind === 'forward') return 'forward';
  if (answer.kind === 'alias') return `alias ${answer.target}`;
  const soa = answer.authorities.some(({ type, name }) => type === 'SOA' && name === 'svc.purser');
  if (answer.answers.length === 0)
    return `${answer.exists ? 'no data' : 'no name'}${soa ? '' : '?'}`;
  return answer.answers.map((record) =>
    record.type === 'SRV'
      ? `${record.target}:${record.port}`
      : record.type === 'SOA'
        ? 'SOA'
        : record.address,
  );
};

const ask = (name: string, type = 'A', fields: Partial<Zone> = {}) =>
  shown(answerOf({ name, type }, zone(fields)));

const SERVERS = [
  'a0-0-1.web.shop.svc.purser:20001',
  'a1-0-1.web.shop.svc.purser:20002',
  'a2-0-1.web.shop.svc.purser:20003',
];

describe('a name', () => {
  it.each([
    ['web.shop.svc.purser', 'A', ['192.0.2.1', '192.0.2.2', '192.0.2.3']],
    ['web.shop.svc.purser', 'AAAA', 'no data'],
    ['web.shop.svc.purser', 'TXT', 'no data'],
    ['web.shop.svc.purser', 'SRV', SERVERS],
    ['_web._tcp.shop.svc.purser', 'SRV', SERVERS],
    ['_web._udp.shop.svc.purser', 'SRV', SERVERS],
    ['_web._tcp.web.shop.svc.purser', 'SRV', SERVERS],
    ['_green._tcp.web.shop.svc.purser', 'SRV', SERVERS.slice(1)],
    ['blue.web.shop.svc.purser', 'A', ['192.0.2.1']],
    ['a1-0-1.web.shop.svc.purser', 'A', ['192.0.2.2']],
    ['a1-0-1.web.shop.svc.purser', 'SRV', SERVERS.slice(1, 2)],
    ['six.shop.svc.purser', 'AAAA', ['2001:db8::1']],
    ['six.shop.svc.purser', 'A', ['192.0.2.9']],
    ['six.shop.svc.purser', 'ANY', ['2001:db8::1', '192.0.2.9']],
    ['ip-192-0-2-9.six.shop.svc.purser', 'A', ['192.0.2.9']],
    ['bank.shop.svc.purser', 'A', 'alias bank.example.org'],
    ['bank.shop.svc.purser', 'SRV', ['bank.example.org:443']],
    ['none.data.svc.purser', 'A', 'no data'],
    ['none.data.svc.purser', 'SRV', 'no data'],
    ['shop.svc.purser', 'A', 'no data'],
    ['_tcp.shop.svc.purser', 'SRV', 'no data'],
    ['_tcp.web.shop.svc.purser', 'SRV', 'no data'],
    ['svc.purser', 'SOA', ['SOA']],
    ['svc.purser', 'A', 'no data'],
    ['bank.svc.purser', 'A', 'no name'],
    ['nobody.shop.svc.purser', 'A', 'no name'],
    ['web.other.svc.purser', 'A', 'no name'],
    ['red.web.shop.svc.purser', 'A', 'no name'],
    ['x.y.web.shop.svc.purser', 'A', 'no name'],
    ['web._tcp.shop.svc.purser', 'SRV', 'no name'],
    ['_red._tcp.web.shop.svc.purser', 'SRV', 'no name'],
    ['__proto__.shop.svc.purser', 'A', 'no name'],
    ['.svc.purser', 'A', 'no data'],
    ['purser', 'A', 'forward'],
    ['example.org', 'A', 'forward'],
    ['mysvc.purser', 'A', 'forward'],
    ['', 'NS', 'forward'],
  ])('%s %s', (name, type, expected) => {
    expect(ask(name, type)).toEqual(expected);
  });

  it('of a server stands beside it with its address', () => {
    const answer = answerOf({ name: 'web.shop.svc.purser', type: 'SRV' }, zone());
    expect(answer.kind === 'records' && answer.additionals[0]).toEqual({
      type: 'A',
      name: 'a0-0-1.web.shop.svc.purser',
      address: '192.0.2.1',
    });
  });
});

describe('copies', () => {
  it('of this node that are out are not named, those of others are', () => {
    expect(ask('web.shop.svc.purser', 'A', { isOut: () => true })).toEqual([
      '192.0.2.2',
      '192.0.2.3',
    ]);
  });

  it('that left a moment ago are found by their own names, and by no other', () => {
    const left = three.slice(1);
    const fields = {
      catalogue: catalogue(service('shop/web', left)),
      departed: departedAfter([], {
        before: shop,
        now: catalogue(service('shop/web', left)),
        at: 0,
      }),
    };
    expect(ask('a0-0-1.web.shop.svc.purser', 'A', fields)).toEqual(['192.0.2.1']);
    expect(ask('a0-0-1.web.shop.svc.purser', 'SRV', fields)).toEqual(SERVERS.slice(0, 1));
    expect(ask('web.shop.svc.purser', 'SRV', fields)).toEqual(SERVERS.slice(1));
    expect(ask('a0-0-1.six.shop.svc.purser', 'A', fields)).toBe('no name');
    const later = departedAfter(fields.departed, { before: null, now: shop, at: 10_000 });
    expect(ask('a0-0-1.web.shop.svc.purser', 'A', { ...fields, departed: later })).toBe('no name');
  });

  it('of this node that are out are found by their own names too', () => {
    expect(ask('a0-0-1.web.shop.svc.purser', 'A', { isOut: () => true })).toEqual(['192.0.2.1']);
  });

  it('at one address are one record', () => {
    const same = [1, 2].map((port) => instance({ allocation: `b${port}-0-1`, port }));
    const fields = { catalogue: catalogue(service('shop/web', same)) };
    expect(ask('web.shop.svc.purser', 'A', fields)).toEqual(['192.0.2.1']);
    expect(ask('web.shop.svc.purser', 'SRV', fields)).toHaveLength(2);
  });

  it('come in any order: each way to draw is another one', () => {
    const orders = [0, 1, 2].flatMap((first) =>
      [0, 1].map((second) => {
        const draws = [first, second, 0];
        const limits: number[] = [];
        const draw = (below: number): number => draws[limits.push(below) - 1] ?? 0;
        const order = ask('web.shop.svc.purser', 'A', { draw });
        expect(limits).toEqual([3, 2, 1]);
        return String(order);
      }),
    );
    expect(new Set(orders).size).toBe(6);
  });

  it('of a large service are a part of it', () => {
    const many = Array.from({ length: 1000 }, (_, at) =>
      instance({ allocation: `c${at}-0-1`, address: `10.0.${at >> 8}.${at & 255}` }),
    );
    const fields = { catalogue: catalogue(service('shop/web', many)) };
    expect(ask('web.shop.svc.purser', 'A', fields)).toHaveLength(ANSWER_RECORDS);
  });

  it('have a label of their own each', () => {
    const labels = [outside('::1'), outside('fd00::1'), outside('fd0::01'), outside('10.0.0.1')];
    expect(new Set(labels.map(labelOf)).size).toBe(4);
  });
});
