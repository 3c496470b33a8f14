// Worlds in a few words: desired and live state for tests of the planner.
// In: short descriptions with defaults. Out: schema values. Not here: expectations.

import type { DesiredJob, DesiredState, ExpectedNode } from '../../schema/desired.ts';
import { hashOf } from '../../schema/hash.ts';
import { compareText, deploymentId } from '../../schema/ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { FailureRecord } from '../../schema/orders.ts';
import type { GroupSpec, JobSpec, TaskSpec, UpdateSpec } from '../../schema/spec.ts';
import { makeBody } from '../../reconciler/plan/body.ts';
import { group, task } from './bodies.ts';

export const MIN_HEALTHY_MS = 10_000;
export const GIB = 1_073_741_824;

export const aTask = (fields: Partial<TaskSpec> = {}): TaskSpec =>
  task({
    name: 'main',
    image: { reference: 'app:1', repository: 'registry/app', digest: 'sha256:1' },
    memoryBytes: 100_000_000,
    killTimeoutMs: 5_000,
    ...fields,
  });

/** The group's hash follows from `version` unless it is given. */
export const aGroup = (
  changes: Partial<GroupSpec> & { readonly version?: string } = {},
): GroupSpec => {
  const { version, ...fields } = changes;
  const tasks = fields.tasks ?? [aTask()];
  return group({
    name: 'main',
    hash: hashOf([fields.name ?? 'main', version ?? 'v1']),
    count: 3,
    restart: { attempts: 2, intervalMs: 60_000, delayMs: 1_000, mode: 'fail' },
    reschedule: {
      delayMs: 5_000,
      delayFunction: 'constant',
      maxDelayMs: 60_000,
      unlimited: true,
      attempts: 0,
    },
    tasks,
    ask: {
      cpuMilli: tasks.reduce((total, one) => total + one.cpuMilli, 0),
      memoryBytes: tasks.reduce((total, one) => total + one.memoryBytes, 0),
    },
    ...fields,
  });
};

export const anUpdate = (update: Partial<UpdateSpec> = {}): UpdateSpec => ({
  maxParallel: { kind: 'count', copies: 1 },
  order: 'stop-first',
  canary: 0,
  autoPromote: false,
  autoRevert: true,
  minHealthyMs: MIN_HEALTHY_MS,
  healthyDeadlineMs: 300_000,
  progressDeadlineMs: 600_000,
  maxFailures: 2,
  paused: false,
  promote: null,
  ...update,
});

export interface JobWords {
  readonly name?: string;
  readonly namespace?: string;
  readonly version?: string;
  readonly groups?: readonly (Partial<GroupSpec> & { readonly version?: string })[];
  readonly update?: Partial<UpdateSpec>;
  readonly priority?: number;
  readonly stopped?: boolean;
  readonly count?: number;
}

export const aSpec = (words: JobWords = {}): JobSpec => {
  const { name = 'web', namespace = 'shop', version = 'v1' } = words;
  const groups = (words.groups ?? [{}]).map((group) => {
    const made = aGroup({
      version,
      ...(words.count === undefined ? {} : { count: words.count }),
      ...group,
    });
    return words.stopped === true ? { ...made, count: 0 } : made;
  });
  return {
    id: `${namespace}/${name}`,
    namespace,
    job: name,
    type: 'service',
    priority: words.priority ?? 50,
    stopped: words.stopped ?? false,
    update: anUpdate(words.update),
    specHash: hashOf(groups.map((group) => [group.name, group.hash])),
    groups: groups.toSorted((a, b) => compareText(a.name, b.name)),
  };
};

export const aCommit = (name: string): DesiredJob['commit'] => ({
  oid: hashOf(['commit', name]).slice(0, 40),
  author: 'Ada',
  email: 'ada@example.org',
  subject: `Deploy ${name}`,
});

/** A job at HEAD; `from` is the settled version that it replaces. */
export const aJob = (
  words: JobWords & { readonly from?: JobWords } = {},
  facts: Partial<DesiredJob> = {},
): DesiredJob => {
  const spec = aSpec(words);
  const commit = aCommit(words.version ?? 'v1');
  const was = words.from === undefined ? null : aSpec({ ...words, ...words.from });
  const wasCommit = aCommit(words.from?.version ?? 'v0');
  return {
    id: spec.id,
    file: `jobs/${spec.id}.yaml`,
    spec,
    standing: { kind: 'head' },
    deployment: deploymentOf(spec, commit.oid),
    commit,
    settled: false,
    failed: null,
    reverted: null,
    isRollback: false,
    fallback:
      was === null
        ? null
        : { spec: was, deployment: deploymentOf(was, wasCommit.oid), commit: wasCommit },
    revert:
      was === null
        ? { kind: 'impossible', why: 'no version of the job has settled' }
        : {
            kind: 'possible',
            commit: wasCommit.oid,
            specHash: was.specHash,
            edits: [{ path: `jobs/${spec.id}.yaml`, content: 'old', base: 'blob' }],
          },
    unresolved: null,
    lines: new Map(),
    ...facts,
  };
};

