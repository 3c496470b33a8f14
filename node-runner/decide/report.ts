// What the node says about itself: facts and ages, no instants, no meaning.
// In: the inventory, the accepted orders, what was measured, now. Out: a NodeReport.
// Stopping and dead allocations are in it until nothing of them is left. Not here: sending
// (edge/link), what a report means (reconciler/live).

import { compareText, containerId, VOLUME_FOLDER_PATTERN } from '../../schema/ids.ts';
import { isPoststop, runsToEnd } from '../../schema/lifecycle.ts';
import type {
  AllocationPhase,
  AllocationReport,
  Health,
  NodeOrders,
  NodeReport,
  TaskReport,
  TaskState,
} from '../../schema/orders.ts';
import type { Ms, Resources, TaskSpec } from '../../schema/spec.ts';
import { ordersHash } from '../../schema/wire.ts';
import { imageKey } from './action.ts';
import { markHealth, noneRuns } from './advance.ts';
import { ownLabels } from './decide.ts';
import { fetchReports } from './fetch.ts';
import { diskIsFull } from './gc.ts';
import type { AllocationMark, Inventory, TaskMark } from './inventory.ts';
import { imageName } from './inventory.ts';
import type { CheckLog, FailureLog } from './log-lines.ts';
import { neverHealthy, quotable } from './log-lines.ts';
import { newMark } from './marks.ts';
import { isEnding } from './order.ts';
import { MESSAGE_CHARS } from './outcome.ts';
import { lastCheck, taskHealth } from './probe.ts';
import { waitingStops } from './stop-waits.ts';
import { sizeText } from './words.ts';

/** What is measured now and then, beside the inventory. */
export interface Measured {
  /** By allocation. */
  readonly usage: ReadonlyMap<string, Resources>;
  /** By allocation. */
  readonly logs: ReadonlyMap<string, FailureLog>;
  /** By allocation. */
  readonly checkLogs: ReadonlyMap<string, CheckLog>;
  /** What containerd said when it last failed to answer; null when it answers. */
  readonly runtimeSilent: string | null;
  /** Why Consul does not know the copies of this node; null: it does, or is not asked to. */
  readonly unregistered: string | null;
  /** Sentence about orders that were refused, null when the newest were accepted. */
  readonly refused: string | null;
  /** Since when copies have been looked at without a gap. */
  readonly watchedSince: Ms;
}

export const nodeReport = (
  orders: NodeOrders | null,
  inventory: Inventory,
  about: { readonly measured: Measured; readonly now: Ms },
): NodeReport => {
  const { node } = inventory;
  const ours = new Set(
    [...inventory.marks.values()].flatMap(({ ports }) => (ports ?? []).map(({ host }) => host)),
  );
  const strangers = [...inventory.portsTaken]
    .filter((port) => !ours.has(port))
    .toSorted((a, b) => a - b);
  const holders = strangers.flatMap((port): readonly (readonly [number, string])[] => {
    const holder = inventory.portHolders.get(port);
    return holder === undefined ? [] : [[port, holder]];
  });
  const waiting = waitingStops(orders, inventory).allocations;
  return {
    node: node.node,
    cluster: node.cluster,
    acceptedGeneration: orders?.generation ?? 0,
    acceptedCommit: orders?.commit ?? '',
    acceptedHash: orders === null ? '' : hashOnce(orders),
    accepted: (orders?.items ?? []).map(({ allocation }) => allocation),
    capacity: node.capacity,
    attributes: node.attributes,
    address: node.address,
    allocations: [...inventory.marks.values(), ...unbegun(orders, inventory, about.now)]
      .toSorted((a, b) => compareText(a.allocation, b.allocation))
      .map((mark) => {
        const report = allocationReport(mark, inventory, about);
        const stopWaits = waiting.get(mark.allocation);
        return stopWaits === undefined ? report : { ...report, stopWaits };
      }),
    foreign: [...inventory.containers.values()].filter(
      (container) => ownLabels(container, inventory) === null,
    ).length,
    conditions: conditions(inventory, about.measured),
    portsTaken: strangers,
    ...(holders.length === 0 ? {} : { portHolders: holders.slice(0, HOLDERS) }),
    ...(inventory.volumes === null ? {} : { volumes: foldersOf(inventory.volumes) }),
    ...(orders?.fetch === undefined ? {} : { fetched: fetchReports(orders, inventory, about.now) }),
  };
};

