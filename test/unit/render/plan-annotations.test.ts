// Remarks on lines: what the forge could refuse is left out, so that the rest is told.

import { expect, test } from 'vitest';
import { planAnnotations } from '../../../reconciler/render/plan-annotations.ts';
import type { Seen } from '../../../reconciler/render/plan-blocks.ts';
import type { NodeReason } from '../../../schema/plan.ts';

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

test('a copy that fits nowhere is remarked on the field that most nodes refuse it for', () => {
  const slot = 'shop/web/web[0]';
  const node = (reason: NodeReason, count: number) => ({ reason, count, detail: 'd' });
  const lineOf = (...nodes: readonly ReturnType<typeof node>[]) => {
    const lines = { cpu: 5, memory: 6 };
    const place = { job: 'shop/web', group: 'web', file: 'jobs/shop/web.yaml', line: 2, wanted: 3 };
    const summary = { problems: [], guarded: [], places: [{ ...place, lines }] };
    const verdict = { unmet: [{ kind: 'no-node', job: 'shop/web', slot, nodes }] };
    const visibility = { job: () => true };
    const seen = { plan: { summary }, verdict, visibility } as unknown as Seen;
    return planAnnotations(seen, '').map(({ startLine, endLine, title }) => [
      startLine,
      endLine,
      title,
    ]);
  };
  expect(lineOf(node('draining', 9), node('cpu', 1), node('memory', 2))).toEqual([
    [6, 6, 'This `memory` makes 1 of 3 copies unplaceable'],
  ]);
  expect(lineOf(node('port', 3), node('cpu', 1))).toEqual([
    [2, 2, 'This host port makes 1 of 3 copies unplaceable'],
  ]);
  expect(lineOf(node('draining', 3))).toEqual([[2, 2, '1 of 3 copies fit on no node: draining']]);
});
