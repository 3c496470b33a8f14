// Services as they are written: those of groups, those outside, and what a fallback takes along.

import { describe, expect, it } from 'vitest';
import { parseDocument } from '../../../schema/parse.ts';
import { addressKind, isLoopbackAddress } from '../../../schema/ip-address.ts';
import { underHead } from '../../../reconciler/desired/fallback.ts';
import { digestOf, jobOf, ready, story } from '../../support/tree.ts';

const CLUSTER = 'name: home\npolicies: {registries: [r.example]}\n';
const IMAGE = `image: r.example/web:1@${digestOf('one')}\n`;

const compiled = (job: string, namespace = '') =>
  ready(
    story({
      'cluster.yaml': CLUSTER,
      'jobs/shop/web.yaml': `${IMAGE}${job}`,
      ...(namespace === '' ? {} : { 'namespaces/shop.yaml': namespace }),
    }),
  ).desired;
const specOf = (job: string) => jobOf(compiled(job), 'shop/web').spec;

describe('of a group', () => {
  it('are named as the group, at its only port, where nothing else is said', () => {
    expect(specOf('ports: {http: 80}\nservices: [{}]\n').groups[0]?.services).toEqual([
      { name: 'web', port: 'http', tags: [] },
    ]);
  });

  it('are sorted, and their tags are', () => {
    const text =
      'ports: {a: 1, b: 2}\nservices:\n  - {name: z, port: a, tags: [v2, 10, v2]}\n' +
      '  - {name: m, port: b}\n';
    expect(specOf(text).groups[0]?.services).toEqual([
      { name: 'm', port: 'b', tags: [] },
      { name: 'z', port: 'a', tags: ['10', 'v2'] },
    ]);
  });

  it('change in place: they form no version, and are absent where there are none', () => {
    const without = specOf('ports: {http: 80}\n');
    expect(specOf('ports: {http: 80}\nservices: [{tags: [x]}]\n').specHash).toBe(without.specHash);
    expect(Object.keys(without.groups[0] ?? {})).not.toContain('services');
    expect(specOf('ports: {http: 80}\nservices: []\n')).toEqual(without);
  });
});

describe('of a fallback', () => {
  const settled = specOf('ports: {http: 80}\nservices: [{name: site, port: http, tags: [old]}]\n');

  it('are HEAD’s where it has the port, else its own', () => {
    const same = specOf('ports: {http: 81}\nservices: [{name: site, port: http, tags: [new]}]\n');
    expect(underHead(settled, same).groups[0]?.services).toEqual([
      { name: 'site', port: 'http', tags: ['new'] },
    ]);
    const other = specOf('ports: {web: 81}\nservices: [{name: site}, {name: more}]\n');
    expect(underHead(settled, other).groups[0]?.services).toEqual([
      { name: 'site', port: 'http', tags: ['old'] },
    ]);
  });

  it('are none where HEAD has none', () => {
    const none = underHead(settled, specOf('ports: {http: 81}\n'));
    expect(Object.keys(none.groups[0] ?? {})).not.toContain('services');
  });
});

describe('outside the cluster', () => {
  const external = (services: string) =>
    compiled('', `services:\n${services}`).namespaces.find(({ name }) => name === 'shop')?.external;

  it('have addresses, a port and tags', () => {
    const text =
      '  - {name: mail, address: mail.example.org, port: 25, tags: [b, a]}\n' +
      '  - {name: bank, addresses: [192.0.2.8, 192.0.2.7, 192.0.2.7], port: 443}\n';
    expect(external(text)).toEqual([
      { name: 'bank', addresses: ['192.0.2.7', '192.0.2.8'], port: 443, tags: [] },
      { name: 'mail', addresses: ['mail.example.org'], port: 25, tags: ['a', 'b'] },
    ]);
  });

  it.each([
    ['no address', '{name: a, port: 1}', ['2 address-form']],
    ['both', '{name: a, port: 1, address: 192.0.2.1, addresses: [192.0.2.1]}', ['2 address-form']],
    ['an odd one', '{name: a, port: 1, address: 192.0.2.256}', ['2 address-form']],
    ['a name among others', '{name: a, port: 1, addresses: [x.org]}', ['2 address-form']],
    ['an empty list', '{name: a, port: 1, addresses: []}', ['2 value-range']],
    ['no port', '{name: a, address: 192.0.2.1}', ['2 field-missing']],
    ['port 0', '{name: a, address: 192.0.2.1, port: 0}', ['2 value-range']],
    [
      'twice',
      '{name: a, address: x, port: 1}, {name: a, address: y, port: 1}',
      ['2 service-twice'],
    ],
  ])('%s is said on its line', (_name, service, wanted) => {
    const text = `protected: false\nservices: [${service}]\n`;
    const file = { kind: 'text', blob: 'b', text } as const;
    const { problems } = parseDocument('namespace', 'namespaces/shop.yaml', file);
    expect(problems.map(({ line, code }) => `${line} ${code}`)).toEqual(wanted);
  });
});

describe('addresses', () => {
  it.each([
    ['192.0.2.7', 'ipv4'],
    ['0.0.0.0', 'ipv4'],
    ['192.0.2', null],
    ['192.0.2.07', null],
    ['192.0.2.7.1', null],
    ['::', 'ipv6'],
    ['::1', 'ipv6'],
    ['2001:db8::7', 'ipv6'],
    ['2001:db8:0:0:0:0:0:7', 'ipv6'],
    ['::ffff:192.0.2.7', 'ipv6'],
    ['2001:db8::7::1', null],
    ['2001:db8:0:0:0:0:7', null],
    ['1:2:3:4:5:6:7:8::', null],
    ['12345::', null],
    ['::192.0.2.256', null],
    ['fe80::1%eth0', null],
    ['mail.example.org', 'name'],
    ['localhost', 'name'],
    ['a..b', null],
    ['-a.b', null],
    [`${'a'.repeat(64)}.org`, null],
    ['', null],
    ['a b', null],
  ])('%s is %s', (text, kind) => {
    expect(addressKind(text)).toBe(kind);
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['10.127.0.1', false],
    ['127.example.org', false],
  ])('%s is of the machine alone: %s', (address, is) => {
    expect(isLoopbackAddress(address)).toBe(is);
  });
});
