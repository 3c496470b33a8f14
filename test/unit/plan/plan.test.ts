// The planner's door on small worlds: one row a rule.
import { describe, expect, it } from 'vitest';
import { check } from '../../../reconciler/plan/check.ts';
import { forecast } from '../../../reconciler/plan/forecast.ts';
import { orders } from '../../../reconciler/plan/orders.ts';
import { isAhead } from '../../../reconciler/plan/nodes.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import type { DesiredState } from '../../../schema/desired.ts';
import type { LiveNode, LiveState } from '../../../schema/live.ts';
import type { Plan } from '../../../schema/plan.ts';
import {
  aCopy,
  aFailure,
  aJob,
  aNode,
  aTask,
  DEAD,
  desiredOf,
  liveOf,
  settledBefore,
  STARTING,
} from '../../support/world.ts';

const wordOf = (step: Plan['steps'][number]): string =>
  step.kind === 'update' ? step.changes.join() : step.reason;

const short = (made: Plan): readonly string[] =>
  made.steps.map((step) => `${step.kind} ${step.slot} ${step.node} ${wordOf(step)}`).toSorted();

const planned = (desired: DesiredState, live: LiveState): Plan => {
  const made = plan(desired, live, 0);
  expect(check(made, live, desired)).toEqual([]);
  return made;
};

const spread3 = (job: Parameters<typeof aCopy>[0]) => [
  aCopy(job, { node: 'n001', index: 0 }),
  aCopy(job, { node: 'n002', index: 1 }),
  aCopy(job, { node: 'n003', index: 2 }),
];

describe('a new job', () => {
  it('is placed, one copy a node', () => {
    const desired = desiredOf([aJob()]);
    expect(short(planned(desired, liveOf([])))).toEqual([
      'start shop/web/main[0] n001 new',
      'start shop/web/main[1] n002 new',
      'start shop/web/main[2] n003 new',
    ]);
  });

  it('settles when every slot is healthy (2.4), and then nothing is left to do', () => {
    const job = aJob();
    const first = planned(desiredOf([job]), liveOf(spread3(job)));
    const { author, email, subject } = job.commit;
    const mark = { kind: 'settled', author, email, subject };
    expect(first.proposals).toMatchObject([{ kind: 'ledger', records: [mark] }]);
    expect(short(first)).toEqual([
      'update shop/web/main[0] n001 settled',
      'update shop/web/main[1] n002 settled',
      'update shop/web/main[2] n003 settled',
    ]);
    const done = aJob({}, { settled: true });
    const second = planned(desiredOf([done]), liveOf(spread3(done)));
    expect(second.steps).toEqual([]);
    expect(second.proposals).toEqual([]);
    expect(second.deployments[0]?.status).toBe('settled');
    expect(second.wakeAt).toBe(30_000);
  });

  it('that finds no room says why, and the counts add up to all nodes', () => {
    const job = aJob({ groups: [{ count: 1, ask: { cpuMilli: 9_000, memoryBytes: 1 } }] });
    const made = planned(desiredOf([job]), liveOf([]));
    expect(made.steps).toEqual([]);
    expect(made.blocked).toEqual([
      {
        kind: 'no-node',
        job: 'shop/web',
        slot: 'shop/web/main[0]',
        nodes: [{ reason: 'cpu', count: 3, detail: '5000m of CPU short' }],
      },
    ]);
    expect(made.deployments[0]?.status).toBe('blocked');
  });
});