/** Ports with their holders; more than this nobody reads. */
const HOLDERS = 500;

const FOLDER = new RegExp(VOLUME_FOLDER_PATTERN);

/** What else lies there (`lost+found` of a disk of its own) is not ours. */
const foldersOf = (names: ReadonlySet<string>): readonly string[] =>
  [...names].filter((name) => FOLDER.test(name)).toSorted(compareText);

/**
 * Accepted and not looked at yet: pending, so that nothing accepted is ever silent (rules 10.1).
 */
const unbegun = (
  orders: NodeOrders | null,
  { marks }: Inventory,
  now: Ms,
): readonly AllocationMark[] =>
  (orders?.items ?? []).flatMap((item) =>
    item.kind === 'run' && !marks.has(item.allocation) ? [newMark(item.body, now)] : [],
  );

/** Orders are immutable and their hash is asked for with every report. */
const hashes = new WeakMap<NodeOrders, string>();
const hashOnce = (orders: NodeOrders): string => {
  const known = hashes.get(orders) ?? ordersHash(orders);
  hashes.set(orders, known);
  return known;
};

const conditions = (inventory: Inventory, measured: Measured): NodeReport['conditions'] => {
  const found: { readonly kind: string; readonly message: string }[] = [];
  if (measured.runtimeSilent !== null) {
    found.push({
      kind: 'runtime',
      message: `containerd does not answer: ${measured.runtimeSilent}`,
    });
  }
  if (diskIsFull(inventory) && inventory.disk !== null) {
    const free = sizeText(inventory.disk.freeBytes);
    const reserve = sizeText(inventory.node.diskReserveBytes);
    const message = `disk almost full: ${free} free, ${reserve} needed before images are pulled`;
    found.push({ kind: 'disk', message });
  }
  if (measured.unregistered !== null) {
    found.push({ kind: 'consul', message: measured.unregistered });
  }
  if (measured.refused !== null) found.push({ kind: 'orders', message: measured.refused });
  return found.map(({ kind, message }) => ({ kind, message: message.slice(0, MESSAGE_CHARS) }));
};

const allocationReport = (
  mark: AllocationMark,
  inventory: Inventory,
  { measured, now }: { readonly measured: Measured; readonly now: Ms },
): AllocationReport => {
  const age = (at: Ms | null): Ms | null => (at === null ? null : Math.max(0, now - at));
  const health = markHealth(mark);
  const phase = phaseOf(mark);
  const { body, failure } = mark;
  return {
    allocation: mark.allocation,
    body,
    phase,
    health,
    ...(health === 'unproven' && mark.healthySince !== null ? { wasHealthy: true as const } : {}),
    everHealthy: mark.firstHealthyAt !== null,
    tasks: body.spec.tasks.map((spec, position) => ({
      ...taskReport({ mark, spec, task: mark.tasks[position] }, inventory),
      ...checkLogOf(mark, spec.name, measured),
    })),
    failure: failure && {
      blame: failure.blame,
      kind: failure.kind,
      task: failure.task,
      message: failure.message,
      ageMs: Math.max(0, now - failure.at),
      ...logOf(mark, measured),
    },
    ports: mark.ports ?? [],
    address: body.spec.networkMode === 'none' ? null : inventory.node.address,
    usage: measured.usage.get(mark.allocation) ?? null,
    acceptedForMs: Math.max(0, now - mark.acceptedAt),
    firstStartedForMs: age(judgedFrom(mark, measured)),
    runningForMs: age(runningSince(mark)),
    healthyForMs: health === 'healthy' ? age(mark.healthySince) : null,
    firstHealthyForMs: age(mark.firstHealthyAt),
    deadForMs: phase === 'dead' ? age(mark.deadAt) : null,
  };
};

