// A cluster in virtual time for scenarios of the planner: observe, plan and orders are real,
// runners are played.
// In: desired state and how each version behaves. Out: what happens, cycle by cycle, in words.
// Not here: expectations, the network, containers. Every plan is checked.

import { check } from '../../reconciler/plan/check.ts';
import { recorded } from '../../reconciler/plan/forecast.ts';
import { orders } from '../../reconciler/plan/orders.ts';
import { plan } from '../../reconciler/plan/plan.ts';
import { observe } from '../../reconciler/live/observe.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { Heard, LiveState } from '../../schema/live.ts';
import type {
  AllocationBody,
  AllocationReport,
  FailureRecord,
  FetchReport,
  NodeOrders,
  StopImage,
} from '../../schema/orders.ts';
import type { Plan, Proposal } from '../../schema/plan.ts';
import { GIB, nodeNames } from './world.ts';

/** How copies of a group version behave once started. */
export type Behaviour =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'never-healthy' }
  | { readonly kind: 'crashes'; readonly afterMs: number; readonly blame?: FailureRecord['blame'] };

interface Copy {
  readonly body: AllocationBody;
  readonly startedAt: number;
  readonly after: readonly string[];
  begun: number | null;
  stopAt: number | null;
  deadAt: number | null;
  failure: FailureRecord | null;
}

interface Runner {
  readonly name: string;
  connected: boolean;
  receivedAt: number;
  heard: boolean;
  sent: NodeOrders | null;
  accepted: number;
  copies: Map<string, { copy: Copy }>;
  last: ReturnType<typeof reportOf> | null;
  /** Digest → since when it cannot be fetched. */
  readonly unfetched: Map<string, number>;
}

export interface Cluster {
  desired: DesiredState;
  now: number;
  /** When the reconciler started. */
  startedAt: number;
  readonly runners: Map<string, Runner>;
  behave: (body: AllocationBody) => Behaviour;
  /** What becomes of an image that a node is told to fetch; null: it is there at once. */
  fetches: (image: StopImage, node: string) => Pick<FailureRecord, 'blame' | 'message'> | null;
  readonly proposals: Proposal[];
  /** One line a step that was taken: `12s start shop/web/main[0] n001 new`. */
  readonly log: string[];
  lastPlan: Plan | null;
  violations: string[];
}

const STOP_MS = 1_000;
const CAPACITY = { cpuMilli: 4_000, memoryBytes: 4 * GIB };

export const createCluster = (
  desired: DesiredState,
  behave: Cluster['behave'] = () => ({ kind: 'healthy' }),
): Cluster => {
  const names = new Set([...desired.nodes.map(({ name }) => name), ...nodeNames(0)]);
  return {
    desired,
    now: 0,
    startedAt: 0,
    behave,
    fetches: () => null,
    runners: new Map(
      [...names].map((name) => [
        name,
        {
          name,
          connected: true,
          heard: true,
          receivedAt: 0,
          sent: null,
          accepted: 0,
          copies: new Map(),
          last: null,
          unfetched: new Map(),
        },
      ]),
    ),
    proposals: [],
    log: [],
    lastPlan: null,
    violations: [],
  };
};

/** Goes on for so long, a cycle a second; returns the lines that were added to the log. */
export const run = (cluster: Cluster, forMs: number): readonly string[] => {
  const from = cluster.log.length;
  const until = cluster.now + forMs;
  while (cluster.now < until) {
    cycle(cluster);
    cluster.now += 1_000;
  }
  return cluster.log.slice(from);
};

/** One cycle: report, observe, plan, check, record, send, accept. */
export const cycle = (cluster: Cluster): Plan => {
  for (const runner of cluster.runners.values()) live(cluster, runner);
  const world = look(cluster);
  const made = plan(cluster.desired, world, cluster.now);
  for (const violation of check(made, world, cluster.desired)) {
    cluster.violations.push(
      `${cluster.now / 1000}s ${violation.rule} ${violation.subject}: ${violation.detail}`,
    );
  }
  for (const step of made.steps) {
    const what = step.kind === 'update' ? step.changes.join() : step.reason;
    cluster.log.push(`${cluster.now / 1000}s ${step.kind} ${step.slot} ${step.node} ${what}`);
  }
  record(cluster, made);
  const sets = orders(made, world, { cluster: 'test', commit: cluster.desired.commit.oid });
  for (const set of sets) accept(cluster, set);
  cluster.lastPlan = made;
  return made;
};

const look = (cluster: Cluster): LiveState => observe(heardBy(cluster), cluster.now);

/** Another reconciler takes over: it has heard from nobody. */
export const restart = (cluster: Cluster): void => {
  cluster.startedAt = cluster.now;
  for (const runner of cluster.runners.values()) {
    runner.last = null;
    runner.sent = null;
  }
};

export const heardBy = (cluster: Cluster): Heard => ({
  startedAt: cluster.startedAt,
  nodes: [...cluster.runners.values()].flatMap((runner) =>
    runner.last === null
      ? []
      : [
          {
            node: runner.name,
            report: runner.last,
            receivedAt: runner.receivedAt,
            connected: runner.connected,
            sent: runner.sent,
          },
        ],
  ),
});

const record = (cluster: Cluster, made: Plan): void => {
  for (const proposal of made.proposals) {
    if (proposal.kind === 'ledger') {
      cluster.desired = recorded(cluster.desired, proposal.records);
      for (const entry of proposal.records) {
        if (entry.kind !== 'synced')
          cluster.log.push(`${cluster.now / 1000}s record ${entry.kind}`);
      }
    } else if (
      proposal.kind === 'revert' &&
      !cluster.proposals.some(
        (one) => one.kind === 'revert' && one.deployment === proposal.deployment,
      )
    ) {
      cluster.log.push(`${cluster.now / 1000}s revert ${proposal.job}`);
      cluster.proposals.push(proposal);
    }
  }
};