describe('a rollout', () => {
  const job = aJob({ version: 'v2', from: { version: 'v1' } });
  const old = spread3(settledBefore(job));

  it('stop-first replaces one copy on its own node, behind its stop (5.1)', () => {
    const made = planned(desiredOf([job]), liveOf(old));
    expect(short(made)).toEqual([
      'start shop/web/main[0] n001 rollout',
      'stop shop/web/main[0] n001 rollout',
    ]);
    expect(made.steps.find((step) => step.kind === 'start')).toMatchObject({
      after: [old[0]?.allocation],
    });
  });

  it('waits while the new copy is not yet healthy (5.5)', () => {
    const copies = [aCopy(job, { node: 'n001', index: 0, attempt: 2 }, STARTING), ...old.slice(1)];
    expect(planned(desiredOf([job]), liveOf(copies)).steps).toEqual([]);
  });

  it('goes on when it is healthy', () => {
    const copies = [aCopy(job, { node: 'n001', index: 0, attempt: 2 }), ...old.slice(1)];
    expect(short(planned(desiredOf([job]), liveOf(copies)))).toEqual([
      'start shop/web/main[1] n002 rollout',
      'stop shop/web/main[1] n002 rollout',
    ]);
  });

  it('start-first starts beside the old copy, and stops it when the new one is healthy', () => {
    const update = { order: 'start-first' as const };
    const first = aJob({ version: 'v2', from: { version: 'v1' }, update });
    expect(short(planned(desiredOf([first]), liveOf(old)))).toEqual([
      'start shop/web/main[0] n001 rollout',
    ]);
    const both = [aCopy(first, { node: 'n001', index: 0, attempt: 2 }), ...old];
    expect(short(planned(desiredOf([first]), liveOf(both)))).toEqual([
      'stop shop/web/main[0] n001 rollout',
    ]);
  });

  it('stalls at the first failure and goes on trying the slot that it has (6.2)', () => {
    const dead = aCopy(job, { node: 'n001', index: 0, attempt: 2 }, DEAD);
    const soon = planned(desiredOf([job]), liveOf([dead, ...old.slice(1)]));
    expect(soon.deployments[0]?.status).toBe('stalled');
    expect(soon.steps).toEqual([]);
    expect(soon.wakeAt).toBe(4_000);
    const late = planned(
      desiredOf([job]),
      liveOf([{ ...dead, deadForMs: 5_000 }, ...old.slice(1)]),
    );
    expect(short(late)).toEqual(['start shop/web/main[0] n001 reschedule']);
  });
});

describe('a failing version', () => {
  const words = { version: 'v2', from: { version: 'v1' } };
  const job = aJob(words);
  const old = spread3(settledBefore(job)).slice(1);
  const dead = [2, 3].map((attempt) => aCopy(job, { node: 'n001', index: 0, attempt }, DEAD));

  it('is recorded first, before anything is reverted (6.2, 11)', () => {
    const made = planned(desiredOf([job]), liveOf([...dead, ...old]));
    expect(made.deployments[0]?.status).toBe('failed');
    expect(made.proposals).toMatchObject([{ kind: 'ledger', records: [{ kind: 'failed' }] }]);
  });

  it('is reverted once the mark is there, and its slot falls back (5.5, 6.3)', () => {
    const evidence = { reason: '2 of its allocations died', allocations: [] };
    const failed = aJob(words, { failed: { evidence } });
    const live = liveOf([...dead.map((copy) => ({ ...copy, deadForMs: 9_000 })), ...old]);
    const made = planned(desiredOf([failed]), live);
    expect(short(made)).toEqual(['start shop/web/main[0] n001 fallback']);
    const [revert] = made.proposals;
    expect(revert).toMatchObject({ kind: 'revert', to: failed.fallback?.commit.oid });
    expect(revert?.kind === 'revert' && revert.message).toContain(
      `Purser-Reverts: ${failed.commit.oid}`,
    );
  });

  it('without a settled version goes on trying and reverts nothing (6.2)', () => {
    const fresh = aJob();
    const tries = [1, 2].map((attempt) =>
      aCopy(fresh, { node: 'n001', index: 0, attempt }, { ...DEAD, deadForMs: 9_000 }),
    );
    const made = planned(desiredOf([fresh]), liveOf([...tries]));
    expect(made.proposals).toEqual([]);
    expect(short(made)).toHaveLength(3);
    expect(made.deployments[0]?.status).toBe('failed');
  });

  it('blames nothing on the version when the platform failed (6.1)', () => {
    const failure = aFailure({ blame: 'platform', kind: 'registry' });
    const copies = dead.map((copy) => ({ ...copy, failure }));
    expect(planned(desiredOf([job]), liveOf([...copies, ...old])).deployments[0]?.status).toBe(
      'rolling',
    );
  });
});

