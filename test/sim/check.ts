// What must hold at every moment, whatever the faults (architecture, simulation; the numbers are of
// the rules).
// In: the truth, what people meant, and what the fakes let us see. Out: violations; the run ends at
// the first.
// Not here: what must hold once the faults have ended (settle.ts).

import type { View } from '../../reconciler/cycle.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import { slotName } from '../../schema/ids.ts';
import { kindOf } from '../../schema/lifecycle.ts';
import type { Ms } from '../../schema/spec.ts';
import { ordersHash } from '../../schema/wire.ts';
import type { RepoCommit } from './fake/git.ts';
import { DISK_MS, type Machine, type SimContainer } from './fake/machine.ts';
import { maxTotalOf, minHealthyOf, type JobDraft } from './drafts.ts';
import { inForce, resolvedDraft } from './human.ts';
import { staleness } from './fresh.ts';
import { allocationOf, idOf, tagOf, type Copy, type SimNode, type Truth } from './truth.ts';
import { seenBy, type CheckOptions, type Context } from './check-context.ts';
import { checkCountCommit, checkScaleDown } from './check-counts.ts';
import { checkIntroduced } from './check-deployments.ts';
import { createLifecycleCheck, type LifecycleCheck } from './check-lifecycle.ts';
import { checkFailed, checkRevert, checkStops } from './check-orders.ts';
import { checkFollowed, checkOrdered, checkOwnCounts } from './check-policies.ts';
import { createServicesCheck } from './check-services.ts';

export interface Violation {
  readonly at: Ms;
  readonly rule: string;
  readonly detail: string;
}

export interface Checker {
  readonly violations: readonly Violation[];
  readonly fail: (rule: string, detail: string) => void;
  /** Tasks with an order that began, by kind. */
  readonly tasks: LifecycleCheck['seen'];
  readonly started: (machine: Machine, container: SimContainer) => void;
  readonly ended: (machine: Machine, container: SimContainer) => void;
  /** Reconcilers that lead by a lease: one at most. */
  readonly leading: (names: readonly string[]) => void;
  readonly signalled: (machine: Machine, container: SimContainer) => void;
  /** The watchdog ends a task, while the runner works. */
  readonly watchdogActs: (machine: Machine, container: string) => void;
  /** Looks at what runners are told of services. */
  readonly services: () => void;
  readonly accepted: (node: string, before: NodeOrders | null, orders: NodeOrders) => void;
  readonly ordered: (orders: NodeOrders) => void;
  readonly recorded: (record: LedgerRecord) => void;
  readonly machineCommit: (commit: RepoCommit) => void;
  /** A reconciler has made a plan. */
  readonly saw: (view: View, reconciler: string) => void;
  /** A fault hit the node: what it does to the copies there excuses much for a while. */
  readonly disturbed: (node: string) => void;
}

/**
 * What was lost by a fault is excused for so long: it is noticed, replaced, and healthy again
 * within.
 */
const EXCUSED_MS: Ms = 60_000;
/** Orders made from what was meant then may still arrive. */
const STALE_INTENT_MS: Ms = 120_000;
/**
 * Restarts of one slot without new input: at most so many in that time (restart delay 3 s,
 * reschedule 5 s and up).
 */
const RESTART_WINDOW_MS: Ms = 60_000;
const MAX_STARTS = 10;
/** An order made from a report that called a copy unhealthy may be carried out so much later. */
const FREE_LATELY_MS: Ms = 30_000;

/** Each so-and-so-many-th plan is made again without memos; all of them would take twice the time. */
const FRESH_EVERY = 10;
/** What two reconcilers ordered against each other is put right, and lost nodes come back, within. */
const SHARED_LATELY_MS: Ms = 60_000;

