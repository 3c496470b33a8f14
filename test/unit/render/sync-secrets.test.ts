// What a secret variable holds is told to no forge, also where it is an older version's.

import { expect, test } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import { syncCheck } from '../../../reconciler/render/sync-check.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import { aCopy, aFailure, aJob, aTask, DEAD, desiredOf, liveOf } from '../../support/world.ts';
import { settledBefore, type JobWords } from '../../support/world.ts';

test('values that are secret in an older version of the job are shown nowhere', () => {
  const secret = 'rotatedYesterday';
  const version = (name: string, value: string): JobWords => ({
    version: name,
    groups: [{ tasks: [aTask({ environment: [['DB_PASSWORD', value]] })] }],
  });
  const next = aJob(
    { ...version('v2', 'newOne'), from: version('v1', secret) },
    { evidence: 'logs' },
  );
  const message = `cannot log in with ${secret}`;
  const log = [`login: ${secret}`, 'plain'];
  const failure = { ...aFailure(), message, log };
  const old = settledBefore(next);
  const went = { ...old, spec: { ...old.spec, specHash: 'v0' } };
  const copies = [
    aCopy(old, { node: 'n001', index: 0 }),
    aCopy(next, { node: 'n002', index: 1 }, { ...DEAD, failure }),
    aCopy(next, { node: 'n002', index: 1, attempt: 2 }, { ...DEAD, failure }),
  ];
  const seen = (
    job: typeof next,
    live = liveOf(copies),
    namespaces: DesiredState['namespaces'] = [
      { name: 'shop', protected: false, quota: null, evidence: 'logs' },
    ],
  ) => {
    const desired = desiredOf([job], { namespaces });
    const made = plan(desired, live, 0);
    return { made, check: syncCheck({ desired, live, plan: made }) };
  };
  const { made, check } = seen(next);
  expect(JSON.stringify(made.proposals)).not.toContain(secret);
  expect(JSON.stringify(made.proposals)).toContain('cannot log in with ***');
  expect(check.text).toContain('plain');
  expect(JSON.stringify(check)).not.toContain(secret);
  // A mark that was written before, and a version that is neither wanted nor gone back to.
  const evidence = {
    reason: message,
    allocations: [{ allocation: 'a', node: 'n1', task: null, message, log }],
  };
  const marked = { ...next, fallback: null, failed: { evidence } };
  const live = liveOf([aCopy(went, { node: 'n001', index: 0 })]);
  expect(JSON.stringify(seen(marked, live).check)).not.toContain(secret);
});