describe('orders and forecast', () => {
  it('numbers a changed set anew and keeps an unchanged one', () => {
    const job = aJob();
    const live = liveOf([]);
    const made = plan(desiredOf([job]), live, 0);
    const [first] = orders(made, live, { cluster: 'test', commit: 'c1' });
    expect(first).toMatchObject({ node: 'n001', generation: 2, items: [{ kind: 'run' }] });
  });

  it('reaches a fixed point through all waves of a rollout', () => {
    const job = aJob({ version: 'v2', from: { version: 'v1' } });
    const waves = forecast(desiredOf([job]), liveOf(spread3(settledBefore(job))), 0);
    expect(waves.map((wave) => wave.steps.length)).toEqual([2, 2, 2, 3]);
  });
});

describe('an image that is not resolved (3)', () => {
  const groups = [
    { tasks: [aTask({ image: { reference: 'app:2', repository: 'registry/app', digest: null } })] },
  ];
  const facts = {
    standing: { kind: 'held', why: 'unresolved image: app:2' } as const,
    unresolved: { message: 'manifest unknown: app:2', sinceMs: 0, blame: 'version' as const },
  };

  it('starts nothing where nothing has settled', () => {
    const made = planned(desiredOf([aJob({ groups }, facts)]), liveOf([]));
    expect(made.steps).toEqual([]);
    expect(made.blocked.map((entry) => entry.kind === 'waiting' && entry.why)).toEqual([
      'held',
      'unresolved-image',
      'unresolved-image',
      'unresolved-image',
    ]);
  });

  it('heals at the settled version, and fails after healthy_deadline', () => {
    const words = { version: 'v2', groups, from: { version: 'v1', groups: [{}] } };
    const early = planned(desiredOf([aJob(words, facts)]), liveOf([]));
    expect(short(early)).toEqual([
      'start shop/web/main[0] n001 fallback',
      'start shop/web/main[1] n002 fallback',
      'start shop/web/main[2] n003 fallback',
    ]);
    const late = { ...facts, unresolved: { ...facts.unresolved, sinceMs: 300_000 } };
    const made = planned(desiredOf([aJob(words, late)]), liveOf([]));
    expect(made.deployments[0]?.status).toBe('failed');
    expect(made.proposals).toMatchObject([{ kind: 'ledger', records: [{ kind: 'failed' }] }]);
  });
});

