// What a job's row says of it. Rules 5.4, 13.

import { expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { Resources } from '../../../schema/spec.ts';
import { aJob, desiredOf, liveOf } from '../../support/world.ts';

const statusUnder = (quota: Resources | null): string | undefined => {
  const namespace = { name: 'shop', protected: false, quota, evidence: 'codes' } as const;
  const desired = desiredOf([aJob({ count: 1 })], { namespaces: [namespace] });
  return plan(desired, liveOf([]), 0).deployments[0]?.status;
};

it('a quota that is used up blocks, as a lack of room does', () => {
  expect(statusUnder(null)).toBe('rolling');
  expect(statusUnder({ cpuMilli: 1, memoryBytes: 1 })).toBe('blocked');
});