export const createChecker = (options: CheckOptions): Checker => {
  const { truth, human } = options;
  const violations: Violation[] = [];
  const disturbances = new Map<string, Ms>();
  const starts = new Map<string, Ms[]>();
  let views = 0;
  const reverted = new Set<string>();
  const fail = (rule: string, detail: string): void => {
    violations.push({ at: truth.time.now(), rule, detail });
    truth.time.note(`VIOLATION ${rule}: ${detail}`);
  };
  const seen = {
    failedAt: new Map<string, Ms>(),
    ordered: new Set<string>(),
    stopped: new Set<string>(),
  };
  const past = { disturbances, starts, reverted, followed: new Map<string, string>() };
  const unseen = new Map<string, ReadonlySet<string>>();
  const tasks = createLifecycleCheck(truth, fail);
  const context: Context = { ...options, ...seen, ...past, unseen, fail };
  const services = createServicesCheck(context);
  return {
    violations,
    fail,
    tasks: tasks.seen,
    started: (machine, container) => {
      tasks.started(machine, container);
      const copy = copyOf(truth, machine, container);
      if (copy !== null) checkSingleton(context, copy);
      if (copy === null || !isMain(copy, container)) return;
      checkCapacity(context, copy.node);
      checkSurge(context, copy);
      checkRestarts(context, copy);
      checkHeld(context, copy);
      checkKnown(context, copy);
      checkVolume(context, copy);
    },
    ended: (machine, container) => {
      tasks.ended(machine, container);
      const copy = copyOf(truth, machine, container);
      if (copy !== null && isMain(copy, container))
        checkBudget(context, copy, wasWell(truth, container));
    },
    leading: (names) => {
      if (names.length > 1) fail('leaders', `${names.join(' and ')} lead at once`);
    },
    signalled: (machine, container) => {
      const copy = copyOf(truth, machine, container);
      if (copy !== null && isMain(copy, container)) services.signalled(copy);
    },
    watchdogActs: (machine, container) => checkWatchdog(context, machine, container),
    services: services.look,
    accepted: (node, before, orders) => checkGenerations(context, { node, before, orders }),
    ordered: (orders) => {
      checkOrdered(context, orders);
      checkScaleDown(context, orders);
      checkStops(context, orders);
      checkFailed(context, orders);
    },
    recorded: (record) => {
      if (record.kind === 'failed') context.failedAt.set(record.deployment, truth.time.now());
    },
    machineCommit: (commit) => {
      checkRevert(context, commit, human.repo.ledger);
      checkCountCommit(context, commit);
      checkOwnCounts(context, commit);
    },
    saw: (view, reconciler) => {
      views += 1;
      checkFollowed(context, reconciler, view);
      checkIntroduced(context, view);
      const stale = views % FRESH_EVERY === 0 ? staleness(view) : null;
      if (stale !== null) fail('memo', stale);
    },
    disturbed: (node) => disturbances.set(node, truth.time.now()),
  };
};

const copyOf = (truth: Truth, { name }: Machine, container: SimContainer): Copy | null => {
  const allocation = allocationOf(container);
  const node = truth.nodes.get(name);
  const body = allocation === null ? undefined : truth.bodies.get(allocation);
  if (allocation === null || node === undefined || body === undefined) return null;
  return { allocation, node, body, containers: [container] };
};

/** What the copy is there for; of the others check-lifecycle.ts says what must hold. */
const isMain = ({ allocation, body }: Copy, { id }: SimContainer): boolean =>
  body.spec.tasks.some((task) => kindOf(task) === 'main' && id === `${allocation}.${task.name}`);

const wasWell = ({ time }: Truth, { behaviour, startedAt }: SimContainer): boolean =>
  behaviour.healthyAfterMs !== null && time.now() - startedAt >= behaviour.healthyAfterMs;

/** What people meant by the job from the commit on that orders name, and lately. */
const recentDrafts = (context: Context, job: string, node: SimNode) => {
  const { human, truth } = context;
  const named = human.intents.findIndex(({ oid }) => oid === node.disk.orders?.commit);
  const since = truth.time.now() - STALE_INTENT_MS;
  // An intent holds until the next: the one before the window still counts.
  const lately = human.intents.findLastIndex(({ at }) => at <= since);
  const first = Math.max(0, Math.min(named < 0 ? 0 : named, lately < 0 ? 0 : lately));
  return human.intents.slice(first).flatMap((_, index) => {
    const draft = inForce(human.intents, first + index, job);
    return [draft, draft && (resolvedDraft(human, first + index, job) ?? draft)];
  });
};

/** Nothing runs that the machine has no room for. */
const checkCapacity = ({ truth, fail }: Context, node: SimNode): void => {
  const here = truth.running().filter((copy) => copy.node === node);
  const cpuMilli = here.reduce((sum, { body }) => sum + body.spec.ask.cpuMilli, 0);
  const memoryBytes = here.reduce((sum, { body }) => sum + body.spec.ask.memoryBytes, 0);
  if (cpuMilli <= node.cpuMilli && memoryBytes <= node.memoryBytes) return;
  fail('capacity', `${node.name} runs ${here.length} copies: ${cpuMilli}m, ${memoryBytes} bytes`);
};

