// DNS from anybody: whatever the bytes, the runner answers within the size or says nothing.

import dnsPacket, { type OptAnswer } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerOf } from '../../node-runner/decide/dns.ts';
import {
  mostBytes,
  readQuery,
  recordsOf,
  RCODE,
  reply,
} from '../../node-runner/edge/dns/packet.ts';
import { catalogue, instance, outside, service } from '../support/catalogues.ts';

const many = Array.from({ length: 400 }, (_, at) =>
  instance({ allocation: `${'0123456789abcdef'}-${at}-1`, address: `10.0.${at >> 8}.${at & 255}` }),
);
const zone = {
  catalogue: catalogue(
    service('shop/six', [outside('2001:db8::1')]),
    service('shop/web', many),
    service(`${'n'.repeat(40)}/${'s'.repeat(40)}`, many),
  ),
  node: 'n1',
  isOut: () => false,
  departed: [],
  draw: () => 0,
};

/** What a server says, over that transport; null: nothing. */
const answer = (bytes: Buffer, over: 'udp' | 'tcp'): Buffer | null => {
  const read = readQuery(bytes);
  if (read.kind === 'silence') return null;
  if (read.kind === 'reply') return read.bytes;
  const { query } = read;
  const found = answerOf(query.question, zone);
  const most = mostBytes(query, over);
  if (found.kind !== 'records') return reply(query, { rcode: RCODE.failed, most });
  return reply(query, {
    rcode: found.exists ? RCODE.ok : RCODE.noName,
    most,
    authoritative: true,
    answers: recordsOf(found.answers),
    authorities: recordsOf(found.authorities),
    additionals: recordsOf(found.additionals),
  });
};

const names = fc.constantFrom(
  'web.shop.svc.purser',
  'WEB.Shop.svc.PURSER',
  'six.shop.svc.purser',
  '_web._tcp.shop.svc.purser',
  `${'s'.repeat(40)}.${'n'.repeat(40)}.svc.purser`,
  'nobody.shop.svc.purser',
  'example.org',
);

const question = fc
  .record({
    name: names,
    type: fc.constantFrom('A', 'AAAA', 'SRV', 'SOA', 'TXT', 'NS'),
    size: fc.option(fc.nat(65_535)),
    id: fc.nat(65_535),
  })
  .map(({ name, type, size, id }) => {
    const opt = {
      type: 'OPT' as const,
      name: '.' as const,
      udpPayloadSize: size ?? 0,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    } satisfies OptAnswer;
    const questions = [{ name, type: type as 'A' }];
    const additionals = size === null || size === 0 ? [] : [opt];
    return { bytes: dnsPacket.encode({ type: 'query', id, questions, additionals }), size, id };
  });

describe('any bytes', () => {
  test('are read without an error, and answered with at most so many', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const said = answer(Buffer.from(bytes), 'udp');
        if (said !== null) expect(said.length).toBeLessThanOrEqual(1232);
      }),
      { numRuns: 2000 },
    );
  });

  test('in a query with some of its bytes changed or cut off are no harm either', () => {
    const changes = fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(question, changes, fc.nat(120), ({ bytes }, changed, length) => {
        const broken = Buffer.from(bytes);
        for (const [at, value] of changed) if (at < broken.length) broken[at] = value;
        for (const one of [broken, broken.subarray(0, length)]) {
          const said = answer(one, 'udp');
          if (said === null) continue;
          expect(said.length).toBeLessThanOrEqual(1232);
          expect(said.subarray(0, 2)).toEqual(one.subarray(0, 2));
          // Nobody answers an answer.
          expect(answer(said, 'udp')).toBeNull();
          if (readQuery(one).kind === 'query') expect(() => dnsPacket.decode(said)).not.toThrow();
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a question', () => {
  test('is answered by what its size admits, and said to be cut where it is', () => {
    fc.assert(
      fc.property(question, fc.constantFrom('udp', 'tcp'), ({ bytes, size, id }, over) => {
        const said = answer(bytes, over);
        if (said === null) throw new Error('no answer');
        const asked = dnsPacket.decode(bytes).questions?.[0];
        const got = dnsPacket.decode(said);
        const udp = size === null || size === 0 ? 512 : Math.min(1232, Math.max(512, size));
        expect(said.length).toBeLessThanOrEqual(over === 'tcp' ? 65_535 : udp);
        expect(got.id).toBe(id);
        expect(got.questions?.[0]?.name).toBe(asked?.name);
        if (over === 'tcp') expect(got.flag_tc).toBe(false);
        const whole = asked?.type === 'A' && asked.name.toLowerCase() === 'web.shop.svc.purser';
        if (whole) expect(got.flag_tc).toBe(over === 'udp');
        if (whole && over === 'tcp') expect(got.answers).toHaveLength(300);
        for (const one of got.answers ?? []) {
          if (one.type === 'A') expect(one.ttl).toBe(1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
