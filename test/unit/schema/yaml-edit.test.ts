// Edits that keep comments: which lines change for which edit.
// In: a commented job and edits. Out: the lines that went and came.
// Not here: laws over all values (test/property/yaml.test.ts).

import { expect, test } from 'vitest';
import { editYaml, type YamlEdit } from '../../../schema/yaml-edit.ts';

const job = `# The shop's front
image: registry.example/web:1.0   # moves with releases
count: 3

update:            # careful
  max_parallel: 1
  # a canary first
  canary: 1
ports: { http: 8080, admin: {port: 9090, host: 9090} }  # both
environment:
  VERSION: 1.10
  MOTD: |
    hello
    world
volumes:
  - data:/var/lib/web
  # shared with the importer
  - name: shared
    path: /srv
`;

const edited = (text: string, ...edits: readonly YamlEdit[]): string => {
  const result = editYaml(text, edits);
  return result.kind === 'ok' ? result.text : `FAILED ${result.why}`;
};

/** Changed lines: `-` gone, `+` new, in order. */
const changes = (...edits: readonly YamlEdit[]): readonly string[] => {
  const before = job.split('\n');
  const after = edited(job, ...edits).split('\n');
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
};

test('a scalar changes in its place, its comment stays', () => {
  expect(changes({ pointer: '/count', value: 5 })).toEqual(['- count: 3', '+ count: 5']);
  expect(changes({ pointer: '/image', value: 'registry.example/web:1.1@sha256:ab' })).toEqual([
    '- image: registry.example/web:1.0   # moves with releases',
    '+ image: registry.example/web:1.1@sha256:ab   # moves with releases',
  ]);
  expect(changes({ pointer: '/update/canary', value: 0 })).toEqual([
    '-   canary: 1',
    '+   canary: 0',
  ]);
});

test('a new field goes to the end of its map', () => {
  expect(edited(job, { pointer: '/stopped', value: true })).toBe(`${job}stopped: true\n`);
  expect(changes({ pointer: '/update/paused', value: true })).toEqual(['+   paused: true']);
  expect(changes({ pointer: '/ports/debug', value: 6060 })).toEqual([
    '- ports: { http: 8080, admin: {port: 9090, host: 9090} }  # both',
    '+ ports: { http: 8080, admin: {port: 9090, host: 9090}, debug: 6060 }  # both',
  ]);
  expect(changes({ pointer: '/environment/TZ', value: 'UTC' })).toEqual(['+   TZ: UTC']);
});

test('what is missing above a new value is made', () => {
  expect(changes({ pointer: '/restart/attempts', value: 3 })).toEqual([
    '+ restart:',
    '+   attempts: 3',
  ]);
});

test('removing takes the line and leaves the comments around it', () => {
  expect(changes({ pointer: '/update/canary', value: undefined })).toEqual(['-   canary: 1']);
  expect(changes({ pointer: '/ports/http', value: undefined })).toEqual([
    '- ports: { http: 8080, admin: {port: 9090, host: 9090} }  # both',
    '+ ports: { admin: {port: 9090, host: 9090} }  # both',
  ]);
  expect(changes({ pointer: '/ports/admin/host', value: undefined })[1]).toBe(
    '+ ports: { http: 8080, admin: {port: 9090} }  # both',
  );
  expect(changes({ pointer: '/volumes/0', value: undefined })).toEqual(['-   - data:/var/lib/web']);
  expect(changes({ pointer: '/volumes/1/name', value: undefined })).toEqual([
    '-   - name: shared',
    '-     path: /srv',
    '+   - path: /srv',
  ]);
});

test('collections and scalars take each other’s place', () => {
  expect(changes({ pointer: '/count', value: { min: 2, max: 20 } })).toEqual([
    '- count: 3',
    '+ count: {min: 2, max: 20}',
  ]);
  expect(changes({ pointer: '/environment/MOTD', value: 'short' })).toEqual([
    '-   MOTD: |',
    '-     hello',
    '-     world',
    '+   MOTD: short',
  ]);
  expect(changes({ pointer: '/update', value: { order: 'start-first', canary: 2 } })).toEqual([
    '-   max_parallel: 1',
    '-   # a canary first',
    '-   canary: 1',
    '+   order: start-first',
    '+   canary: 2',
  ]);
  expect(edited('a: # keep\n  b: 1\nc: 2\n', { pointer: '/a', value: 7 })).toBe(
    'a: 7 # keep\nc: 2\n',
  );
});

test('texts that YAML would read as something else get quotes', () => {
  const texts = ['1.10', 'yes', 'null', '2026-11-21T20:00:00Z', ' x', 'a: b', '', '# x', '\u0085'];
  for (const value of texts) {
    const text = edited('a: 1\n', { pointer: '/a', value });
    expect(text).toBe(`a: ${JSON.stringify(value)}\n`.replace('\\u0085', '\u0085'));
  }
  for (const value of ['10s', '128MiB', 'web:1.4.2', '/bin/sh', 'start-first', '25%']) {
    expect(edited('a: 1\n', { pointer: '/a', value })).toBe(`a: ${value}\n`);
  }
});

test('a file without a last newline, an empty file, Windows line ends', () => {
  expect(edited('web: 3', { pointer: '/api', value: 2 })).toBe('web: 3\napi: 2\n');
  expect(edited('', { pointer: '/web', value: 2 })).toBe('web: 2\n');
  expect(edited('# counts\n', { pointer: '/web', value: 2 })).toBe('# counts\nweb: 2\n');
  expect(edited('a: 1\r\nb: 2\r\n', { pointer: '/c/d', value: 2 })).toBe(
    'a: 1\r\nb: 2\r\nc:\r\n  d: 2\r\n',
  );
});

test('a map that loses its last entry is an empty map', () => {
  expect(edited('update:\n  paused: true\n', { pointer: '/update/paused', value: undefined })).toBe(
    'update: {}\n',
  );
});

test('nothing changes where nothing is to be changed', () => {
  expect(edited(job, { pointer: '/count', value: 3 })).toBe(job);
  expect(edited(job, { pointer: '/nothing/here', value: undefined })).toBe(job);
});

test('an edit that would change other places too is refused', () => {
  const text = 'a: &x {n: 1}\nb: *x\n';
  expect(edited(text, { pointer: '/b/n', value: 2 })).toMatch(/^FAILED .*anchor/);
  expect(edited(text, { pointer: '/a/n', value: 2 })).toMatch(/^FAILED .*anchor/);
  expect(edited(text, { pointer: '/b', value: 2 })).toBe('a: &x {n: 1}\nb: 2\n');
  expect(edited('a: [1\n', { pointer: '/a', value: 2 })).toMatch(/^FAILED /);
});
