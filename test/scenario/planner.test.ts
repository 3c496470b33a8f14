// Whole stories over virtual time: the planner against played runners, every plan checked.
import { describe, expect, it } from 'vitest';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { AllocationBody } from '../../schema/orders.ts';
import {
  createCluster,
  run,
  running,
  type Behaviour,
  type Cluster,
} from '../support/virtual-cluster.ts';
import { aGroup, aJob, aNode, desiredOf, nodeNames, type JobWords } from '../support/world.ts';

const versions = ['v0', 'v1', 'v2', 'v3'].map(
  (name) => [aGroup({ version: name }).hash, name] as const,
);
const nameOf = (body: AllocationBody): string =>
  versions.find(([hash]) => hash === body.spec.hash)?.[1] ?? '?';

const behaves =
  (bad: Readonly<Record<string, Behaviour>>) =>
  (body: AllocationBody): Behaviour =>
    bad[nameOf(body)] ?? { kind: 'healthy' };

/** A cluster in which v1 runs and has settled. */
const settledOn = (
  words: JobWords = {},
  options: { readonly behave?: Cluster['behave']; readonly facts?: Partial<DesiredState> } = {},
): Cluster => {
  const cluster = createCluster(
    desiredOf([aJob({ ...words, version: 'v1' })], options.facts),
    options.behave,
  );
  run(cluster, 60_000);
  expect(cluster.desired.jobs[0]?.settled).toBe(true);
  expect(cluster.lastPlan?.steps).toEqual([]);
  cluster.log.length = 0;
  return cluster;
};

const deploy = (cluster: Cluster, words: JobWords, facts: Partial<DesiredJob> = {}): DesiredJob => {
  const job = aJob({ from: { version: 'v1' }, version: 'v2', ...words }, facts);
  cluster.desired = { ...cluster.desired, jobs: [job] };
  return job;
};

const edit = (cluster: Cluster, change: Partial<DesiredState>): void => {
  cluster.desired = { ...cluster.desired, ...change };
};

const copies = (cluster: Cluster): readonly string[] => running(cluster, nameOf);
const statusOf = (cluster: Cluster) => cluster.lastPlan?.deployments[0]?.status;
const actions = (lines: readonly string[], kind: string): readonly string[] =>
  lines.filter((line) => line.includes(` ${kind} `));
const quietly = (cluster: Cluster): void => expect(cluster.violations).toEqual([]);

const cutOff = (cluster: Cluster, ...names: readonly string[]): void => {
  for (const runner of cluster.runners.values()) {
    if (names.includes(runner.name)) runner.connected = false;
  }
};

/** At most so many copies of the job at any time, stopping ones included. */
const most = (
  cluster: Cluster,
  forMs: number,
): { readonly most: number; readonly least: number } => {
  let [high, low] = [0, Number.MAX_SAFE_INTEGER];
  for (let passed = 0; passed < forMs; passed += 1_000) {
    run(cluster, 1_000);
    high = Math.max(high, copies(cluster).length);
    const healthy = cluster.lastPlan?.deployments[0]?.groups[0]?.healthyAny ?? 0;
    low = Math.min(low, healthy);
  }
  return { most: high, least: low };
};

