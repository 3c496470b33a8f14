// What the simulator found in the planner: each told with the least that shows it.

import { describe, expect, it } from 'vitest';

import { check } from '../../../reconciler/plan/check.ts';
import { orders } from '../../../reconciler/plan/orders.ts';
import type { DesiredJob } from '../../../schema/desired.ts';
import type { LiveAllocation } from '../../../schema/live.ts';
import { plan } from '../../../reconciler/plan/plan.ts';
import { aCopy, aJob, desiredOf, liveOf, STARTING } from '../../support/world.ts';

describe('found by simulation', () => {
  it('a copy that has not started is named: by its failure at once, else after a while', () => {
    const job = aJob({ count: 1 });
    const pulling = aCopy(
      job,
      { node: 'n001', index: 0 },
      {
        ...STARTING,
        phase: 'pending',
        firstStartedForMs: null,
        runningForMs: null,
        acceptedForMs: 300_000,
        tasks: [
          {
            name: 'main',
            state: 'pulling',
            restarts: 0,
            health: 'unproven',
            lastCheck: null,
            exit: null,
            pid: null,
          },
        ],
      },
    );
    const young = { ...pulling, acceptedForMs: 299_000 };
    const reasons = (copy: typeof pulling) =>
      plan(desiredOf([job]), liveOf([copy]), 1_000_000).blocked.filter(
        (entry) => entry.kind === 'waiting' && entry.why === 'stalled',
      );
    expect(reasons(young)).toEqual([]);
    expect(reasons(pulling)).toMatchObject([
      {
        slot: 'shop/web/main[0]',
        detail: 'main[0] has not started on n001: the image of main is pulled',
      },
    ]);
    const message = 'host port 8083 (http) is in use on this node by nginx, process 812';
    const failure = { blame: 'platform', kind: 'network', task: null, message, ageMs: 0 } as const;
    expect(reasons({ ...young, failure })).toMatchObject([
      { slot: 'shop/web/main[0]', detail: `main[0] has not started on n001: ${message}` },
    ]);
  });

  it('a slot that waits for its volume takes no place in the rollout from another slot', () => {
    const volumes = [{ name: 'data', onLoss: 'wait' as const }];
    const words = { count: 2, groups: [{ volumes }] };
    const job = aJob({ ...words, version: 'v2', from: { version: 'v1' } });
    const home = { namespace: 'shop', job: 'web', volume: 'data', group: 'main' };
    const desired = desiredOf([job], {
      volumes: [
        { ...home, index: 0, node: 'gone' },
        { ...home, index: 1, node: 'n001' },
      ],
    });
    const { steps } = plan(desired, liveOf([]), 1_000_000);
    const started = steps.flatMap((step) =>
      step.kind === 'start' ? [[step.slot, step.body.specHash]] : [],
    );
    expect(started).toEqual([['shop/web/main[1]', job.spec.specHash]]);
  });

  it('a job can be stopped while its image is looked up, and the plan passes its check', () => {
    const before = aJob({ count: 2, version: 'v1' });
    const copies = [0, 1].map((index) => aCopy(before, { node: 'n001', index }, {}));
    const job = aJob({ count: 2, version: 'v2', from: { version: 'v1' } });
    const standing = { kind: 'held', why: 'unresolved image: r/web:2' } as const;
    const desired = desiredOf([{ ...job, standing, spec: { ...job.spec, stopped: true } }]);
    const live = liveOf(copies);
    const made = plan(desired, live, 1_000_000);
    expect(made.steps.map(({ kind }) => kind)).toEqual(['stop', 'stop']);
    expect(check(made, live, desired)).toEqual([]);
  });

  it('a singleton whose old copy stopped for the new one is not healed at the old version', () => {
    const words = { count: 1, groups: [{ singleton: true }] };
    const old = aJob({ ...words, version: 'v1' });
    const job = aJob({ ...words, version: 'v2', from: { version: 'v1' } });
    const dead = aCopy(old, { node: 'n001', index: 0 }, { phase: 'dead', health: 'unhealthy' });
    const { steps } = plan(desiredOf([job]), liveOf([dead]), 1_000_000);
    const started = steps.flatMap((step) => (step.kind === 'start' ? [step.body.specHash] : []));
    expect(started).toEqual([job.spec.specHash]);
  });

  it('while HEAD is not acted on a singleton’s copy that came back does not begin beside another', () => {
    const job = aJob({ count: 1, groups: [{ singleton: true }] });
    const runs = aCopy(job, { node: 'n001', index: 0 });
    const back = aCopy(job, { node: 'n002', index: 0 }, { ...STARTING, phase: 'pending' });
    const desired = desiredOf([job], { standing: { kind: 'stopped', why: 'no job is left' } });
    const stops = (...[copies, nodes]: Parameters<typeof liveOf>) =>
      plan(desired, liveOf(copies, nodes), 0).steps.map(({ kind, allocation }) => [
        kind,
        allocation,
      ]);
    expect(stops([runs, back])).toEqual([['stop', back.allocation]]);
    expect(stops([runs])).toEqual([]);
    expect(stops([back])).toEqual([]);
    // The other one has ended by its stop_after.
    const gone = { n001: { connected: false, silentForMs: 30_000 } };
    expect(stops([runs, back], gone)).toEqual([]);
  });

  it('of two copies of a singleton that were not seen to run either may: both end (9.3)', () => {
    const job = aJob({ count: 1, groups: [{ singleton: true }] });
    const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const came = aCopy(job, { node: 'n001', index: 0 }, pending);
    const ordered = aCopy(job, { node: 'n002', index: 0, attempt: 2 }, pending);
    const { steps } = plan(desiredOf([job]), liveOf([came, ordered]), 1_000_000);
    expect(steps).toMatchObject([
      { kind: 'stop', allocation: came.allocation, reason: 'duplicate' },
      { kind: 'stop', allocation: ordered.allocation, reason: 'duplicate' },
    ]);
  });

  it('a new copy on a drained node ends the old one before it moves', () => {
    const old = aJob({ count: 1, version: 'v1' });
    const job = aJob({ count: 1, version: 'v2', from: { version: 'v1' } });
    const copies = [
      aCopy(old, { node: 'n001', index: 0 }, {}),
      aCopy(job, { node: 'n002', index: 0 }, {}),
    ];
    const desired = desiredOf([job]);
    const nodes = desired.nodes.map((node) =>
      node.name === 'n002' ? { ...node, drain: 'yes' as const } : node,
    );
    const { steps } = plan({ ...desired, nodes }, liveOf(copies), 1_000_000);
    expect(steps).toMatchObject([{ kind: 'stop', node: 'n001', reason: 'rollout' }]);
  });

  it('a copy that never served its superseded version gives way to one on a drained node', () => {
    const settled = aJob({ count: 1, version: 'v1', update: { order: 'start-first' } });
    const between = aJob({ count: 1, version: 'v2' });
    const job = aJob({
      count: 1,
      version: 'v3',
      from: { version: 'v1' },
      update: { order: 'start-first' },
    });
    const pulling = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const copies = [
      aCopy(settled, { node: 'n001', index: 0 }, {}),
      aCopy(between, { node: 'n002', index: 0, attempt: 2 }, pulling),
    ];
    const desired = desiredOf([job]);
    const nodes = desired.nodes.map((node) =>
      node.name === 'n001' ? { ...node, drain: 'yes' as const } : node,
    );
    const { steps } = plan({ ...desired, nodes }, liveOf(copies), 1_000_000);
    expect(steps).toMatchObject([{ kind: 'stop', node: 'n002', reason: 'duplicate' }]);
  });

  it('in a new session a start still waits for the copy that leaves its slot (10.1, 14)', () => {
    const old = aJob({ count: 1, version: 'v1' });
    const job = aJob({ count: 1, version: 'v2', from: { version: 'v1' } });
    const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const leaving = aCopy(old, { node: 'n001', index: 0 }, { stopping: true });
    const coming = aCopy(job, { node: 'n001', index: 0, attempt: 2 }, pending);
    const live = liveOf([leaving, coming]);
    const made = plan(desiredOf([job]), live, 1_000_000);
    expect(made.steps).toEqual([]);
    const set = orders(made, live, { cluster: 'test', commit: 'c' }).find(
      ({ node }) => node === 'n001',
    );
    const run = set?.items.find(({ kind }) => kind === 'run');
    expect(run).toMatchObject({ allocation: coming.allocation, after: [leaving.allocation] });
  });

  it('a failed copy that never began is followed only when the one before it is gone (14)', () => {
    const words = { count: 1, groups: [{ volumes: [{ name: 'data', onLoss: 'wait' as const }] }] };
    const old = aJob({ ...words, version: 'v1' });
    const failed = { at: '2026-01-01T00:00:00.000Z', evidence: { reason: 'x', allocations: [] } };
    const job = aJob({ ...words, version: 'v2', from: { version: 'v1' } }, { failed });
    const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const live = liveOf([
      aCopy(old, { node: 'n001', index: 0 }, { stopping: true }),
      aCopy(job, { node: 'n001', index: 0, attempt: 2 }, pending),
    ]);
    const made = plan(desiredOf([job]), live, 1_000_000);
    expect(made.steps).toMatchObject([{ kind: 'stop', reason: 'failed-version' }]);
    expect(check(made, live, desiredOf([job]))).toEqual([]);
  });

  it('what a held file took away before it broke still waits for approval (8.1)', () => {
    const volumes = [{ name: 'data', onLoss: 'wait' as const }];
    const words = { groups: [{ volumes }] };
    const was = aJob({ ...words, count: 3 }, { settled: true });
    const copies = [0, 1, 2].map((index) => aCopy(was, { node: `n00${index + 1}`, index }));
    const held = { kind: 'held', why: 'jobs/shop/web.yaml is not valid at HEAD' } as const;
    const job = aJob({ ...words, count: 1 }, { settled: true, standing: held });
    const synced = new Map([[job.id, [{ name: 'main', min: 3, max: 3, value: 3 }]]]);
    const made = plan({ ...desiredOf([job]), synced }, liveOf(copies), 1_000_000);
    expect(made.steps).toEqual([]);
    expect(made.guarded).toMatchObject([
      { job: 'shop/web', slots: ['shop/web/main[1]', 'shop/web/main[2]'] },
    ]);
  });

  describe('a copy that never served its superseded version, while the next one is paused', () => {
    const pulling = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
    const planned = (
      facts: Partial<LiveAllocation>,
      singleton: boolean,
      standing: DesiredJob['standing'] = { kind: 'head' },
    ) => {
      const words = { count: 1, groups: [{ singleton }] };
      const between = aJob({ ...words, version: 'v2' });
      const update = { paused: true, order: 'start-first' } as const;
      const job = aJob({ ...words, version: 'v3', from: { version: 'v1' }, update }, { standing });
      const live = liveOf([aCopy(between, { node: 'n001', index: 0 }, facts)]);
      const made = plan(desiredOf([job]), live, 1_000_000);
      expect(check(made, live, desiredOf([job]))).toEqual([]);
      return { steps: made.steps, settled: job.fallback?.spec.specHash };
    };
    const stop = { kind: 'stop', node: 'n001', reason: 'rollout' };

    it('gives its slot back to the settled version (5.5, 5.6)', () => {
      const { steps, settled } = planned(pulling, false);
      const start = { kind: 'start', reason: 'fallback', body: { specHash: settled } };
      expect(steps).toMatchObject([stop, start]);
    });

    it('stops first where the slot is a singleton’s (9.3)', () => {
      expect(planned(pulling, true).steps).toMatchObject([stop]);
    });

    it('stays where it once was healthy', () => {
      expect(planned({}, false).steps).toEqual([]);
      expect(planned({ health: 'unhealthy' }, false).steps).toEqual([]);
    });

    it('stays where the job is held: nothing stops because something is not read (8.3)', () => {
      const held = { kind: 'held', why: 'unresolved image: r/web:3' } as const;
      expect(planned(pulling, false, held).steps).toEqual([]);
    });
  });
});

