// What a mark becomes when time passes and facts change: ends, backoff, death, stops, streaks of
// health. In: a mark, what is wanted of its allocation, the containers, now. Out: the mark, the
// same value if nothing changed. Not here: what is done next (start.ts, stop.ts), what an action's
// success or failure changes (outcome.ts).

import { containerId } from '../../schema/ids.ts';
import type { AllocationBody, FailureRecord } from '../../schema/orders.ts';
import { isPoststop, runsToEnd } from '../../schema/lifecycle.ts';
import type { Ms, TaskSpec } from '../../schema/spec.ts';
import { containerKey } from './action.ts';
import type {
  AllocationMark,
  ContainerFacts,
  Inventory,
  KillMark,
  StopMark,
  TaskMark,
} from './inventory.ts';
import { fatalCheck, groupHealth, taskHealth } from './probe.ts';
import { isNeeded, lastEnded, limitOf, withLapse, withTurns } from './order.ts';
import { restartVerdict } from './restart.ts';
import { exitFailure, exitRecord } from './words.ts';

/** What the orders say about one allocation. */
export type Want =
  | { readonly kind: 'run'; readonly body: AllocationBody; readonly after: readonly string[] }
  | {
      readonly kind: 'stop';
      readonly reason: StopMark['reason'];
      readonly killTimeoutMs: Ms | null;
    };

export const advance = (
  mark: AllocationMark,
  want: Want,
  inventory: Inventory,
  now: Ms,
): AllocationMark => {
  let next = mark;
  if (want.kind === 'run' && want.body !== next.body) next = { ...next, body: want.body };
  if (want.kind === 'stop' && next.stop === null) next = { ...next, stop: newStop(want, now) };
  for (const [position, task] of next.tasks.entries()) {
    const id = containerId(next.allocation, task.name);
    // While something is being done to the container its state is about to change: look again
    // afterwards.
    if (inventory.inFlight.has(containerKey(id))) continue;
    next = observeTask(next, position, { container: inventory.containers.get(id), now });
  }
  next = withLapse(next, inventory, { isWanted: want.kind === 'run', now });
  return withHealth(withKills(withTurns(next, inventory, now), inventory, now), now);
};

const newStop = (want: Extract<Want, { kind: 'stop' }>, now: Ms): StopMark => ({
  reason: want.reason,
  since: now,
  killTimeoutMs: want.killTimeoutMs,
  networkGone: false,
  filesGone: false,
});

interface Seen {
  readonly container: ContainerFacts | undefined;
  readonly now: Ms;
}

const observeTask = (mark: AllocationMark, position: number, seen: Seen): AllocationMark => {
  const task = mark.tasks[position];
  if (task === undefined) return mark;
  const state = seen.container?.task ?? 'none';
  switch (state) {
    case 'running':
    case 'paused':
      return task.run === 'open' ? mark : adopted(mark, task, seen.now);
    case 'created':
      return mark;
    case 'stopped':
      return task.run === 'ended' && !hasSucceeded(mark, task, seen)
        ? mark
        : ended(mark, task, seen);
    case 'none':
      return task.run === 'open' ? ended(mark, task, seen) : mark;
  }
};

/**
 * containerd says that it came to its end, and the marks know only of a run before: they were not
 * written in time.
 */
const hasSucceeded = (mark: AllocationMark, task: TaskMark, { container }: Seen): boolean => {
  const spec = specOf(mark, task.name);
  const exit = container?.exit ?? null;
  const isOpen = spec !== undefined && runsToEnd(spec) && task.completed !== true;
  return isOpen && exit !== null && exit.known && exit.code === 0;
};

/**
 * It runs and the marks do not say so: they were lost, or not written in time. It is taken as it
 * is.
 */
const adopted = (
  mark: AllocationMark,
  { completed: _before, ...task }: TaskMark,
  now: Ms,
): AllocationMark => ({
  ...replaceTask(mark, { ...task, run: 'open', runSince: now, everStarted: true, kill: null }),
  firstStartedAt: mark.firstStartedAt ?? now,
});

const ended = (mark: AllocationMark, task: TaskMark, seen: Seen): AllocationMark => {
  const spec = specOf(mark, task.name);
  if (spec === undefined) return mark;
  const exit = exitRecord(seen.container?.exit ?? null, {
    outOfMemory: seen.container?.outOfMemory ?? false,
    kill: task.kill,
  });
  const check = fatalCheck(spec.checks, task)?.message ?? null;
  const done: TaskMark = {
    ...task,
    run: 'ended',
    runSince: null,
    everStarted: true,
    exit,
    kill: null,
    checks: {},
  };
  const after = replaceTask({ ...mark, healthySince: null }, done);
  if (isPoststop(spec)) return lastEnded(after, { spec, task: done, exit }, seen.now);
  if (runsToEnd(spec) && exit.status === 'known' && exit.code === 0) {
    return replaceTask(after, { ...done, completed: true });
  }
  if (mark.stop !== null || mark.deadAt !== null || exit.cause === 'ordered') return after;
  return taskFailed(after, exitFailure(spec, exit, check), seen.now);
};