describe('rolling', () => {
  it.each([
    ['stop-first', { order: 'stop-first' }, { most: 3, least: 2 }],
    ['start-first', { order: 'start-first' }, { most: 4, least: 3 }],
    [
      'two thirds at once',
      { order: 'stop-first', maxParallel: { kind: 'percent', percent: 67 } },
      { most: 3, least: 1 },
    ],
  ] as const)('%s keeps its bounds and ends settled', (_name, update, bounds) => {
    const cluster = settledOn({ update });
    deploy(cluster, { update });
    expect(most(cluster, 180_000)).toEqual(bounds);
    expect(copies(cluster).every((line) => line.includes(' v2 '))).toBe(true);
    expect(statusOf(cluster)).toBe('settled');
    expect(cluster.desired.jobs[0]?.settled).toBe(true);
    quietly(cluster);
  });

  it('a newer commit supersedes a rollout that is under way (5.6)', () => {
    const cluster = settledOn();
    deploy(cluster, {});
    run(cluster, 20_000);
    deploy(cluster, { version: 'v3' });
    run(cluster, 120_000);
    expect(copies(cluster).map((line) => line.split(' ')[1])).toEqual(['v3', 'v3', 'v3']);
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });

  it('paused moves nothing, and missing copies come back at the settled version (5.5)', () => {
    const nodes = nodeNames(4).map((name) => aNode(name));
    const cluster = settledOn({}, { facts: { nodes } });
    deploy(cluster, { update: { paused: true } });
    expect(run(cluster, 30_000)).toEqual([]);
    cutOff(cluster, 'n001');
    expect(actions(run(cluster, 40_000), 'start')).toEqual([
      '119s start shop/web/main[0] n004 fallback',
    ]);
    expect(statusOf(cluster)).toBe('paused');
    quietly(cluster);
  });
});

describe('canaries', () => {
  it('come on top, wait for a person, and go on after promotion (5.3)', () => {
    const cluster = settledOn();
    const job = deploy(cluster, { update: { canary: 1 } });
    run(cluster, 60_000);
    expect(copies(cluster)).toHaveLength(4);
    expect(statusOf(cluster)).toBe('canary');
    deploy(cluster, { update: { canary: 1, promote: job.spec.specHash.slice(0, 12) } });
    run(cluster, 120_000);
    expect(copies(cluster).map((line) => line.split(' ')[1])).toEqual(['v2', 'v2', 'v2']);
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });

  it('go on by themselves with auto_promote', () => {
    const cluster = settledOn();
    deploy(cluster, { update: { canary: 1, autoPromote: true } });
    run(cluster, 120_000);
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });

  it('that fail cost no copy of the old version', () => {
    const cluster = settledOn({}, { behave: behaves({ v2: { kind: 'crashes', afterMs: 2_000 } }) });
    deploy(cluster, { update: { canary: 1 } });
    run(cluster, 60_000);
    expect(copies(cluster).filter((line) => line.includes(' v1 '))).toHaveLength(3);
    expect(cluster.proposals).toHaveLength(1);
    quietly(cluster);
  });
});

describe('a failing version', () => {
  it.each([
    ['crashes', { kind: 'crashes', afterMs: 2_000 }],
    ['is never healthy', { kind: 'never-healthy' }],
  ] as const)('that %s stalls, fails, falls back and is reverted once (6.2)', (_name, bad) => {
    const update = { healthyDeadlineMs: 30_000 };
    const cluster = settledOn({ update }, { behave: behaves({ v2: bad }) });
    const failed = deploy(cluster, { update });
    const bounds = most(cluster, 90_000);
    expect(bounds.least).toBe(2);
    expect(cluster.proposals).toHaveLength(1);
    expect(copies(cluster).map((line) => line.split(' ')[1])).toEqual(['v1', 'v1', 'v1']);
    expect(statusOf(cluster)).toBe('failed');
    // The revert comes back through the front door: v1 again, a rollback now.
    const back = aJob({ version: 'v1', update }, { settled: true, isRollback: true });
    edit(cluster, { jobs: [back] });
    run(cluster, 60_000);
    expect(statusOf(cluster)).toBe('settled');
    expect(cluster.proposals).toHaveLength(1);
    expect(cluster.lastPlan?.steps).toEqual([]);
    expect(failed.deployment).not.toBe(back.deployment);
    // The dead of the failed deployment are superseded and gone.
    const left = [...cluster.runners.values()].flatMap((runner) => [...runner.copies.keys()]);
    expect(left).toHaveLength(3);
    quietly(cluster);
  });

  it('that the platform fails is never reverted (6.1)', () => {
    const bad: Behaviour = { kind: 'crashes', afterMs: 2_000, blame: 'platform' };
    const cluster = settledOn({}, { behave: behaves({ v2: bad }) });
    deploy(cluster, {});
    run(cluster, 120_000);
    expect(cluster.proposals).toEqual([]);
    expect(copies(cluster).filter((line) => line.includes(' v1 '))).toHaveLength(2);
    quietly(cluster);
  });

  it('that fails after it settled is degraded, restarted and not reverted (2.4)', () => {
    const cluster = settledOn();
    cluster.behave = behaves({ v1: { kind: 'crashes', afterMs: 2_000 } });
    const lines = run(cluster, 60_000);
    expect(statusOf(cluster)).toBe('degraded');
    expect(actions(lines, 'start').length).toBeGreaterThan(3);
    expect(cluster.proposals).toEqual([]);
    quietly(cluster);
  });
});

