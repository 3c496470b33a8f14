// A job that vanishes while one of the same version appears. Rules 8.1.
import { expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import { aCopy, aJob, desiredOf, liveOf, nodeNames, type JobWords } from '../../support/world.ts';

const PORT = [{ name: 'http', port: 80, host: 80 }];

/** Three copies, one a node; the job has another name now, and somebody approved that. */
const renamed = (groups: JobWords['groups'] & {}) => {
  const gone = { standing: { kind: 'removed' }, settled: true } as const;
  const old = aJob({ groups }, gone);
  const copies = nodeNames(3).map((node, index) => aCopy(old, { node, index }));
  const approvals = [
    {
      kind: 'approval',
      id: 'a',
      by: 'grace',
      at: '',
      commit: '',
      slots: [0, 1, 2].map((index) => `shop/web/main[${index}]`),
      nodes: [],
      used: false,
    } as const,
  ];
  const desired = desiredOf([old, aJob({ name: 'shop', groups })], { approvals });
  return plan(desired, liveOf(copies), 0).steps.map(({ kind, job }) => `${kind} ${job}`);
};

it('keeps its old copies while the new ones come up', () => {
  expect(renamed([{ count: 3 }])).toEqual(Array(3).fill('start shop/shop'));
});

it('loses them at once where both cannot fit', () => {
  expect(
    renamed([{ count: 3, ports: PORT }]).filter((step) => step === 'stop shop/web'),
  ).toHaveLength(3);
});
