// Commits and records that a plan proposes, beside reverts (which plan.test has). Rules 7, 11.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { Plan } from '../../../schema/plan.ts';
import { aCopy, aJob, desiredOf, liveOf, nodeNames, STARTING } from '../../support/world.ts';

describe('a count that is the machine’s and stands nowhere (7)', () => {
  const groups = [{ count: 1, scale: { min: 1, max: 2, fromFile: false } }];
  const job = aJob({ groups }, { settled: true });
  const copies = nodeNames(3).map((node, index) => aCopy(job, { node, index }));
  const commits = (made: Plan) => made.proposals.filter(({ kind }) => kind !== 'ledger');
  const facts = { scaleFiles: [] };

  it('is written down by a commit as it is now, clamped, once the job is at rest', () => {
    expect(commits(plan(desiredOf([job], facts), liveOf(copies.slice(0, 2)), 0))).toMatchObject([
      {
        kind: 'scale',
        job: 'shop/web',
        edits: [{ path: 'scale/shop/web.yaml', content: 'main: 2\n', base: null }],
      },
    ]);
    const [only] = commits(plan(desiredOf([job], facts), liveOf(copies), 0));
    expect(only).toMatchObject({ edits: [{ content: 'main: 2\n' }] });
  });

  it('not while the job has not settled, is held, has the file, or the count is a person’s', () => {
    const unsettled = aJob({ groups });
    const starting = [aCopy(unsettled, { node: 'n001', index: 0 }, STARTING)];
    expect(commits(plan(desiredOf([unsettled], facts), liveOf(starting), 0))).toEqual([]);
    const held = { ...job, standing: { kind: 'held', why: 'invalid' } } as const;
    expect(commits(plan(desiredOf([held], facts), liveOf(copies), 0))).toEqual([]);
    const there = desiredOf([job], { scaleFiles: ['scale/shop/web.yaml'] });
    expect(commits(plan(there, liveOf(copies), 0))).toEqual([]);
    const peoples = aJob({ count: 3 }, { settled: true });
    expect(commits(plan(desiredOf([peoples], facts), liveOf(copies), 0))).toEqual([]);
  });
});