describe('orders', () => {
  const job = aJob({}, { settled: true });
  const context = { cluster: 'test', commit: 'c' };

  it('repeat the set that was sent while it is unchanged, also when it was read anew', () => {
    const live = liveOf(spread3(job));
    const made = planned(desiredOf([job]), live);
    const first = orders(made, live, context);
    const again = liveOf(
      spread3(job),
      Object.fromEntries(
        first.map((set) => [set.node, { sent: structuredClone(set), generation: set.generation }]),
      ),
    );
    expect(orders(made, again, context)).toEqual(first);
  });

  it('keep a stop until its copy is gone, and let go of the superseded dead', () => {
    const copy = aCopy(job, { node: 'n001', index: 0, attempt: 2 });
    const dead = aCopy(job, { node: 'n001', index: 0, attempt: 1 }, DEAD);
    const live = liveOf([{ ...copy, stopping: true, phase: 'stopping' }, dead]);
    const idle = { ...planned(desiredOf([job]), live), steps: [] };
    expect(
      orders(idle, live, context)[0]
        ?.items.map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(['run', 'stop']);
    const swept = planned(desiredOf([job]), liveOf([copy, dead]));
    const [set] = orders(swept, liveOf([copy, dead]), context);
    expect(set?.items.map(({ allocation }) => allocation)).toEqual([copy.allocation]);
  });

  it('go to no node that is not connected', () => {
    const live = liveOf([], { n002: { connected: false } });
    const made = planned(desiredOf([]), live);
    expect(orders(made, live, context).map(({ node }) => node)).toEqual(['n001', 'n003']);
  });
});

describe('a node not heard from yet (invariant 8)', () => {
  it('may hold any copy, so missing copies wait for it until it is lost', () => {
    const job = aJob({ count: 1 });
    const live = { ...liveOf([]), nodes: liveOf([]).nodes.slice(0, 2) };
    const waiting = planned(desiredOf([job]), { ...live, upForMs: 29_000 });
    expect(waiting.steps).toEqual([]);
    expect(waiting.blocked).toMatchObject([{ why: 'node-unknown' }]);
    expect(waiting.wakeAt).toBe(1_000);
    expect(short(planned(desiredOf([job]), { ...live, upForMs: 30_000 }))).toHaveLength(1);
  });
});

describe('a runner that is ahead of HEAD (10.3)', () => {
  const job = aJob({}, { settled: true });
  const copies = spread3(job);
  const ahead = 'a'.repeat(40);
  const live = liveOf(copies, { n001: { acceptedCommit: ahead } });
  const desired = desiredOf([aJob({ count: 1 }, { settled: true })], { acceptable: ['b'] });

  it('is told nothing, keeps its copies, and the reason is shown', () => {
    const made = planned(desired, live);
    expect(made.steps.filter(({ node }) => node === 'n001')).toEqual([]);
    expect(made.blocked).toContainEqual({
      kind: 'waiting',
      job: 'shop/web',
      slot: null,
      why: 'runner-ahead',
      detail:
        'nothing is sent to n001: its runner obeyed commit aaaaaaaaaaaa, which HEAD does not contain',
      remedy: `purser resume --at ${ahead}`,
    });
    const mayTell = (node: LiveNode) => !isAhead(desired, node);
    const sets = orders(made, live, { cluster: 'test', commit: 'head', mayTell });
    expect(sets.map(({ node }) => node)).toEqual(['n002', 'n003']);
  });

  it('is told again once HEAD contains the commit, or in a local repository', () => {
    for (const acceptable of [[ahead], null]) {
      const made = planned({ ...desired, acceptable }, live);
      expect(
        made.blocked.filter((entry) => 'why' in entry && entry.why === 'runner-ahead'),
      ).toEqual([]);
    }
  });

  it('takes no new copies, and the remedy is named although it has none', () => {
    const fresh = desiredOf([aJob()], { acceptable: [] });
    const nodes = { n001: { acceptedCommit: ahead }, n002: { acceptedCommit: ahead } };
    const empty = liveOf([], { ...nodes, n003: { acceptedCommit: ahead } });
    const { blocked } = planned(fresh, empty);
    const unplaced = blocked.filter(({ kind }) => kind === 'no-node');
    expect(unplaced[0]).toMatchObject({ nodes: [{ reason: 'behind', count: 3 }] });
    const remedy = { why: 'runner-ahead', job: 'shop/web', remedy: `purser resume --at ${ahead}` };
    expect(blocked.filter((each) => !unplaced.includes(each))).toMatchObject([
      remedy,
      remedy,
      remedy,
    ]);
  });
});

describe('what Git says of the node', () => {
  const tasks = [aTask({ environment: [['ZONE', '${node.zone}']] })];
  const nodes = [aNode('n001', { labels: [['zone', 'a']], pool: 'web' })];

  it('goes to a copy whose environment asks for it, and is no reason to touch it later', () => {
    const job = aJob({ groups: [{ count: 1, tasks }] });
    const step = planned(desiredOf([job], { nodes }), liveOf([])).steps[0];
    const body = step?.kind === 'start' ? step.body : null;
    expect(body?.nodeAttributes).toEqual([
      ['node.zone', 'a'],
      ['node.pool', 'web'],
    ]);
    const copy = aCopy(job, { node: 'n001', index: 0 });
    const placed = body === null ? copy : { ...copy, body: { ...body, settled: true } };
    const done = aJob({ groups: [{ count: 1, tasks }] }, { settled: true });
    const moved = desiredOf([done], { nodes: [aNode('n001', { labels: [['zone', 'b']] })] });
    expect(planned(moved, liveOf([placed])).steps).toEqual([]);
  });

  it('is left out where nothing asks', () => {
    const job = aJob({ groups: [{ count: 1 }] });
    const step = planned(desiredOf([job], { nodes }), liveOf([])).steps[0];
    expect(step).toMatchObject({ kind: 'start' });
    expect(step?.kind === 'start' && 'nodeAttributes' in step.body).toBe(false);
  });
});