/**
 * One failure of a task under the group's restart rules: backoff, or the allocation is dead. What
 * the version is not to blame for is tried again after the same delay and never counted.
 */
export const taskFailed = (
  mark: AllocationMark,
  failure: Omit<FailureRecord, 'ageMs'>,
  now: Ms,
): AllocationMark => {
  const failed: AllocationMark = { ...mark, failure: { ...failure, at: now } };
  const task = mark.tasks.find(({ name }) => name === failure.task);
  if (task === undefined) return failed;
  const { restart } = mark.body.spec;
  const ended: TaskMark = { ...task, run: 'ended', runSince: null };
  if (failure.blame === 'platform') {
    return replaceTask(failed, {
      ...ended,
      restarts: task.restarts + 1,
      startAt: now + restart.delayMs,
    });
  }
  const verdict = restartVerdict(restart, task.restartTimes, now);
  if (verdict.kind === 'dead') return { ...replaceTask(failed, ended), deadAt: now };
  return replaceTask(failed, {
    ...ended,
    restarts: task.restarts + 1,
    restartTimes: verdict.restartTimes,
    startAt: verdict.startAt,
  });
};

export const replaceTask = (mark: AllocationMark, task: TaskMark): AllocationMark => ({
  ...mark,
  tasks: mark.tasks.map((other) => (other.name === task.name ? task : other)),
});

const specOf = (mark: AllocationMark, name: string): TaskSpec | undefined =>
  mark.body.spec.tasks.find((spec) => spec.name === name);

/** Running tasks that must end get a kill: stopping, dead, or a check that demands it. */
const withKills = (mark: AllocationMark, inventory: Inventory, now: Ms): AllocationMark => {
  let next = mark;
  for (const task of mark.tasks) {
    if (task.run !== 'open' || task.kill?.cause === 'ordered') continue;
    const kill = killFor(mark, task, { inventory, now });
    if (kill !== null && kill !== task.kill) next = replaceTask(next, { ...task, kill });
  }
  return next;
};

const killFor = (
  mark: AllocationMark,
  task: TaskMark,
  { inventory, now }: { readonly inventory: Inventory; readonly now: Ms },
): KillMark | null => {
  const spec = specOf(mark, task.name);
  if (spec === undefined) return null;
  const ends = mark.stop !== null || mark.deadAt !== null;
  if (isPoststop(spec)) return limitOf(spec, task);
  if (ends && isNeeded(mark, task.name, inventory)) return task.kill;
  const fresh = { signalledAt: null, forcedAt: null, timeoutMs: spec.killTimeoutMs };
  if (mark.stop !== null) {
    const signalAt = mark.stop.since + mark.body.spec.shutdownDelayMs;
    const timeoutMs = Math.min(mark.stop.killTimeoutMs ?? Infinity, spec.killTimeoutMs);
    return { ...fresh, cause: 'ordered', signalAt, timeoutMs };
  }
  // The group is dead with one of its tasks: half a copy serves nobody and would hold what it asks
  // for.
  if (mark.deadAt !== null) return { ...fresh, cause: 'ordered', signalAt: now };
  if (task.kill !== null) return task.kill;
  return fatalCheck(spec.checks, task) === null
    ? null
    : { ...fresh, cause: 'check', signalAt: now };
};

/** No task of it runs, as far as is known. */
export const noneRuns = (mark: AllocationMark): boolean =>
  mark.tasks.every(({ run }) => run !== 'open');

/** The health of the whole copy. */
export const markHealth = (mark: AllocationMark): ReturnType<typeof groupHealth> => {
  if (mark.deadAt !== null) return 'unhealthy';
  const living = mark.body.spec.tasks.filter((spec) => !isPoststop(spec));
  const healths = living.map((spec) => {
    const task = mark.tasks.find(({ name }) => name === spec.name);
    return task === undefined ? ('unproven' as const) : taskHealth(spec, task);
  });
  return groupHealth(healths);
};

/**
 * Streaks: unproven neither begins nor ends one, so that a runner's restart does not cost a copy
 * its age.
 */
const withHealth = (mark: AllocationMark, now: Ms): AllocationMark => {
  const health = markHealth(mark);
  if (health === 'unhealthy') {
    return mark.healthySince === null ? mark : { ...mark, healthySince: null };
  }
  if (health === 'unproven') return mark;
  const healthySince = mark.healthySince ?? now;
  const proven = mark.firstHealthyAt === null && now - healthySince >= mark.body.minHealthyMs;
  if (healthySince === mark.healthySince && !proven) return mark;
  return { ...mark, healthySince, firstHealthyAt: proven ? now : mark.firstHealthyAt };
};
