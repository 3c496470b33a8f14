// Which written fields differ, and what of them is shown.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldChanges } from '../../../reconciler/desired/field-changes.ts';
import { createReader, createReadMemo } from '../../../reconciler/desired/read.ts';
import type { FieldChange } from '../../../schema/pull-plan.ts';
import { textFile } from '../../support/tree.ts';

const changes = (
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly FieldChange[] => {
  const filesOf = (texts: Readonly<Record<string, string>>) =>
    new Map(Object.entries(texts).map(([path, text]) => [path, textFile(text)]));
  return fieldChanges({
    before: filesOf(before),
    after: filesOf(after),
    jobs: ['shop/web'],
    read: createReader(createReadMemo()),
  });
};

const WEB = 'jobs/shop/web.yaml';
const TASK = 'groups.web.tasks.web';
const one = (before: string, after: string) => changes({ [WEB]: before }, { [WEB]: after });

test('plain fields are shown as written, by field', () => {
  expect(
    one('image: a:1\ncount: 2\n', 'image: a:2\nresources: { memory: 1GiB }\npriority: 60\n'),
  ).toEqual([
    { job: 'shop/web', field: 'groups.web.count', from: '2', to: null },
    { job: 'shop/web', field: `${TASK}.image`, from: 'a:1', to: 'a:2' },
    { job: 'shop/web', field: `${TASK}.resources.memory`, from: null, to: '1GiB' },
    { job: 'shop/web', field: 'priority', from: null, to: '60' },
  ]);
});

test('a short form written out is no change; a file that cannot be read has no fields', () => {
  const long = 'groups: { web: { count: 2, tasks: { web: { image: a:1 } } } }\n';
  expect(one('image: a:1\ncount: 2\n', long)).toEqual([]);
  expect(one('image: [\n', 'image: [ [\n')).toEqual([]);
});

describe('secrets are masked', () => {
  const MASK = { from: '*** (before)', to: '*** (after)' };
  test.each([
    ['environment: { A: x }', 'environment: { A: y }', `${TASK}.environment.A`],
    ['env_file: configs/a', 'env_file: configs/b', `${TASK}.env_file`],
    ['files: { /etc/a: configs/a }', 'files: { /etc/a: configs/b }', `${TASK}.files./etc/a`],
    ['command: [run, --password=x]', 'command: [run, --password=y]', `${TASK}.command`],
    ['command: [run, "postgres://u:p@h/d"]', 'command: [run]', `${TASK}.command`],
    ['labels: { api-key: x }', 'labels: { api-key: y }', 'groups.web.labels.api-key'],
    ['command: [ghp_abcdefghijklmnop]', 'command: [x]', `${TASK}.command`],
    ['command: [Zm9vYmFyMTIzNDU2Nzg5MGFi]', 'command: [x]', `${TASK}.command`],
  ])('%s → %s', (before, after, field) => {
    const found = one(`image: a:1\n${before}\n`, `image: a:1\n${after}\n`);
    expect(found.filter((row) => row.field === field)).toEqual([
      { job: 'shop/web', field, ...MASK },
    ]);
  });

  test('a value that comes or goes says so; content of files is never shown', () => {
    expect(one('image: a:1\n', 'image: a:1\nenvironment: { A: x }\n')).toEqual([
      { job: 'shop/web', field: `${TASK}.environment.A`, from: null, to: '*** (after)' },
    ]);
    const job = 'image: a:1\nenv_file: configs/e\n';
    expect(changes({ [WEB]: job, 'configs/e': 'A=1' }, { [WEB]: job, 'configs/e': 'A=2' })).toEqual(
      [{ job: 'shop/web', field: `${TASK}.content.configs/e`, ...MASK }],
    );
  });

  test('whatever stands in environment, nothing of it is told', () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9]{6,30}$/);
    fc.assert(
      fc.property(word, word, (a, b) => {
        const shown = JSON.stringify(
          one(
            `image: a:1\nenvironment: { A: "${a}" }\n`,
            `image: a:1\nenvironment: { A: "${b}" }\n`,
          ),
        );
        expect(shown.includes(a) || shown.includes(b)).toBe(false);
      }),
    );
  });

  test('digests and image names are shown', () => {
    const image = (digit: string) => `image: reg.example/app:1@sha256:${digit.repeat(64)}\n`;
    expect(one(image('a'), image('b'))[0]?.to).toContain('sha256:bbbb');
  });
});
