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

describe('a ledger that is gone while copies live (11)', () => {
  const volume = { name: 'data', onLoss: 'wait' as const };
  const was = aJob({ version: 'v1', groups: [{ count: 2, volumes: [volume] }] }, { settled: true });
  const copies = [0, 1].map((index) => aCopy(was, { node: `n00${index + 1}`, index }));
  const gone = { lastSynced: null };
  const records = (made: Plan) =>
    made.proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : []));

  it('is written again from bodies: marks of versions before HEAD’s, and homes of volumes', () => {
    const job = aJob({ version: 'v2', groups: [{ count: 2, volumes: [volume] }] });
    const made = plan(desiredOf([job], gone), liveOf(copies), 0);
    const home = { kind: 'volume', namespace: 'shop', job: 'web', volume: 'data', group: 'main' };
    expect(records(made).filter(({ kind }) => kind !== 'synced')).toEqual([
      {
        kind: 'settled',
        job: 'shop/web',
        specHash: was.spec.specHash,
        deployment: was.deployment,
        commit: was.commit.oid,
        digests: [{ group: 'main', task: 'main', reference: 'app:1', digest: 'sha256:1' }],
      },
      { ...home, index: 0, node: 'n001' },
      { ...home, index: 1, node: 'n002' },
    ]);
    expect(made.steps).toEqual([]);
    expect(made.synced).toBe(false);
    const marked = { ...gone, settledMarks: [`shop/web ${was.spec.specHash}`] };
    const again = records(plan(desiredOf([job], marked), liveOf(copies), 0));
    expect(again.some(({ kind }) => kind === 'settled')).toBe(false);
  });

  it('removals wait for approval, also small ones and those of jobs that Git does not have', () => {
    const one = aJob({ version: 'v1', groups: [{ count: 1 }] }, { settled: true });
    const live = liveOf([0, 1].map((index) => aCopy(one, { node: `n00${index + 1}`, index })));
    const smaller = plan(desiredOf([one], gone), live, 0);
    expect(smaller.steps).toEqual([]);
    expect(smaller.guarded[0]?.slots).toEqual(['shop/web/main[1]']);
    const strayed = plan(desiredOf([], gone), live, 0);
    expect(strayed.steps).toEqual([]);
    const [guarded] = strayed.guarded;
    expect(guarded).toMatchObject({ slots: ['shop/web/main[0]', 'shop/web/main[1]'] });
    expect(strayed.synced).toBe(false);
    const approval = { kind: 'approval', id: 'a', by: 'g', at: '', commit: '', nodes: [] } as const;
    const approvals = [{ ...approval, slots: guarded?.slots ?? [], used: false }];
    const going = plan(desiredOf([], { ...gone, approvals }), live, 0);
    expect(going.steps.map(({ kind }) => kind)).toEqual(['stop', 'stop']);
    expect(records(going).some(({ kind }) => kind === 'approval')).toBe(false);
  });
});
