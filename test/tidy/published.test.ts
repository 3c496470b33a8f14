// Published files agree with the schemas and the table of codes.
// In: the files in the repository. Out: a failure that names `npm run generate`.
// Not here: what the files say (schema/reference.ts).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { publishedFiles } from '../../schema/reference.ts';

const root = join(import.meta.dirname, '../..');

test.each([...publishedFiles()])(
  '%s is up to date; else run `npm run generate`',
  (path, content) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(content);
  },
);

test('every field of a job is in the job reference, with its class', () => {
  const page = publishedFiles().get('docs/job-reference.md') ?? '';
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const bare = rows.filter((row) => !/\| (version|in-place|identity|) \| \S/.test(row));
  expect(bare).toEqual([]);
  expect(rows.length).toBeGreaterThan(100);
});