describe('nodes', () => {
  const four = nodeNames(4).map((name) => aNode(name));

  it('a drained node is emptied within the budget, and stays empty', () => {
    const cluster = settledOn({}, { facts: { nodes: four } });
    edit(cluster, {
      nodes: four.map((node) => ({ ...node, drain: node.name === 'n001' ? 'yes' : 'no' })),
    });
    const { least } = most(cluster, 60_000);
    expect(least).toBe(2);
    expect(copies(cluster).map((line) => line.split(' ')[2])).toEqual(['n004', 'n002', 'n003']);
    quietly(cluster);
  });

  it('a lost node is replaced; its return leaves one copy a slot (9.1, 9.2)', () => {
    const cluster = settledOn({}, { facts: { nodes: four } });
    const runner = cluster.runners.get('n001');
    if (runner === undefined) throw new Error('n001 is part of the cluster');
    runner.connected = false;
    expect(run(cluster, 29_000)).toEqual([]);
    expect(actions(run(cluster, 30_000), 'start')).toEqual([
      '89s start shop/web/main[0] n004 node-lost',
    ]);
    runner.connected = true;
    run(cluster, 60_000);
    expect(copies(cluster)).toHaveLength(3);
    expect(new Set(copies(cluster).map((line) => line.split(' ')[0])).size).toBe(3);
    expect(cluster.lastPlan?.steps).toEqual([]);
    quietly(cluster);
  });

  it('many nodes lost at once are waited for, unless a person approves (9.1)', () => {
    const cluster = settledOn({}, { facts: { nodes: four } });
    cutOff(cluster, 'n001', 'n002', 'n003');
    expect(run(cluster, 60_000)).toEqual([]);
    expect(cluster.lastPlan?.blocked.map((entry) => entry.kind === 'waiting' && entry.why)).toEqual(
      ['mass-loss', 'mass-loss', 'mass-loss'],
    );
    edit(cluster, {
      approvals: [
        {
          kind: 'approval',
          id: 'a',
          by: 'ada',
          at: '',
          commit: '',
          slots: [],
          nodes: ['n001', 'n002', 'n003'],
          used: false,
        },
      ],
    });
    expect(actions(run(cluster, 5_000), 'start')).toHaveLength(3);
    quietly(cluster);
  });

  it('a node without a file in Git is drained and gets nothing new (9.1)', () => {
    const cluster = settledOn({}, { facts: { nodes: four } });
    edit(cluster, { nodes: four.slice(1) });
    const lines = run(cluster, 60_000);
    // The node that it goes to says first that it has the image (5.7).
    expect(actions(lines, 'stop')).toEqual(['61s stop shop/web/main[0] n001 node-removed']);
    expect(copies(cluster).map((line) => line.split(' ')[2])).toEqual(['n004', 'n002', 'n003']);
  });
});

