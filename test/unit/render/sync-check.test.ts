// The check of a commit of the branch: which buttons, and how it stands, where several things are true
// of it at once. The texts are in golden files (forge.test).

import { expect, test } from 'vitest';
import { syncCheck } from '../../../reconciler/render/sync-check.ts';
import type { SyncView } from '../../../reconciler/render/sync-blocks.ts';
import { waveOf } from '../../../reconciler/render/sync-jobs.ts';
import type { DeploymentStatus } from '../../../schema/plan.ts';
import type { Problem } from '../../../schema/problems.ts';
import { BASE, viewOf } from '../../support/forge-world.ts';
import { aJob } from '../../support/world.ts';

const GUARDED = [{ job: 'shop/web', slots: ['shop/web/web[2]'], why: 'it is large' }];

const seen = (statuses: readonly DeploymentStatus[], more: Partial<SyncView['plan']> = {}) => {
  const { desired, live, plan } = viewOf([BASE]);
  const [one] = plan.deployments;
  const deployments = statuses.flatMap((status) => (one === undefined ? [] : [{ ...one, status }]));
  return { desired, live, plan: { ...plan, deployments, ...more } };
};
const rolling = (() => {
  const job = aJob({ version: 'v2', from: { version: 'v1' } });
  const { plan } = viewOf([BASE]);
  const [view] = plan.deployments;
  const [row] = view?.groups ?? [];
  if (view === undefined || row === undefined) throw new Error('the view has a job');
  return { job, view: { ...view, status: 'rolling' as const }, row };
})();
const buttonsOf = (view: SyncView) => syncCheck(view).buttons.map(({ id }) => id);

test('at most three buttons: what a person must decide first, and *Retry* waits', () => {
  expect(buttonsOf(seen(['settled']))).toEqual(['rollback']);
  expect(buttonsOf(seen(['failed']))).toEqual(['rollback', 'retry']);
  expect(buttonsOf(seen(['canary', 'stalled']))).toEqual(['promote', 'rollback', 'retry']);
  const all = seen(['canary', 'failed'], { guarded: GUARDED });
  expect(buttonsOf(all)).toEqual(['approve', 'promote', 'rollback']);
});

test('a wave is one of those that there are, also while a copy moves and is there twice', () => {
  const { job } = rolling;
  const view = (updated: number) => ({
    ...rolling.view,
    groups: [{ ...rolling.row, wanted: 3, updated }],
  });
  const at = [0, 1, 3, 4].map((updated) => waveOf(view(updated), job));
  expect(at).toEqual([1, 1, 3, 3].map((wave) => ({ at: wave, of: 3 })));
  expect(waveOf({ ...view(1), groups: [] }, job)).toBeNull();
});

test('what waits for its owners is no error of a file', () => {
  const problem = (code: Problem['code']): Problem => ({
    file: 'jobs/shop/web.yaml',
    line: 1,
    column: 1,
    severity: 'error',
    code,
    message: 'it waits',
    advice: 'approve it',
  });
  const view = (code: Problem['code']) => seen(['settled'], { problems: [problem(code)] });
  expect(syncCheck(view('owners-wait')).conclusion).toBe('success');
  expect(syncCheck(view('unknown-field'))).toMatchObject({
    conclusion: 'failure',
    title: '1 error in files',
  });
});

test('a commit that was in sync stays so when a node is lost and a copy finds no place', () => {
  const view = seen(['blocked'], { synced: false });
  expect(syncCheck(view).conclusion).toBeNull();
  expect(syncCheck({ ...view, wasSynced: true }).conclusion).toBe('success');
});