/** 5.1: no more copies than count, surge and canaries, as far as one reconciler can see. */
const checkSurge = (context: Context, copy: Copy): void => {
  const { truth, human, unseen, fail } = context;
  const job = idOf(copy.body);
  const reconciler = seenBy(context, copy.node.name);
  if (reconciler === null) return;
  const copies = truth.copiesOf(job);
  const isSeen = ({ node }: Copy): boolean => seenBy(context, node.name) === reconciler;
  // One that begins again had its place when it first began: those that nobody saw then have come
  // back since, which is no surge (9.2).
  const before = unseen.get(copy.allocation);
  if (before === undefined) {
    const others = copies.filter((other) => !isSeen(other));
    unseen.set(copy.allocation, new Set(others.map(({ allocation }) => allocation)));
  }
  const seen = copies.filter((other) => isSeen(other) && before?.has(other.allocation) !== true);
  // All counts that were meant until then, each under the policy of then: the guard may hold a
  // scale-down back for as long as nobody approves (8.1).
  let [count, most] = [0, 0];
  for (const { intent } of human.intents) {
    const draft = intent.jobs.get(job);
    if (draft === undefined) continue;
    count = Math.max(count, draft.count);
    most = Math.max(most, maxTotalOf({ ...draft, count }));
  }
  if (seen.length <= most) return;
  const ids = seen.map(({ allocation, node }) => `${allocation}@${node.name}`).join(' ');
  fail('surge', `${job} has ${seen.length} copies where ${most} may be: ${ids}`);
};

/**
 * 9.3: never two, whatever is cut off, dead or late: stop_after, kept by the runner or by its
 * watchdog, ends sooner than its node counts as lost. The one excuse: two reconcilers that share the
 * nodes between them, since a runner whose reconciler answers has no reason to stop (docs/SCOPE.md);
 * on one node there are never two.
 */
const checkSingleton = (context: Context, { body, allocation, node }: Copy): void => {
  const { truth, links, fail } = context;
  if (!body.spec.singleton) return;
  const isShared = truth.time.now() - links.sharedAt() < SHARED_LATELY_MS;
  const slot = slotName(body);
  const other = truth
    .running()
    .find((copy) => copy.allocation !== allocation && slotName(copy.body) === slot);
  if (other === undefined || (isShared && other.node !== node)) return;
  fail(
    'singleton',
    `${allocation} runs on ${node.name} beside ${other.allocation} on ${other.node.name}`,
  );
};

/**
 * Rules 14 and 11: the home of a named volume is in the ledger before the slot first starts there,
 * one that waits for its node never moves, and two live copies never hold it at once.
 */
const checkVolume = ({ human, truth, fail }: Context, { body, allocation, node }: Copy): void => {
  if (body.spec.volumes.length === 0) return;
  const { namespace, job, index } = body;
  const homes = human.repo.ledger.flatMap((entry) =>
    entry.kind === 'volume' && entry.namespace === namespace && entry.job === job
      ? entry.index === index
        ? [entry.node]
        : []
      : [],
  );
  const slot = slotName(body);
  if (!homes.includes(node.name)) {
    fail('volume', `${slot} starts on ${node.name} before its volume's home was recorded there`);
  }
  const waits = body.spec.volumes.every(({ onLoss }) => onLoss === 'wait');
  if (waits && new Set(homes).size > 1) fail('volume', `${slot} moved: ${homes.join(', ')}`);
  const other = truth
    .running()
    .find((copy) => copy.allocation !== allocation && slotName(copy.body) === slot);
  if (other?.node === node) {
    fail('volume', `${allocation} and ${other.allocation} hold the volume of ${slot} at once`);
  }
};

/** A runner needs no longer to look at what it has, after whatever happened to it. */
const STEADY_MS: Ms = 15_000;

/** 9.3: a runner that works stops the group itself, in order; the watchdog is for when none does. */
const checkWatchdog = (context: Context, { name, faults }: Machine, container: string): void => {
  const { truth, disturbances, fail } = context;
  const calmMs = truth.time.now() - (disturbances.get(name) ?? Number.NEGATIVE_INFINITY);
  const isWell = faults.failBefore + faults.failAfter + faults.late === 0;
  if (isWell && faults.diskMs <= DISK_MS && calmMs > STEADY_MS) {
    fail('stop-after', `the watchdog of ${name} ends ${container}, and its runner works`);
  }
};

