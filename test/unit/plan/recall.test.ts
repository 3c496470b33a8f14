// What a plan remembers of a job is forgotten when something that it follows from is new, although
// job and copies are the same. The property of memos (test/property/memo.test.ts) makes up all
// kinds of changes; this one it meets too seldom.
import { expect, it } from 'vitest';
import { createPlanMemo } from '../../../reconciler/plan/memo.ts';
import { plan, planWith } from '../../../reconciler/plan/plan.ts';
import { ageingNode, freshFacts } from '../../../schema/ageing.ts';
import type { LiveState } from '../../../schema/live.ts';
import { aCopy, aJob, desiredOf, liveOf } from '../../support/world.ts';

/** As observe hands it out: nodes of which nothing new was heard have the same facts. */
const heard = (live: LiveState): LiveState => ({
  ...live,
  nodes: live.nodes.map(({ allocations, ...node }) =>
    ageingNode(freshFacts(allocations, { heardAt: 0, connected: true }), node),
  ),
});

it('the file of a machine’s count that comes and goes', () => {
  const groups = [{ count: 1, scale: { min: 1, max: 2, fromFile: false } }];
  const job = aJob({ groups }, { settled: true });
  const live = heard(liveOf([aCopy(job, { node: 'n001', index: 0 })]));
  const again = planWith(createPlanMemo());
  for (const scaleFiles of [[], ['scale/shop/web.yaml'], ['scale/shop/web.yaml'], []]) {
    const desired = desiredOf([job], { scaleFiles });
    const { proposals } = again(desired, live, 0);
    expect(proposals).toEqual(plan(desired, live, 0).proposals);
    expect(proposals.some(({ kind }) => kind === 'scale')).toBe(scaleFiles.length === 0);
  }
});
