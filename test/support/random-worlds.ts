// Random worlds for the laws: a played cluster that was run for a while under random jobs, versions
// and faults.
// In: a seed's choices (fast-check). Out: desired state, what was heard, the time. Not here: the
// laws.

import fc from 'fast-check';
import { observe } from '../../reconciler/live/observe.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import type { Heard, LiveState } from '../../schema/live.ts';
import { createCluster, heardBy, run, type Behaviour, type Cluster } from './virtual-cluster.ts';
import { aJob, aNode, desiredOf, nodeNames, type JobWords } from './world.ts';

export interface World {
  readonly desired: DesiredState;
  readonly heard: Heard;
  readonly live: LiveState;
  readonly now: number;
  /** What check() found in all the plans on the way here. */
  readonly violations: readonly string[];
}

interface JobChoice {
  readonly count: number;
  readonly cpuMilli: number;
  readonly order: 'stop-first' | 'start-first';
  readonly copies: number;
  readonly canary: number;
  readonly autoPromote: boolean;
  readonly held: boolean;
  readonly behaviour: 'healthy' | 'never-healthy' | 'crashes' | 'platform';
  readonly change: 'none' | 'version' | 'count' | 'paused';
  readonly twoGroups: boolean;
  readonly pinned: boolean;
  readonly priority: number;
}

const jobChoice: fc.Arbitrary<JobChoice> = fc.record({
  count: fc.integer({ min: 0, max: 6 }),
  cpuMilli: fc.constantFrom(100, 700, 1_900),
  order: fc.constantFrom('stop-first', 'start-first'),
  copies: fc.integer({ min: 1, max: 3 }),
  canary: fc.integer({ min: 0, max: 2 }),
  autoPromote: fc.boolean(),
  held: fc.boolean(),
  behaviour: fc.constantFrom('healthy', 'healthy', 'never-healthy', 'crashes', 'platform'),
  change: fc.constantFrom('none', 'version', 'version', 'version', 'count', 'paused'),
  twoGroups: fc.boolean(),
  pinned: fc.boolean(),
  priority: fc.integer({ min: 1, max: 3 }),
});

interface WorldChoice {
  readonly nodes: number;
  readonly jobs: readonly JobChoice[];
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly cut: number | null;
  readonly drain: number | null;
  readonly laterMs: number;
}

const worldChoice: fc.Arbitrary<WorldChoice> = fc.record({
  nodes: fc.integer({ min: 1, max: 6 }),
  jobs: fc.array(jobChoice, { minLength: 1, maxLength: 3 }),
  beforeMs: fc.constantFrom(0, 15_000, 60_000),
  afterMs: fc.integer({ min: 0, max: 60 }).map((seconds) => seconds * 1_000),
  cut: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 3 }),
  drain: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 3 }),
  laterMs: fc.integer({ min: 0, max: 3_000 }),
});

const wordsOf = (choice: JobChoice, index: number): JobWords => {
  const ports = choice.pinned && index === 0 ? [{ name: 'http', port: 80, host: 80 }] : [];
  const ask = { cpuMilli: choice.cpuMilli, memoryBytes: 1_000_000 };
  return {
    name: `job${index}`,
    priority: choice.priority,
    groups: [
      { name: 'main', count: choice.count, ask, ports },
      ...(choice.twoGroups ? [{ name: 'side', count: 1 }] : []),
    ],
    update: {
      order: choice.order,
      maxParallel: { kind: 'count', copies: choice.copies },
      canary: choice.canary,
      autoPromote: choice.autoPromote,
      healthyDeadlineMs: 20_000,
    },
  };
};

const changed = (choice: JobChoice, before: DesiredJob, words: JobWords): DesiredJob => {
  const held = choice.held
    ? { standing: { kind: 'held', why: 'the file is invalid' } as const }
    : {};
  switch (choice.change) {
    case 'none':
      return { ...before, ...held };
    case 'count': {
      const groups = (words.groups ?? []).map((group) => ({ ...group, count: choice.count + 1 }));
      return { ...aJob({ ...words, groups }), settled: before.settled, ...held };
    }
    case 'version':
    case 'paused': {
      const from = before.settled ? { from: { version: 'v1' } } : {};
      const update = { ...words.update, paused: choice.change === 'paused' };
      return aJob({ ...words, ...from, update, version: 'v2' }, held);
    }
  }
};

const behaviourOf = (choice: JobChoice | undefined): Behaviour => {
  switch (choice?.behaviour) {
    case 'never-healthy':
      return { kind: 'never-healthy' };
    case 'crashes':
      return { kind: 'crashes', afterMs: 3_000 };
    case 'platform':
      return { kind: 'crashes', afterMs: 3_000, blame: 'platform' };
    case 'healthy':
    case undefined:
      return { kind: 'healthy' };
  }
};

const worldOf = (choice: WorldChoice): World => {
  const names = nodeNames(choice.nodes);
  const words = choice.jobs.map(wordsOf);
  const jobs = words.map((one) => aJob({ ...one, version: 'v1' }));
  const cluster = createCluster(desiredOf(jobs, { nodes: names.map((name) => aNode(name)) }));
  run(cluster, choice.beforeMs);
  const old = new Set(jobs.flatMap((job) => job.spec.groups.map((group) => group.hash)));
  cluster.behave = (body) =>
    old.has(body.spec.hash)
      ? { kind: 'healthy' }
      : behaviourOf(choice.jobs.find((_, i) => words[i]?.name === body.job));
  change(cluster, choice, words);
  run(cluster, choice.afterMs);
  cluster.now += choice.laterMs;
  const heard = heardBy(cluster);
  const { desired, now } = cluster;
  return { desired, heard, live: observe(heard, now), now, violations: cluster.violations };
};

const change = (cluster: Cluster, choice: WorldChoice, words: readonly JobWords[]): void => {
  const names = nodeNames(choice.nodes);
  cluster.desired = {
    ...cluster.desired,
    nodes: names.map((name, i) => aNode(name, { drain: i === choice.drain ? 'yes' : 'no' })),
    jobs: cluster.desired.jobs.map((job, i) => {
      const [one, its] = [choice.jobs[i], words[i]];
      return one === undefined || its === undefined ? job : changed(one, job, its);
    }),
  };
  const runner = cluster.runners.get(names[choice.cut ?? -1] ?? '');
  if (runner !== undefined) runner.connected = false;
};

export const worlds: fc.Arbitrary<World> = worldChoice.map(worldOf);