/** Nothing restarts faster than its delays allow. */
const checkRestarts = ({ truth, starts, fail }: Context, { body, node }: Copy): void => {
  const now = truth.time.now();
  const slot = `${slotName(body)} ${body.spec.hash.slice(0, 8)} ${node.name}`;
  const recent = (starts.get(slot) ?? []).filter((at) => now - at < RESTART_WINDOW_MS);
  starts.set(slot, [...recent, now]);
  if (recent.length < MAX_STARTS) return;
  fail('restarts', `${slot} started ${recent.length + 1} times in ${RESTART_WINDOW_MS} ms`);
};

/** 1.3: what a broken file says is not rolled out, since nobody can know what it says. */
const checkHeld = ({ human, truth, fail }: Context, { body, node }: Copy): void => {
  const from = human.intents.findIndex(({ oid }) => oid === node.disk.orders?.commit);
  const jobs = human.intents.slice(Math.max(0, from)).map(({ intent }) => intent.jobs);
  const drafts = jobs.map((each) => each.get(idOf(body)));
  const brokenAll = drafts.every((draft) => draft?.broken === true);
  if (from < 0 || !brokenAll) return;
  const allowed = new Set(
    human.intents.flatMap(({ intent }) => imagesOf(intent.jobs.get(idOf(body)))),
  );
  const images = body.spec.tasks.map(({ image }) => tagOf(image.reference));
  const foreign = images.find((tag) => !allowed.has(tag));
  if (foreign !== undefined)
    fail('held', `${body.allocation} runs ${foreign} at ${truth.time.now()}`);
};

/** Invariant 6: nothing runs that was never committed. */
const checkKnown = ({ human, fail }: Context, { body, allocation }: Copy): void => {
  const known = new Set(
    human.intents.flatMap(({ intent }) => imagesOf(intent.jobs.get(idOf(body)))),
  );
  const unknown = body.spec.tasks.find(({ image }) => !known.has(tagOf(image.reference)));
  if (unknown === undefined) return;
  fail('unknown', `${allocation} runs ${unknown.image.reference}, which no commit asked for`);
};

const imagesOf = (draft: JobDraft | undefined): readonly string[] =>
  draft === undefined || draft.broken ? [] : [`v${draft.version}`];

/**
 * 5, 4.2: an ordered stop never takes the last healthy copies, unless faults alone took the others.
 */
const checkBudget = (context: Context, copy: Copy, well: boolean): void => {
  const { truth, fail } = context;
  const job = idOf(copy.body);
  const now = truth.time.now();
  // stop_after acts by itself when the node's clock jumps, its link is cut, or no reconciler is
  // there to acknowledge (9.3).
  const disturbedAt = context.disturbances.get(copy.node.name) ?? Number.NEGATIVE_INFINITY;
  const since = Math.max(disturbedAt, context.links.session(copy.node.name)?.since ?? now);
  const alone = copy.body.spec.stopAfterMs > 0 && now - since < EXCUSED_MS;
  const ordered = truth.orderedToStop(copy.node, copy.allocation) && !alone;
  if (!ordered || !copy.node.machine.powered()) {
    if (well) truth.losses.push({ at: now, job, allocation: copy.allocation });
    return;
  }
  if (!well || wasFree(truth, copy.allocation)) return;
  const least = Math.min(...recentDrafts(context, job, copy.node).map(minHealthyOf));
  const others = truth.copiesOf(job).filter(({ allocation }) => allocation !== copy.allocation);
  const healthy = others.filter(truth.well).length;
  const lost = new Set(
    truth.losses
      .filter((loss) => loss.job === job && now - loss.at < EXCUSED_MS)
      .map(({ allocation }) => allocation),
  );
  if (healthy + lost.size >= least) return;
  fail(
    'budget',
    `${copy.allocation} of ${job} was stopped on ${copy.node.name} with ${healthy} healthy ` +
      `others and ${lost.size} lost, where ${least} must stay`,
  );
};

/** 4.2: unhealthy and never healthy ones are free to stop, in what was reported lately. */
const wasFree = ({ freeAt, time }: Truth, allocation: string): boolean =>
  time.now() - (freeAt.get(allocation) ?? Number.NEGATIVE_INFINITY) < FREE_LATELY_MS;

interface Acceptance {
  readonly node: string;
  readonly before: NodeOrders | null;
  readonly orders: NodeOrders;
}

/** Invariant 5. */
const checkGenerations = ({ fail }: Context, { node, before, orders }: Acceptance): void => {
  if (before === null || orders.generation > before.generation) return;
  const same = orders.generation === before.generation && ordersHash(orders) === ordersHash(before);
  if (!same) {
    fail('generations', `${node} accepted ${orders.generation} after ${before.generation}`);
  }
};