describe('in place', () => {
  it('scaling touches no copy that stays', () => {
    const cluster = settledOn();
    edit(cluster, { jobs: [aJob({ version: 'v1', count: 4 }, { settled: true })] });
    expect(run(cluster, 30_000)).toEqual(['60s start shop/web/main[3] n001 new']);
    edit(cluster, { jobs: [aJob({ version: 'v1', count: 2 }, { settled: true })] });
    expect(run(cluster, 30_000).toSorted()).toEqual([
      '90s stop shop/web/main[2] n003 scale-down',
      '90s stop shop/web/main[3] n001 scale-down',
    ]);
    quietly(cluster);
  });

  it('a changed restart policy reaches running copies without a restart (2.2)', () => {
    const cluster = settledOn();
    const restart = { attempts: 9, intervalMs: 60_000, delayMs: 1_000, mode: 'fail' } as const;
    edit(cluster, { jobs: [aJob({ version: 'v1', groups: [{ restart }] }, { settled: true })] });
    expect(run(cluster, 30_000)).toEqual([
      '60s update shop/web/main[0] n001 restart',
      '60s update shop/web/main[1] n002 restart',
      '60s update shop/web/main[2] n003 restart',
    ]);
    quietly(cluster);
  });

  it('a stopped job stops at once and starts again', () => {
    const cluster = settledOn();
    edit(cluster, { jobs: [aJob({ version: 'v1', stopped: true }, { settled: true })] });
    expect(actions(run(cluster, 5_000), 'stop')).toHaveLength(3);
    expect(statusOf(cluster)).toBe('stopped');
    edit(cluster, { jobs: [aJob({ version: 'v1' }, { settled: true })] });
    expect(actions(run(cluster, 5_000), 'start')).toHaveLength(3);
    quietly(cluster);
  });
});

describe('volumes', () => {
  const groups = [{ volumes: [{ name: 'data', onLoss: 'wait' as const }] }];

  it('are recorded before the first start, and their slots come back to their node (14)', () => {
    const cluster = createCluster(desiredOf([aJob({ version: 'v1', groups })]));
    const lines = run(cluster, 60_000);
    expect(lines.slice(0, 3)).toEqual(['0s record volume', '0s record volume', '0s record volume']);
    expect(actions(lines, 'start')).toHaveLength(3);
    const before = copies(cluster);
    const [job] = cluster.desired.jobs;
    edit(cluster, { jobs: [aJob({ version: 'v1', groups, stopped: true }, { settled: true })] });
    run(cluster, 10_000);
    expect(copies(cluster)).toEqual([]);
    const nodes = cluster.desired.nodes.toReversed();
    edit(cluster, { nodes, jobs: job === undefined ? [] : [job] });
    run(cluster, 30_000);
    expect(copies(cluster)).toEqual(before);
    quietly(cluster);
  });

  it('wait for a lost node', () => {
    const cluster = settledOn({ groups });
    cutOff(cluster, 'n002');
    expect(run(cluster, 60_000)).toEqual([]);
    expect(cluster.lastPlan?.blocked).toMatchObject([{ why: 'volume-node-lost' }]);
    quietly(cluster);
  });

  it('stay through a drain, and go with drain --volumes', () => {
    const cluster = settledOn({ groups });
    const nodes = cluster.desired.nodes;
    edit(cluster, {
      nodes: nodes.map((node) => ({ ...node, drain: node.name === 'n001' ? 'yes' : 'no' })),
    });
    expect(run(cluster, 30_000)).toEqual([]);
    expect(cluster.lastPlan?.blocked).toMatchObject([{ why: 'volume-drain' }]);
    edit(cluster, {
      nodes: nodes.map((node) => ({ ...node, drain: node.name === 'n001' ? 'volumes' : 'no' })),
    });
    expect(actions(run(cluster, 30_000), 'stop')).toEqual(['90s stop shop/web/main[0] n001 drain']);
    quietly(cluster);
  });

  it('never have two live copies, whatever order says', () => {
    const update = { order: 'start-first' as const };
    const cluster = settledOn({ groups, update });
    deploy(cluster, { groups, update });
    expect(most(cluster, 180_000).most).toBe(3);
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });
});