const accept = (cluster: Cluster, set: NodeOrders): void => {
  const runner = cluster.runners.get(set.node);
  if (runner === undefined || !runner.connected) return;
  runner.sent = set;
  if (set.generation <= runner.accepted) return;
  runner.accepted = set.generation;
  const items = new Map(set.items.map((item) => [item.allocation, item]));
  for (const [id, { copy }] of runner.copies) {
    const item = items.get(id);
    if (item?.kind === 'run') runner.copies.set(id, { copy: { ...copy, body: item.body } });
    else if (copy.deadAt !== null && item === undefined) runner.copies.delete(id);
    else copy.stopAt ??= cluster.now + STOP_MS;
  }
  for (const item of set.items) {
    if (item.kind !== 'run' || runner.copies.has(item.allocation)) continue;
    const copy: Copy = {
      body: item.body,
      startedAt: cluster.now,
      after: item.after,
      begun: null,
      stopAt: null,
      deadAt: null,
      failure: null,
    };
    runner.copies.set(item.allocation, { copy });
  }
};

/** Time passes on a node, also while it is cut off. */
const live = (cluster: Cluster, runner: Runner): void => {
  for (const [id, { copy }] of runner.copies) {
    if (copy.stopAt !== null && copy.stopAt <= cluster.now) runner.copies.delete(id);
  }
  for (const { copy } of runner.copies.values()) {
    if (copy.begun === null && copy.after.every((id) => !runner.copies.has(id))) {
      copy.begun = cluster.now;
    }
    const behaviour = cluster.behave(copy.body);
    if (behaviour.kind !== 'crashes' || copy.begun === null || copy.deadAt !== null) continue;
    if (cluster.now - copy.begun < behaviour.afterMs) continue;
    copy.deadAt = cluster.now;
    copy.failure = {
      blame: behaviour.blame ?? 'version',
      kind: 'exit',
      task: 'main',
      message: 'exited with code 1',
      ageMs: 0,
    };
  }
  if (!runner.connected) return;
  runner.receivedAt = cluster.now;
  runner.last = reportOf(cluster, runner);
};

const reportOf = (cluster: Cluster, runner: Runner) => ({
  node: runner.name,
  cluster: 'test',
  acceptedGeneration: runner.accepted,
  acceptedCommit: '',
  acceptedHash: '',
  accepted: [...runner.copies.keys()].toSorted(compareText),
  capacity: CAPACITY,
  attributes: [],
  address: '127.0.0.1',
  allocations: [...runner.copies.values()]
    .map(({ copy }) => allocationReport(cluster, copy))
    .toSorted((a, b) => compareText(a.allocation, b.allocation)),
  foreign: 0,
  conditions: [],
  portsTaken: [],
  fetched: fetchedBy(cluster, runner),
});

const fetchedBy = (cluster: Cluster, { name, sent, unfetched }: Runner): readonly FetchReport[] => {
  const asked = sent?.fetch ?? [];
  for (const digest of unfetched.keys()) {
    if (!asked.some((image) => image.digest === digest)) unfetched.delete(digest);
  }
  return asked.map((image) => {
    const failure = cluster.fetches(image, name);
    if (failure === null) return { ...image, failure };
    const since = unfetched.get(image.digest) ?? cluster.now;
    unfetched.set(image.digest, since);
    return { ...image, failure: { ...failure, forMs: cluster.now - since } };
  });
};

const allocationReport = (cluster: Cluster, copy: Copy): AllocationReport => {
  const { body, begun, deadAt } = copy;
  const age = begun === null ? null : cluster.now - begun;
  const kind = cluster.behave(body).kind;
  const isHealthy = age !== null && kind !== 'never-healthy' && deadAt === null;
  const everHealthy = isHealthy && age >= body.minHealthyMs;
  return {
    allocation: body.allocation,
    body,
    phase:
      deadAt !== null
        ? 'dead'
        : copy.stopAt !== null
          ? 'stopping'
          : begun === null
            ? 'pending'
            : 'running',
    health:
      deadAt !== null || (age !== null && kind === 'never-healthy')
        ? 'unhealthy'
        : isHealthy
          ? 'healthy'
          : 'unproven',
    everHealthy,
    tasks: [],
    failure:
      copy.failure === null || deadAt === null
        ? null
        : { ...copy.failure, ageMs: cluster.now - deadAt },
    ports: [],
    address: null,
    usage: null,
    acceptedForMs: cluster.now - copy.startedAt,
    firstStartedForMs: age,
    runningForMs: deadAt === null ? age : null,
    healthyForMs: isHealthy ? age : null,
    firstHealthyForMs: everHealthy ? age - body.minHealthyMs : null,
    deadForMs: deadAt === null ? null : cluster.now - deadAt,
  };
};

/** Copies that run, by slot: `main[0] v2 n001`; `version` names a group hash. */
export const running = (
  cluster: Cluster,
  version: (body: AllocationBody) => string,
): readonly string[] =>
  [...cluster.runners.values()]
    .flatMap((runner) =>
      [...runner.copies.values()]
        .filter(({ copy }) => copy.begun !== null && copy.deadAt === null)
        .map(
          ({ copy }) => `${copy.body.job}[${copy.body.index}] ${version(copy.body)} ${runner.name}`,
        ),
    )
    .toSorted(compareText);
