// The lines that a person would change so that a copy fits.

import { expect, test } from 'vitest';
import { fieldLines } from '../../../reconciler/desired/field-lines.ts';
import { createReader, createReadMemo } from '../../../reconciler/desired/read.ts';
import type { FieldLines } from '../../../schema/summary.ts';
import { textFile } from '../../support/tree.ts';

const linesOf = (group: string, ...text: readonly string[]): FieldLines => {
  const read = createReader(createReadMemo());
  return fieldLines(read('job', 'jobs/shop/web.yaml', textFile(text.join('\n'))), group);
};

test('a short form: the fields of its only group and task', () => {
  const lines = linesOf(
    'web',
    'image: reg.example/web:1',
    'constraints:',
    '  - node.pool = web',
    'ports:',
    '  metrics: 9090',
    '  http:',
    '    port: 80',
    '    host: 8080',
    'resources:',
    '  cpu: 2',
    '  memory: 1GiB',
    'volumes:',
    '  - /srv/shared:/shared',
    '  - data:/data',
  );
  expect(lines).toEqual({
    constraint: 3,
    port: 8,
    cpu: 10,
    memory: 11,
    'volume-elsewhere': 14,
  });
});

test('a long form: those of the group that is asked, and of the task that asks for most', () => {
  const text = [
    'groups:',
    '  api:',
    '    tasks:',
    '      app:',
    '        image: reg.example/app:1',
    '        resources:',
    '          memory: 512MiB',
    '          cpu: 300m',
    '      proxy:',
    '        image: reg.example/proxy:1',
    '        resources: {cpu: 100m, memory: 1GiB}',
    '  web:',
    '    image: reg.example/web:1',
    '    resources:',
    '      memory: 2GiB',
  ];
  expect(linesOf('api', ...text)).toEqual({ cpu: 8, memory: 11 });
  expect(linesOf('web', ...text)).toEqual({ memory: 15 });
  expect(linesOf('none', ...text)).toEqual({});
});

test('of several, the line of the field that holds them', () => {
  const lines = linesOf(
    'web',
    'image: reg.example/web:1',
    'ports:',
    '  http: {port: 80, host: 8080}',
    '  https: {port: 443, host: 8443}',
    'constraints:',
    '  - node.pool = web',
    '  - node.zone = a',
    'volumes:',
    '  - data:/data',
    '  - logs:/logs',
  );
  expect(lines).toEqual({ port: 2, constraint: 5, 'volume-elsewhere': 8 });
});

test('nothing is written, or the file is not valid: no line', () => {
  expect(linesOf('web', 'image: reg.example/web:1', 'resources: {cpu: 1}')).toEqual({ cpu: 2 });
  expect(linesOf('web', 'image: reg.example/web:1')).toEqual({});
  expect(linesOf('web', 'image: [')).toEqual({});
  expect(linesOf('web', 'image: reg.example/web:1', 'resources: {memory: much}')).toEqual({});
});