describe('the guard', () => {
  it('holds a removed job until a person approves (8.1, 8.2)', () => {
    const cluster = settledOn();
    const [job] = cluster.desired.jobs;
    if (job === undefined) throw new Error('the cluster has a job');
    edit(cluster, { jobs: [{ ...job, standing: { kind: 'removed' } }] });
    expect(run(cluster, 30_000)).toEqual([]);
    expect(cluster.lastPlan?.guarded).toMatchObject([{ job: 'shop/web' }]);
    expect(cluster.lastPlan?.synced).toBe(false);
    const slots = cluster.lastPlan?.guarded[0]?.slots ?? [];
    edit(cluster, {
      approvals: [
        { kind: 'approval', id: 'a', by: 'ada', at: '', commit: '', slots, nodes: [], used: false },
      ],
    });
    const lines = run(cluster, 5_000);
    expect(actions(lines, 'stop')).toHaveLength(3);
    expect(copies(cluster)).toEqual([]);
    expect(actions(lines, 'record')).toHaveLength(1);
    expect(cluster.desired.approvals).toEqual([]);
    quietly(cluster);
  });
});

describe('a pinned port', () => {
  const groups = [{ ports: [{ name: 'http', port: 80, host: 80 }] }];

  it('goes stop-first behind the old copy where no node is free for a surge (5.2)', () => {
    const update = { order: 'start-first' as const };
    const cluster = settledOn({ groups, update });
    deploy(cluster, { groups, update });
    expect(most(cluster, 180_000)).toEqual({ most: 3, least: 2 });
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });
});

describe('a singleton', () => {
  it('never has two copies (9.3)', () => {
    const groups = [{ singleton: true, count: 1 }];
    const cluster = settledOn({ groups });
    deploy(cluster, { groups });
    expect(most(cluster, 60_000).most).toBe(1);
    expect(statusOf(cluster)).toBe('settled');
    quietly(cluster);
  });
});

describe('several jobs', () => {
  it('a renamed job keeps its old copies until the new ones have settled (8.1)', () => {
    const cluster = settledOn();
    const [old] = cluster.desired.jobs;
    if (old === undefined) throw new Error('the cluster has a job');
    const renamed = aJob({ name: 'shop', version: 'v1' });
    edit(cluster, {
      jobs: [{ ...old, standing: { kind: 'removed' } }, renamed],
      approvals: [
        {
          kind: 'approval',
          id: 'a',
          by: 'ada',
          at: '',
          commit: '',
          slots: [0, 1, 2].map((index) => `shop/web/main[${index}]`),
          nodes: [],
          used: false,
        },
      ],
    });
    const before = run(cluster, 9_000);
    expect(actions(before, 'stop')).toEqual([]);
    expect(actions(before, 'start')).toHaveLength(3);
    expect(cluster.lastPlan?.blocked).toMatchObject([
      { why: 'held', detail: 'it was renamed' },
      { why: 'rename', job: 'shop/web' },
    ]);
    expect(actions(run(cluster, 10_000), 'stop')).toHaveLength(3);
    quietly(cluster);
  });

  it('at most max_deployments roll at once, by priority; blocked ones do not count (5.6)', () => {
    const names = ['a', 'b', 'c'];
    const facts = { nodes: nodeNames(3).map((name) => aNode(name)) };
    const cluster = createCluster(
      desiredOf(
        names.map((name) => aJob({ name, version: 'v1' })),
        facts,
      ),
    );
    cluster.desired = {
      ...cluster.desired,
      cluster: { ...cluster.desired.cluster, maxDeployments: 1 },
    };
    run(cluster, 30_000);
    const rolls = (huge: string): void =>
      edit(cluster, {
        jobs: names.map((name) =>
          aJob({
            name,
            version: name === huge ? 'v3' : 'v2',
            from: { version: 'v1' },
            priority: name === 'b' ? 90 : 50,
            groups: [{ ask: { cpuMilli: name === huge ? 9_000 : 100, memoryBytes: 1 } }],
          }),
        ),
      });
    rolls('none');
    run(cluster, 2_000);
    expect(cluster.lastPlan?.deployments.map(({ job, status }) => `${job} ${status}`)).toEqual([
      'shop/b rolling',
      'shop/a waiting',
      'shop/c waiting',
    ]);
    rolls('b');
    run(cluster, 30_000);
    expect(cluster.lastPlan?.deployments[1]).toMatchObject({ job: 'shop/a', status: 'rolling' });
    quietly(cluster);
  });
});