/**
 * What nobody watched is not held against a copy that was never healthy: it may have been, and the
 * deadlines for it begin anew (rules 6.1). null: not started.
 */
const judgedFrom = (
  { firstStartedAt, firstHealthyAt }: AllocationMark,
  { watchedSince }: Measured,
): Ms | null =>
  firstStartedAt === null || firstHealthyAt !== null
    ? firstStartedAt
    : Math.max(firstStartedAt, watchedSince);

/** Asked of the body each time: what was read before counts no more once it is not allowed. */
const logOf = (mark: AllocationMark, { logs }: Measured): { readonly log?: readonly string[] } => {
  const failure = quotable(mark);
  const read = failure === null ? undefined : logs.get(mark.allocation);
  const isOfIt = read !== undefined && read.at === failure?.at && read.lines.length > 0;
  return isOfIt ? { log: read.lines } : {};
};

/** As above: while it is allowed, and true. */
const checkLogOf = (
  mark: AllocationMark,
  task: string,
  { checkLogs }: Measured,
): { readonly log?: readonly string[] } => {
  const read = checkLogs.get(mark.allocation);
  if (read?.task !== task || read.lines.length === 0) return {};
  return neverHealthy(mark) === task ? { log: read.lines } : {};
};

/**
 * `running`: at least one task runs; `pending` covers what comes before a start, backoff included.
 * `dead` means that nothing runs any more, the poststop tasks included: what follows may begin
 * elsewhere (rules 9.3, 14).
 */
const phaseOf = (mark: AllocationMark): AllocationPhase => {
  if (mark.stop !== null) return 'stopping';
  if (mark.deadAt !== null) return noneRuns(mark) && !isEnding(mark) ? 'dead' : 'running';
  return noneRuns(mark) ? 'pending' : 'running';
};

/** Since all tasks run that do not run to their end. */
const runningSince = (mark: AllocationMark): Ms | null => {
  let latest: Ms | null = null;
  for (const [position, { run, runSince }] of mark.tasks.entries()) {
    const spec = mark.body.spec.tasks[position];
    if (spec !== undefined && runsToEnd(spec)) continue;
    if (run !== 'open' || runSince === null) return null;
    latest = latest === null ? runSince : Math.max(latest, runSince);
  }
  return latest;
};

const taskReport = (
  look: {
    readonly mark: AllocationMark;
    readonly spec: TaskSpec;
    readonly task: TaskMark | undefined;
  },
  inventory: Inventory,
): TaskReport => {
  const { mark, spec, task } = look;
  const container = inventory.containers.get(containerId(mark.allocation, spec.name));
  const health: Health = task === undefined ? 'unproven' : taskHealth(spec, task);
  return {
    name: spec.name,
    state: task === undefined ? 'pending' : taskState(look.mark, { spec, task }, inventory),
    restarts: task?.restarts ?? 0,
    health: mark.deadAt === null || task?.completed === true ? health : 'unhealthy',
    lastCheck: task === undefined ? null : lastCheck(task),
    exit: task?.exit ?? null,
    pid: task?.run === 'open' ? (container?.pid ?? null) : null,
  };
};

const taskState = (
  mark: AllocationMark,
  { spec, task }: { readonly spec: TaskSpec; readonly task: TaskMark },
  inventory: Inventory,
): TaskState => {
  if (task.completed === true) return task.trouble === undefined ? 'completed' : 'dead';
  if (isPoststop(spec) && task.run !== 'ended') return task.run === 'open' ? 'running' : 'pending';
  if (mark.stop !== null) return task.run === 'open' ? 'stopping' : 'dead';
  if (task.run === 'open') return task.kill === null ? 'running' : 'stopping';
  if (mark.deadAt !== null) return 'dead';
  if (task.run === 'ended') return 'backoff';
  return inventory.inFlight.has(imageKey(imageName(spec.image))) ? 'pulling' : 'pending';
};
