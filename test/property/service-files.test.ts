// What a runner writes for other programs, whatever the reconciler says: each file holds exactly the
// catalogue that was taken in, as those programs read it, and a catalogue that no file could hold is
// not taken in.

import fc from 'fast-check';
import { load } from 'js-yaml';
import { afterAll, describe, expect, test } from 'vitest';
import { accept } from '../../node-runner/accept.ts';
import { resolvConfOf } from '../../node-runner/decide/resolv-conf.ts';
import { renderFile } from '../../node-runner/decide/service-files.ts';
import { createCatalogueReader } from '../../node-runner/edge/link-catalogue.ts';
import { type Catalogue, EMPTY_CATALOGUE, type ServiceInstance } from '../../schema/services.ts';
import { runItem, testBody, testOrders } from '../support/runner-specs.ts';

/** What ends lines, quotations and values in one of these files, and what nobody sees. */
const ODD = [
  '\n    server evil 198.51.100.1:80',
  '\r',
  '\u2028',
  '\u0085',
  '\u0000',
  '\u001B[2J',
  '\u202Etxt',
  '#',
  '"',
  "'",
  '\\',
  ' ',
  ': ',
  '- ',
  '${HOME}',
  '%[env(HOME)]',
  '{',
  ']',
  '&a',
  '*a',
  '!!js/function',
  '|',
  '~',
  '@',
  ',',
  'é',
  '😀',
  '\uD800',
  'x'.repeat(5_000),
  '',
];
/** Words that YAML reads as something else than text. */
const YAML_WORDS = ['true', 'null', 'no', '1e3', '0x10', '12', '1-1', 'y'];

const odd = fc.oneof(
  fc.tuple(fc.constantFrom('', 'a', 'web'), fc.constantFrom(...ODD)).map(([a, b]) => a + b),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
/** Mostly what is meant; now and then what is not. */
const mostly = <T>(meant: fc.Arbitrary<T>, others: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 60, arbitrary: meant }, { weight: 1, arbitrary: others });

/** So few that names with a hyphen meet: `a-b/c` and `a/b-c`. */
const plainName = fc.constantFrom('a', 'b', 'a-b', 'b-a', 'z'.repeat(40), ...YAML_WORDS);
const name = mostly(
  plainName.filter((one) => /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(one)),
  odd,
);
const tags = mostly(
  fc.array(mostly(fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._=:/-]{0,8}[A-Za-z0-9])?$/), odd), {
    maxLength: 3,
  }),
  fc.anything(),
);
const port = mostly(fc.integer({ min: 1, max: 65_535 }), fc.oneof(fc.double(), odd));
const ip = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::ffff:1.2.3.4', '::ffff:1:2:3:4'));
const names = { namespace: name, name };

const copy = fc.record({
  allocation: mostly(fc.stringMatching(/^[0-9a-f]{16}-\d{1,3}-\d{1,3}$/), odd),
  node: mostly(fc.constantFrom('n1', 'node.example.org'), odd),
  job: name,
  group: name,
  address: mostly(ip, fc.oneof(odd, fc.domain())),
  port,
  tags,
});
const nobody = { allocation: null, node: null, job: null, group: null };
const outside = fc
  .record({ address: mostly(fc.oneof(ip, fc.domain()), odd), port, tags })
  .map((fields) => ({ ...nobody, ...fields }));
const service = fc.record({
  ...names,
  instances: mostly(
    fc.array(mostly(fc.oneof(copy, outside), fc.anything()), { maxLength: 4 }),
    fc.anything(),
  ),
  dropped: fc.constant([]),
});
const frame = mostly(
  fc.record({
    whole: fc.constant(true),
    changed: fc.array(service, { maxLength: 6 }),
    gone: fc.constant([]),
  }),
  fc.anything(),
);

/** As the link takes it: JSON, in one part. */
const taken = (value: unknown): Catalogue | string => {
  const chunk = Buffer.from(JSON.stringify(value) ?? '');
  const reader = createCatalogueReader({ catalogue: EMPTY_CATALOGUE });
  const read = reader.take({ revision: 1n, from: 0n, chunk, last: true });
  if (read.kind === 'part') throw new Error('it was the last part');
  return read.kind === 'whole' ? read.catalogue : read.why;
};

const hostPort = ({ address, port: at }: ServiceInstance): string =>
  address.includes(':') ? `[${address}]:${at}` : `${address}:${at}`;

/**
 * Words of a line, as HAProxy splits it: what it gives a meaning beyond white space stands nowhere,
 * so there is nothing else to undo.
 */
