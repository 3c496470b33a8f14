// Rows of jobs and their changed fields: short where there is much, and nothing that reads otherwise
// than it is.

import { describe, expect, test } from 'vitest';
import { fieldItems } from '../../../reconciler/render/plan-fields.ts';
import { JOB_COLUMNS, jobRow } from '../../../reconciler/render/plan-jobs.ts';
import { planCheck } from '../../../reconciler/render/plan-check.ts';
import { listsOf } from '../../../schema/lists.ts';
import type { FieldChange } from '../../../schema/pull-plan.ts';
import type { JobChange } from '../../../schema/summary.ts';
import { CONTEXT, planOf, web, WEB } from '../../support/forge-scenes.ts';

const change = (fields: Partial<JobChange> = {}): JobChange => ({
  job: 'shop/web',
  file: 'jobs/shop/web.yaml',
  kind: 'changed',
  from: 'a'.repeat(64),
  to: 'b'.repeat(64),
  images: [],
  copies: { from: 3, to: 3 },
  nodes: [],
  waves: 3,
  downAtMost: 1,
  starts: 3,
  stops: 3,
  updates: 0,
  ...fields,
});

const cell = (job: JobChange, column: (typeof JOB_COLUMNS)[number]): string =>
  jobRow(job).split('|')[JOB_COLUMNS.indexOf(column) + 1]?.trim() ?? '';

describe('the row of a job', () => {
  const nodes = (count: number, copies = 1) =>
    Array.from({ length: count }, (_, index) => ({ node: `n${index + 1}`, copies }));

  test.each([
    [nodes(0), ''],
    [nodes(3), 'n1, n2, n3'],
    [nodes(2, 4), 'n1 ×4, n2 ×4'],
    [nodes(5), 'n1, n2, +3'],
    [[{ node: `${'long-name.'.repeat(6)}x`, copies: 1 }], 'long-name.long-name…'],
  ])('nodes %#', (given, shown) => {
    expect(cell(change({ nodes: given }), 'nodes')).toBe(shown);
  });

  test('what is new, what goes, what stays', () => {
    const versionOf = (fields: Partial<JobChange>) => cell(change(fields), 'version');
    expect(versionOf({})).toBe('aaaaaaaaaaaa → bbbbbbbbbbbb');
    expect(versionOf({ kind: 'new', from: null })).toBe('new: bbbbbbbbbbbb');
    expect(versionOf({ kind: 'removed', to: null })).toBe('is removed');
    expect(versionOf({ to: 'a'.repeat(64) })).toBe('aaaaaaaaaaaa, unchanged');
  });
});

describe('changed fields in the summary', () => {
  const linesOf = (fields: readonly FieldChange[], jobs: readonly JobChange[] = []) =>
    fieldItems(
      listsOf(fields, ({ job }) => job),
      new Map(jobs.map((job) => [job.job, job])),
    ).map((line) => line());
  const field = (name: string, from: string | null, to: string | null, job = 'shop/web') => ({
    job,
    field: name,
    from,
    to,
  });

  test('names that repeat the job’s are left out', () => {
    const lines = linesOf([
      field('groups.web.tasks.web.resources.memory', '1GiB', '2GiB'),
      field('groups.api.tasks.side.command', null, '[run]'),
      field('update.max_parallel', '1', '2'),
    ]);
    expect(lines).toEqual([
      '`shop/web`: `resources.memory` `1GiB` → `2GiB`',
      '`shop/web`, `api/side`: `command` – → `[run]`',
      '`shop/web`: `update.max_parallel` `1` → `2`',
    ]);
  });

  test('more than three of a job, and more than ten jobs, are counted', () => {
    const four = ['a', 'b', 'c', 'd'].map((name) => field(`groups.web.${name}`, '1', '2'));
    expect(linesOf(four)).toEqual(['`shop/web`: 4 fields, each in its details.']);
    const jobs = Array.from({ length: 13 }, (_, at) => field('priority', '1', '2', `shop/j${at}`));
    const lines = linesOf(jobs);
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toBe('3 more jobs: the details have each field.');
  });

  test('images that are told beside it, new jobs and removed ones are not told twice', () => {
    const image = field('groups.web.tasks.web.image', 'a:1', 'a:2');
    const told = change({ images: [{ task: 'web', from: 'a:1', to: 'a:2' }] });
    expect(linesOf([image], [told])).toEqual([]);
    expect(linesOf([image])).toHaveLength(1);
    expect(linesOf([{ ...image, from: null }, field('groups.web.count', null, '3')])).toEqual([]);
    expect(linesOf([{ ...image, to: null }])).toEqual([]);
  });

  test('of a job that cannot change: its fields are shown, and all of them behind a fold', async () => {
    const more = 'entrypoint: [/run]\ncommand: [a]\nenvironment: {LEVEL: debug}\n';
    const tooLarge = web('1', 3, more).replace('1500MiB', '99GiB');
    const { summary, text } = planCheck(await planOf({ change: { [WEB]: tooLarge } }), CONTEXT);
    expect(summary).toContain('- `shop/web`: 4 fields, each in its details.');
    expect(text).toContain('<code>shop/web</code> starts and stops nothing');
    expect(text).toContain('| `groups.web.tasks.web.resources.memory` | `1500MiB` | `99GiB` |');
    expect(text).toContain('environment.LEVEL` | – | `*** (after)` |');
  });
});
