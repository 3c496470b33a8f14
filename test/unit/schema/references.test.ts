// Images, volumes, constraints, paths, and the levels of a job that may be left out.
// In: texts as written. Out: their parts.
// Not here: the problems that wrong ones give (check-job.test.ts).

import { expect, test } from 'vitest';
import { identityOf, kindOf, strayFile } from '../../../schema/paths.ts';
import {
  parseConstraint,
  parseHostPath,
  parseImage,
  parseVolume,
} from '../../../schema/references.ts';
import { writtenGroups } from '../../../schema/written-job.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test.each([
  ['web', 'docker.io', 'docker.io/library/web', 'latest', null],
  ['org/web:1.2', 'docker.io', 'docker.io/org/web', '1.2', null],
  ['registry.example/web:1.2', 'registry.example', 'registry.example/web', '1.2', null],
  ['localhost:5000/a/b_c', 'localhost:5000', 'localhost:5000/a/b_c', 'latest', null],
  ['localhost/web', 'localhost', 'localhost/web', 'latest', null],
  [`r.io/w:1@${DIGEST}`, 'r.io', 'r.io/w', '1', DIGEST],
  [`r.io/w@${DIGEST}`, 'r.io', 'r.io/w', null, DIGEST],
])('image %s', (written, registry, repository, tag, digest) => {
  expect(parseImage(written)).toEqual({ registry, repository, tag, digest });
});

test.each([
  '',
  'Web',
  'web:',
  'web:a b',
  'r.io/',
  'web@sha256:12',
  'https://r.io/web',
  'a//b',
  ':1',
])('no image: %j', (written) => {
  expect(parseImage(written)).toBeNull();
});

test('volumes', () => {
  expect(parseVolume('data:/x')).toEqual({
    kind: 'named',
    name: 'data',
    path: '/x',
    readOnly: false,
    onLoss: 'wait',
  });
  expect(parseVolume('/srv:/x:ro')).toEqual({
    kind: 'host',
    source: '/srv',
    path: '/x',
    readOnly: true,
  });
  expect(parseVolume({ name: 'd', path: '/x', on_loss: 'recreate' })).toMatchObject({
    onLoss: 'recreate',
  });
  for (const bad of ['data', 'data:x', 'data:/x:rx', 'a:/b:ro:z'])
    expect(parseVolume(bad)).toBeNull();
  expect(parseHostPath('/srv/shared/:ro')).toEqual({ path: '/srv/shared', readOnly: true });
});

test('constraints', () => {
  expect(parseConstraint('node.pool = web')).toEqual({
    kind: 'ok',
    constraint: { attribute: 'node.pool', operator: '=', value: 'web', text: 'node.pool = web' },
  });
  expect(parseConstraint(' node.zone!=a b ')).toMatchObject({
    constraint: { operator: '!=', value: 'a b' },
  });
  expect(parseConstraint('node.memory >= 8GiB')).toEqual({ kind: 'later', operator: '>=' });
  expect(parseConstraint('node.zone in a,b')).toEqual({ kind: 'later', operator: 'in' });
  for (const bad of ['', 'node.pool', 'pool = a', 'node.a == b', 'node.a =']) {
    expect(parseConstraint(bad)).toEqual({ kind: 'malformed' });
  }
});

test('the path is the identity', () => {
  expect(identityOf('jobs/shop/web.yaml')).toEqual({ kind: 'job', namespace: 'shop', name: 'web' });
  expect(identityOf('nodes/n1.example.org.yaml')).toMatchObject({ name: 'n1.example.org' });
  expect(kindOf('scale/shop/web.yaml')).toBe('scale');
  expect(kindOf('namespaces/shop.yaml')).toBe('namespace');
  expect(kindOf('cluster.yaml')).toBe('cluster');
  for (const other of [
    'README.md',
    'configs/a.yaml',
    'jobs/web.yaml',
    'jobs/a/b/c.yaml',
    'jobs/a/B.yaml',
  ]) {
    expect(kindOf(other)).toBeNull();
  }
});

test.each([
  ['jobs/web.yaml', 'file-unknown', 'Move it to jobs/<namespace>/<job>.yaml.'],
  ['jobs/a/b/c.yaml', 'file-unknown', 'Move it to jobs/<namespace>/<job>.yaml.'],
  ['jobs/shop/web.yml', 'file-unknown', 'Rename it to jobs/shop/web.yaml.'],
  ['cluster.yml', 'file-unknown', 'Rename it to cluster.yaml.'],
  ['jobs/shop/Web.yaml', 'name-invalid', 'Use at most 40 characters'],
])('a stray file: %s', (path, code, advice) => {
  expect(strayFile(path)).toMatchObject({
    file: path,
    code,
    advice: expect.stringContaining(advice),
  });
});

test('files that nobody expects to be read', () => {
  for (const path of ['jobs/README.md', 'configs/x.yaml', 'docs/a.yml', 'jobs/shop/web.yaml']) {
    expect(strayFile(path)).toBeNull();
  }
});

test('the levels that are not written are written out', () => {
  const short = writtenGroups({ image: 'x', count: 2, labels: { a: 'b' } }, 'web');
  expect(short).toEqual([
    {
      name: 'web',
      group: { count: 2, labels: { a: 'b' } },
      pointer: '',
      tasks: [{ name: 'web', task: { image: 'x' }, pointer: '' }],
    },
  ]);
  const long = writtenGroups(
    { groups: { b: { tasks: { z: {}, y: {} } }, a: { image: 'x' } } },
    'web',
  );
  expect(
    long.map(({ name, pointer, tasks }) => [name, pointer, tasks.map((t) => t.pointer)]),
  ).toEqual([
    ['a', '/groups/a', ['/groups/a']],
    ['b', '/groups/b', ['/groups/b/tasks/y', '/groups/b/tasks/z']],
  ]);
});
