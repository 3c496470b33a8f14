// Remarks on lines: what the forge could refuse is left out, so that the rest is told.

import { expect, test } from 'vitest';
import { planAnnotations } from '../../../reconciler/render/plan-annotations.ts';
import type { Seen } from '../../../reconciler/render/plan-blocks.ts';

const problem = (file: string) =>
  ({
    file,
    line: 1,
    column: 1,
    code: 'name-invalid',
    severity: 'error',
    message: 'm',
    advice: 'a',
  }) as const;

test('paths that are no plain text, or as long as a page, get no remark; others keep theirs', () => {
  const files = [
    'jobs/shop/web.yaml',
    'jobs/shop/two\nlines.yaml',
    'jobs/shop/\u202eturned.yaml',
    `jobs/shop/${'n'.repeat(4000)}.yaml`,
    'jobs/shop/日本語 @everyone.yaml',
  ];
  const summary = { problems: files.map(problem), guarded: [], blocked: [] };
  const seen = { plan: { summary }, verdict: { unmet: [] } } as unknown as Seen;
  expect(planAnnotations(seen, 'c').map(({ path }) => path)).toEqual([
    'c/jobs/shop/web.yaml',
    'c/jobs/shop/日本語 @everyone.yaml',
  ]);
});