it('a singleton’s copy that does not run is not begun while a node was not heard from (9.3)', () => {
  const job = aJob(
    { groups: [{ count: 1, singleton: true, stopAfterMs: 10_000 }] },
    { settled: true },
  );
  const never = { acceptedForMs: 0, firstStartedForMs: null, runningForMs: null };
  const stopped = aCopy(
    job,
    { node: 'n001', index: 0 },
    { ...STARTING, ...never, phase: 'pending' },
  );
  const names = ['n001', 'n002'];
  const stepsAt = (upForMs: number, heard: readonly string[], copy = stopped) =>
    plan(desiredOf([job]), { ...liveOf([copy], {}, heard), upForMs }, 0).steps.map(
      ({ kind, node }) => `${kind} ${node}`,
    );
  // n003 may run what took its place while n001 was away.
  expect(stepsAt(1_000, names)).toEqual(['stop n001']);
  expect(stepsAt(1_000, ['n001', 'n002', 'n003'])).toEqual([]);
  expect(stepsAt(60_000, names)).toEqual([]);
  const runs = aCopy(job, { node: 'n001', index: 0 });
  expect(stepsAt(1_000, names, runs)).toEqual([]);
});

it('a stop that waits for an image is not taken back where pinned ports forced stop-first (5.2)', () => {
  const ports = [{ name: 'http', port: 80, host: 80 }];
  const words = { groups: [{ count: 3, ports }], update: { order: 'start-first' as const } };
  const old = aJob({ ...words, version: 'v1' });
  const job = aJob({ ...words, version: 'v2', from: { version: 'v1' } });
  const digest = { repository: 'registry/app', digest: 'sha256:1' };
  const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
  const copies = [0, 1, 2].map((index) => {
    const waits = index === 0 ? { stopping: true, stopWaits: [digest] } : {};
    return aCopy(old, { node: `n00${index + 1}`, index }, waits);
  });
  const next = aCopy(job, { node: 'n001', index: 0, attempt: 2 }, pending);
  const { steps } = plan(desiredOf([job]), liveOf([...copies, next]), 1_000_000);
  expect(steps.filter(({ kind }) => kind !== 'update')).toEqual([]);
});

