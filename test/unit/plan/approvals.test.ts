// When an approval ends, and when it does not yet. Rules 8.2, 9.1.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob, DesiredState } from '../../../schema/desired.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, desiredOf, liveOf, nodeNames } from '../../support/world.ts';

type Approval = DesiredState['approvals'][number];

const approval = (fields: Partial<Approval> = {}): Approval => ({
  kind: 'approval',
  id: 'a1',
  by: 'grace <2+grace@forge>',
  at: '2026-01-01T00:00:00Z',
  commit: 'head',
  slots: ['shop/web/main[2]'],
  nodes: [],
  used: false,
  ...fields,
});
const two = aJob({ count: 2 }, { settled: true });
const copies = [0, 1].map((index) => aCopy(two, { node: `n00${index + 1}`, index }));
const ended = (job: DesiredJob, given: Approval, live: LiveState = liveOf(copies)) =>
  plan(desiredOf([job], { approvals: [given] }), live, 0).proposals.flatMap((one) =>
    one.kind === 'ledger' ? one.records.filter(({ kind }) => kind === 'approval') : [],
  );
const USED = [expect.objectContaining({ id: 'a1', used: true })];

describe('an approval whose copies are gone is used up', () => {
  it('but not while a node was not heard from, which may hold one of them', () => {
    expect(ended(two, approval())).toEqual(USED);
    const started = { ...liveOf(copies, {}, nodeNames(2)), upForMs: 1_000 };
    expect(ended(two, approval(), started)).toEqual([]);
  });

  it('but not while the file of its job cannot be read: nobody knows what it wants', () => {
    const held = { ...two, standing: { kind: 'held', why: 'it is not valid' } } as const;
    expect(ended(held, approval())).toEqual([]);
  });

  it('but not, given ahead, while the machine may want its slot, within the bounds of its count', () => {
    const scale = { min: 1, max: 3, fromFile: true };
    const machine = aJob({ groups: [{ count: 2, scale }] }, { settled: true });
    expect(ended(machine, approval({ ahead: true }))).toEqual([]);
    expect(ended(two, approval({ ahead: true }))).toEqual(USED);
  });

  it('but of contents of files it ends by its age alone', () => {
    const files = [{ path: 'jobs/shop/web.yaml', blob: 'b' }];
    expect(ended(two, approval({ slots: [], files }))).toEqual([]);
  });
});