const wordsOf = (line: string): readonly string[] => {
  expect(line).not.toMatch(/[#"'\\$%@]|[^\x20-\x7e]/);
  expect(line.length).toBeLessThan(1_000);
  return line.trim().split(/ +/);
};

const expectHaproxy = (text: string, { services }: Catalogue): void => {
  const [head = '', ...lines] = text.split('\n');
  expect(head).toMatch(/^# [\w ,:.]+$/);
  const words = lines.filter((line) => line !== '').map(wordsOf);
  expect(words).toEqual(
    services.flatMap(({ namespace, name: of, instances }) => [
      ['backend', `${namespace}_${of}`],
      ['balance', 'roundrobin'],
      ...instances.map((one) => [
        'server',
        one.allocation ?? `${one.address}:${one.port}`,
        hostPort(one),
        'check',
        ...(/^[\d.]+$|:/.test(one.address) ? [] : ['init-addr', 'libc,none']),
      ]),
    ]),
  );
};

const expectTraefik = (text: string, { services }: Catalogue): void => {
  const some = services.filter(({ instances }) => instances.length > 0);
  const section = (entry: (one: ServiceInstance) => object) => ({
    services: Object.fromEntries(
      some.map(({ namespace, name: of, instances }) => [
        `${namespace}_${of}`,
        { loadBalancer: { servers: instances.map(entry) } },
      ]),
    ),
  });
  if (some.length === 0) {
    expect(text).toMatch(/^# [\w ,:.]+\n$/);
    return;
  }
  // A name that stands in it twice is an error of YAML.
  expect(load(text)).toEqual({
    http: section((one) => ({ url: `http://${hostPort(one)}` })),
    tcp: section((one) => ({ address: hostPort(one) })),
  });
};

const expectPrometheus = (text: string, { services }: Catalogue): void => {
  const groups = services.flatMap(({ namespace, name: of, instances }) =>
    instances.map((one) => ({
      targets: [hostPort(one)],
      labels: {
        purser_namespace: namespace,
        purser_service: of,
        ...(one.job === null ? {} : { purser_job: one.job }),
        ...(one.node === null ? {} : { purser_node: one.node }),
        ...(one.allocation === null ? {} : { purser_allocation: one.allocation }),
        ...(one.tags.length === 0 ? {} : { purser_tags: `,${one.tags.join(',')},` }),
      },
    })),
  );
  expect(JSON.parse(text)).toEqual(groups);
  // Each tag can be told from the next.
  for (const { tags: some } of services.flatMap(({ instances }) => instances)) {
    if (some.length > 0) expect(some.join(',').split(',')).toEqual(some);
  }
};

describe('files of services', () => {
  const seen = { taken: 0, refused: 0 };
  afterAll(() => {
    expect(seen.taken).toBeGreaterThan(200);
    expect(seen.refused).toBeGreaterThan(200);
  });

  test('hold what was taken in and nothing else; what they cannot hold is refused', () => {
    fc.assert(
      fc.property(frame, (value) => {
        const read = taken(value);
        if (typeof read === 'string') {
          seen.refused += 1;
          // It stands in a log.
          expect(read).toMatch(/^[\x20-\x7e]{5,400}$/);
          return;
        }
        seen.taken += 1;
        expectHaproxy(renderFile('haproxy', read), read);
        expectTraefik(renderFile('traefik', read), read);
        expectPrometheus(renderFile('prometheus', read), read);
      }),
      { seed: 41, numRuns: 1_500 },
    );
  });

  const good = {
    ...nobody,
    address: '192.0.2.1',
    port: 80,
    tags: ['a'],
  };
  const framed = (...instances: readonly unknown[]) => ({
    whole: true,
    changed: [{ namespace: 'shop', name: 'web', instances, dropped: [] }],
    gone: [],
  });

  test.each<[string, unknown, string]>([
    ['a line in an address', framed({ ...good, address: '192.0.2.1\nx' }), 'shop/web: "192.0.2.1'],
    ['everybody’s address', framed({ ...good, address: '0.0.0.0' }), 'is nobody'],
    ['everybody’s address, with colons', framed({ ...good, address: '::' }), 'is nobody'],
    ['a host name of a copy', framed({ ...good, allocation: 'a' }), 'is no name of a node'],
    ['a tag of two', framed({ ...good, tags: ['a,b'] }), '"a,b" is no tag'],
    ['no port', framed({ ...good, port: 0 }), 'is no port'],
    ['an address twice', framed(good, good), '192.0.2.1 80 stands in it twice'],
    ['too many tags', framed({ ...good, tags: Array(33).fill('a') }), '33 tags, more than 32'],
    ['nothing', null, 'whether it is whole'],
    ['no services', { whole: true, gone: [] }, 'its services are no list'],
    ['what is gone in one word', { whole: true, changed: [], gone: 'shop/web' }, 'what is gone'],
  ])('%s is refused, in words', (_what, value, why) => {
    expect(taken(value)).toContain(why);
  });
});

describe('resolv.conf of a copy', () => {
  const machine = fc.array(
    fc.tuple(
      fc.constantFrom('search ', 'domain ', 'options ', 'nameserver ', '#', ''),
      fc.constantFrom(
        'example.org',
        '.',
        'a b\tc',
        'ndots:9',
        'edns0',
        '203.0.113.9',
        '\r',
        ...ODD,
      ),
    ),
    { maxLength: 6 },
  );

  test('names the runner alone, and searches the copy’s own namespace, whoever ordered it', () => {
    const self = { cluster: 'test', node: 'n1', held: [] };
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(fc.oneof(plainName, odd), machine, (namespace, lines) => {
        const body = testBody('a-0-1', { namespace });
        const answer = accept(null, testOrders(1, [runItem(body)]), self);
        if (answer.kind !== 'accepted') {
          seen.refused += 1;
          expect(answer.why).toContain('cannot be a name');
          return;
        }
        seen.taken += 1;
        const resolvConf = lines.map(([key, value]) => key + value).join('\n');
        const text = resolvConfOf(body, { resolvConf, dnsAddress: '10.1.4.1' });
        const [server, search = '', options, end, ...more] = text.split('\n');
        expect(server).toBe('nameserver 10.1.4.1');
        expect(search.split(' ').slice(0, 3)).toEqual([
          'search',
          `${namespace}.svc.purser`,
          'svc.purser',
        ]);
        expect(options).toMatch(/^options ndots:2 timeout:3 attempts:5( |$)/);
        expect([end, more]).toEqual(['', []]);
      }),
      { seed: 42, numRuns: 500 },
    );
    expect(seen.taken).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(100);
  });
});