it('a new copy that never served and is drained is begun anew elsewhere, beside the old one', () => {
  const old = aJob({ count: 1, version: 'v1' });
  const job = aJob({ count: 1, version: 'v2', from: { version: 'v1' } });
  const pending = { ...STARTING, phase: 'pending', firstStartedForMs: null } as const;
  const copies = [
    aCopy(old, { node: 'n001', index: 0 }, {}),
    aCopy(job, { node: 'n002', index: 0, attempt: 2 }, pending),
  ];
  const desired = desiredOf([job]);
  const nodes = desired.nodes.map((node) =>
    node.name === 'n002' ? { ...node, drain: 'yes' as const } : node,
  );
  const { steps } = plan({ ...desired, nodes }, liveOf(copies), 1_000_000);
  expect(steps.filter(({ kind }) => kind !== 'update')).toMatchObject([
    { kind: 'stop', node: 'n002', reason: 'drain' },
  ]);
});

it('a node that keeps its stream and says nothing is lost, and holds up no plan (9.1, 9.3)', () => {
  const groups = [{ count: 1, singleton: true, stopAfterMs: 10_000 }];
  const job = aJob({ groups }, { settled: true });
  const copy = aCopy(job, { node: 'n001', index: 0 });
  // Its disk hangs: pings are answered, and no report is made.
  const planned = (silentForMs: number) => {
    const live = liveOf([copy], { n001: { connected: true, silentForMs } });
    const made = plan(desiredOf([job]), live, 1_000_000);
    expect(check(made, live, desiredOf([job]))).toEqual([]);
    return made.steps.map(({ kind }) => kind);
  };
  expect(planned(29_000)).toEqual([]);
  expect(planned(30_000)).toEqual(['start']);
});