const deploymentOf = (spec: JobSpec, commit: string): string =>
  deploymentId({
    cluster: 'test',
    namespace: spec.namespace,
    job: spec.job,
    specHash: spec.specHash,
    commit,
  });

export const aNode = (name: string, node: Partial<ExpectedNode> = {}): ExpectedNode => ({
  name,
  labels: [],
  pool: null,
  drain: 'no',
  ...node,
});

export const nodeNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `n${String(i + 1).padStart(3, '0')}`);

export const desiredOf = (
  jobs: readonly DesiredJob[],
  facts: Partial<DesiredState> = {},
): DesiredState => ({
  cluster: {
    name: 'test',
    maxDeployments: 5,
    lostAfterMs: 30_000,
    allowEmpty: false,
    ownApproval: true,
    registries: [],
    hostPaths: [],
  },
  branch: 'main',
  commit: aCommit('head'),
  lastSynced: aCommit('head').oid,
  standing: { kind: 'ok' },
  namespaces: [{ name: 'shop', protected: false, quota: null, evidence: 'codes' }],
  nodes: nodeNames(3).map((name) => aNode(name)),
  jobs,
  volumes: [],
  approvals: [],
  problems: [],
  owed: [],
  ...facts,
});

/** An allocation that runs and is healthy for a minute, unless said otherwise. */
export const aCopy = (
  job: DesiredJob,
  where: {
    readonly node: string;
    readonly index: number;
    readonly attempt?: number;
    readonly group?: string;
  },
  facts: Partial<LiveAllocation> = {},
): LiveAllocation => {
  const name = where.group ?? 'main';
  const group = job.spec.groups.find((one) => one.name === name) ?? aGroup({ name });
  const version = {
    cluster: 'test',
    spec: job.spec,
    deployment: job.deployment,
    commit: job.commit.oid,
    settled: job.settled,
  };
  const body = makeBody(version, group, {
    index: where.index,
    attempt: where.attempt ?? 1,
    node: where.node,
  });
  return {
    allocation: body.allocation,
    body,
    phase: 'running',
    health: 'healthy',
    everHealthy: true,
    tasks: [],
    failure: null,
    ports: [],
    address: null,
    usage: null,
    acceptedForMs: 60_000,
    firstStartedForMs: 60_000,
    runningForMs: 60_000,
    healthyForMs: 60_000,
    firstHealthyForMs: 50_000,
    deadForMs: null,
    node: where.node,
    standing: 'reported',
    stopping: false,
    ...facts,
  };
};

/** The job as it was at its fallback's version, settled: to make old copies of. */
export const settledBefore = (job: DesiredJob): DesiredJob => {
  if (job.fallback === null) throw new Error('the job has no version before');
  const { spec, deployment, commit } = job.fallback;
  return { ...job, spec, deployment, commit, settled: true, fallback: null };
};

export const aFailure = (failure: Partial<FailureRecord> = {}): FailureRecord => ({
  blame: 'version',
  kind: 'exit',
  task: 'main',
  message: 'exited with code 1',
  ageMs: 1_000,
  ...failure,
});

/** Dead by its own fault. */
export const DEAD: Partial<LiveAllocation> = {
  phase: 'dead',
  health: 'unhealthy',
  everHealthy: false,
  failure: aFailure(),
  healthyForMs: null,
  firstHealthyForMs: null,
  runningForMs: null,
  deadForMs: 1_000,
};

/** Just started, no result yet. */
export const STARTING: Partial<LiveAllocation> = {
  health: 'unproven',
  everHealthy: false,
  acceptedForMs: 1_000,
  firstStartedForMs: 1_000,
  runningForMs: 1_000,
  healthyForMs: null,
  firstHealthyForMs: null,
};

export const aLiveNode = (name: string, facts: Partial<LiveNode> = {}): LiveNode => ({
  name,
  connected: true,
  silentForMs: 0,
  capacity: { cpuMilli: 4_000, memoryBytes: 4 * GIB },
  attributes: [['node.arch', 'amd64']],
  address: '127.0.0.1',
  acceptedGeneration: 1,
  acceptedCommit: '',
  generation: 1,
  sent: null,
  allocations: [],
  portsTaken: [],
  foreign: 0,
  conditions: [],
  fetched: [{ repository: 'registry/app', digest: 'sha256:1', failure: null }],
  ...facts,
});

/** Nodes n001.. with their copies; `nodes` overrides what is known of a node. */
export const liveOf = (
  copies: readonly LiveAllocation[],
  nodes: Readonly<Record<string, Partial<LiveNode>>> = {},
  names: readonly string[] = nodeNames(3),
): LiveState => ({
  upForMs: 3_600_000,
  nodes: names.map((name) =>
    aLiveNode(name, {
      ...nodes[name],
      allocations: copies
        .filter((copy) => copy.node === name)
        .toSorted((a, b) => compareText(a.allocation, b.allocation)),
    }),
  ),
});
