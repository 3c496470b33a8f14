// What counts, and what does not: for a failure, for a budget, for max_deployments, for a move.
// Sentences of the rules that stories pass by. Rules 1.3, 2.2, 2.3, 5.1, 5.6, 6.1, 6.2, 9.3, 10.3, 14.
import { describe, expect, it } from 'vitest';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredJob, DesiredState } from '../../../schema/desired.ts';
import type { LiveAllocation, LiveState } from '../../../schema/live.ts';
import type { GroupSpec } from '../../../schema/spec.ts';
import {
  aCopy,
  aFailure,
  aJob,
  DEAD,
  desiredOf,
  liveOf,
  settledBefore,
  STARTING,
} from '../../support/world.ts';

const NODES = ['n001', 'n002', 'n003'];
const ROLLS = { version: 'v2', from: { version: 'v1' } } as const;
const copyOf = (job: DesiredJob, index: number, facts: Partial<LiveAllocation> = {}) =>
  aCopy(job, { node: NODES[index] ?? '', index }, facts);
const olds = (job: DesiredJob, from = 0) =>
  [0, 1, 2].slice(from).map((index) => copyOf(settledBefore(job), index));
const look = (job: DesiredJob, live: LiveState, facts: Partial<DesiredState> = {}) => {
  const { steps, deployments, proposals } = plan(desiredOf([job], facts), live, 0);
  const written = (kind: 'start' | 'stop') =>
    steps.flatMap((one) => (one.kind === kind ? [`${one.slot} ${one.node}`] : []));
  return {
    status: deployments[0]?.status,
    proposals: proposals.length,
    starts: written('start'),
    stops: written('stop'),
  };
};

describe('for a failure', () => {
  const deaths = (job: DesiredJob, by: DesiredJob) =>
    [2, 3]
      .map((attempt) => aCopy(by, { node: 'n001', index: 0, attempt }, DEAD))
      .concat(olds(job, 1));

  it('deaths of this deployment do, those of an earlier one of the same version do not (2.3)', () => {
    const job = aJob(ROLLS);
    expect(look(job, liveOf(deaths(job, job))).status).toBe('failed');
    const again = { ...job, deployment: 'f'.repeat(16) };
    expect(look(again, liveOf(deaths(job, job))).status).toBe('rolling');
  });

  it('nothing does while the job is held: its rollout freezes (1.3, 6.2)', () => {
    const job = aJob(ROLLS, { standing: { kind: 'held', why: 'jobs/shop/web.yaml is not valid' } });
    expect(look(job, liveOf(deaths(job, job)))).toMatchObject({ status: 'held', proposals: 0 });
  });

  it('a copy that the platform keeps from health is not late, another one is (6.1)', () => {
    const job = aJob(ROLLS);
    const late = { ...STARTING, acceptedForMs: 301_000, firstStartedForMs: 301_000 };
    const told = (failure: LiveAllocation['failure']) =>
      look(job, liveOf([copyOf(job, 0, { ...late, failure }), ...olds(job, 1)])).status;
    expect(told(null)).toBe('failed');
    expect(told(aFailure({ blame: 'platform', kind: 'runtime' }))).toBe('rolling');
  });
});

describe('for the budget', () => {
  it('of start-first all that are wanted must be healthy before an old one stops (5.1)', () => {
    const job = aJob({ ...ROLLS, update: { order: 'start-first' } });
    const fresh = aCopy(job, { node: 'n002', index: 0, attempt: 2 });
    const unsure = { health: 'unproven', healthyForMs: null } as const;
    const [a, b, c] = olds(job);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three copies');
    expect(look(job, liveOf([fresh, a, b, c])).stops).toEqual(['shop/web/main[0] n001']);
    expect(look(job, liveOf([fresh, a, b, { ...c, ...unsure }])).stops).toEqual([]);
  });

  it('of stop-first there is never one copy more than is wanted (5.1)', () => {
    const job = aJob(ROLLS);
    const { starts, stops } = look(job, liveOf(olds(job)));
    expect(starts).toHaveLength(1);
    expect(stops).toEqual(starts);
  });

  it('a singleton goes stop-first and without canaries, whatever is written (9.3)', () => {
    const groups = [{ count: 1, singleton: true, stopAfterMs: 10_000 }];
    const update = { order: 'start-first', canary: 1 } as const;
    const job = aJob({ version: 'v2', groups, update, from: { version: 'v1', groups } });
    const { status, starts, stops } = look(job, liveOf(olds(job).slice(0, 1)));
    expect({ status, starts }).toEqual({ status: 'rolling', starts: [] });
    expect(stops).toEqual(['shop/web/main[0] n001']);
    const done = look(job, liveOf([copyOf(job, 0)]));
    expect(done).toMatchObject({ status: 'settled', proposals: 1 });
  });
});

it('a job that never settled takes no place among max_deployments (5.6)', () => {
  const [first, last] = [aJob({ name: 'a' }), aJob({ ...ROLLS, name: 'z' })];
  const desired = desiredOf([first, last]);
  const one = { ...desired, cluster: { ...desired.cluster, maxDeployments: 1 } };
  const { deployments } = plan(one, liveOf(olds(last)), 0);
  expect(deployments.map(({ status }) => status)).toEqual(['rolling', 'rolling']);
});

describe('for a move', () => {
  const onNode = (value: string): Partial<GroupSpec> => ({
    count: 1,
    constraints: [{ attribute: 'node.name', operator: '=', value, text: `node.name = ${value}` }],
  });
  const moves = (group: Partial<GroupSpec>) => {
    const job = aJob({ groups: [group] }, { settled: true });
    return look(job, liveOf([copyOf(job, 0)]));
  };

  it('a node that satisfies the placement rules no more does (2.2)', () => {
    expect(moves(onNode('n001'))).toMatchObject({ starts: [], stops: [] });
    const { starts, stops } = moves(onNode('n002'));
    expect([...starts, ...stops]).not.toEqual([]);
    expect(starts.filter((one) => !one.endsWith('n002'))).toEqual([]);
  });

  it('not for a copy with a named volume, which stays with its data (14)', () => {
    const volumes = [{ name: 'data', onLoss: 'wait' as const }];
    expect(moves({ ...onNode('n002'), volumes })).toMatchObject({ starts: [], stops: [] });
  });
});

describe('a runner whose newest orders were made from a commit that HEAD does not contain (10.3)', () => {
  const [ahead, head] = ['a'.repeat(40), 'b'.repeat(40)];
  const job = aJob(ROLLS);
  const at = (facts: Parameters<typeof liveOf>[1]) =>
    look(job, liveOf(olds(job), facts), { acceptable: [head] });

  it('is silent for the plan: its copies are not healthy ones, so no other may stop', () => {
    expect(at({}).stops).toHaveLength(1);
    expect(at({ n001: { acceptedCommit: ahead } })).toMatchObject({ starts: [], stops: [] });
  });

  it('is none once this session has sent it orders', () => {
    const sent = { node: 'n001', cluster: 'test', generation: 9, commit: head, items: [] };
    const { stops } = at({ n001: { acceptedCommit: ahead, generation: 9, sent } });
    expect(stops).toHaveLength(1);
  });
});
