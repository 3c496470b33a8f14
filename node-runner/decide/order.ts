// Whose turn it is among the tasks of a copy (rules 15, docs/decisions/task-lifecycle.md).
// In: a mark, and what is being done. Out: who may start, who is still needed, and the last tasks:
// when their time began, and what their end means. Everything is read from marks and containers at
// each look, so a runner that was killed goes on where it was. Not here: starting (start.ts),
// signals (stop.ts), what waits for what (schema/lifecycle.ts).

import { containerId } from '../../schema/ids.ts';
import { isPoststop, kindOf, orderOf, runsToEnd } from '../../schema/lifecycle.ts';
import type { ExitRecord } from '../../schema/orders.ts';
import type { Ms, TaskSpec } from '../../schema/spec.ts';
import { formatDuration } from '../../schema/units.ts';
import { containerKey } from './action.ts';
import type { AllocationMark, Inventory, KillMark, TaskMark } from './inventory.ts';
import { taskHealth } from './probe.ts';
import { goneAfterMs } from './stop-after.ts';
import { exitFailure, SIGKILL } from './words.ts';

/**
 * A copy whose poststop task failed stays in the reports for so long, with nothing left of it: a
 * report goes out 100 ms after a change, or 500 ms with 2,000 copies on the node.
 */
export const TOLD_MS: Ms = 2000;

const LAPSED =
  'it was not run, as another copy of this singleton may run by now: no reconciler was heard for too long';

/**
 * Whether the replacement of a singleton's copy may run: what is left of this one then runs no
 * more, its poststop tasks included (rules 9.3). What this life has not heard of yet, the marks and
 * the last contact say.
 */
export const withLapse = (
  mark: AllocationMark,
  { contactAt, unheardMs }: Pick<Inventory, 'contactAt' | 'unheardMs'>,
  look: { readonly isWanted: boolean; readonly now: Ms },
): AllocationMark => {
  const { spec } = mark.body;
  if (!spec.singleton || !spec.tasks.some(isPoststop)) return mark;
  const goneMs = goneAfterMs(spec);
  const silentMs = contactAt === null ? Number.POSITIVE_INFINITY : look.now - contactAt;
  const heardOnce = Number.isFinite(unheardMs);
  if (silentMs >= goneMs || (heardOnce && unheardMs >= goneMs)) {
    return mark.lapsed === true ? mark : { ...mark, lapsed: true };
  }
  if (mark.lapsed !== true || !look.isWanted || unheardMs >= goneMs) return mark;
  const { lapsed: _before, ...rest } = mark;
  return rest;
};

/** May this task be started, now that the copy should run? */
export const mayStart = (mark: AllocationMark, spec: TaskSpec, task: TaskMark): boolean => {
  const order = orderOf(mark.body.spec.tasks);
  if (order === null) return true;
  if (isPoststop(spec) || task.completed === true) return false;
  return (order.startsAfter.get(spec.name) ?? []).every((name) => isThere(mark, name));
};

/** Completed, or running and healthy: what waits for it may start. */
const isThere = (mark: AllocationMark, name: string): boolean => {
  const position = mark.tasks.findIndex((task) => task.name === name);
  const [task, spec] = [mark.tasks[position], mark.body.spec.tasks[position]];
  if (task === undefined || spec === undefined) return true;
  if (runsToEnd(spec)) return task.completed === true;
  return task.run === 'open' && taskHealth(spec, task) === 'healthy';
};

/** Does something that must end first still run, or may it yet? */
export const isNeeded = (mark: AllocationMark, name: string, inventory: Inventory): boolean => {
  const after = orderOf(mark.body.spec.tasks)?.stopsAfter.get(name) ?? [];
  return after.some((other) => isUnderWay(mark, other, inventory));
};

const isUnderWay = (mark: AllocationMark, name: string, inventory: Inventory): boolean =>
  mark.tasks.some((task) => task.name === name && task.run === 'open') ||
  inventory.inFlight.has(containerKey(containerId(mark.allocation, name)));

/**
 * Poststop tasks get their turn when all others have ended, and when those that they name have.
 * Their time begins then; one that has not even started when it is over is given up.
 */
export const withTurns = (mark: AllocationMark, inventory: Inventory, now: Ms): AllocationMark => {
  if (mark.stop === null && mark.deadAt === null) return mark;
  const specs = mark.body.spec.tasks;
  if (!specs.some(isPoststop) || !hasRun(mark)) return mark;
  const others = specs.filter((spec) => !isPoststop(spec));
  if (others.some(({ name }) => isUnderWay(mark, name, inventory))) return mark;
  const tasks = mark.tasks.map((task, position): TaskMark => {
    const spec = specs[position];
    if (spec === undefined || !isPoststop(spec) || task.completed === true) return task;
    if (mark.lapsed === true && !isUnderWay(mark, spec.name, inventory)) {
      return gaveUp(task, LAPSED, now);
    }
    if (task.turnAt === undefined) {
      const befores = orderOf(specs)?.startsAfter.get(spec.name) ?? [];
      return befores.every((name) => isThere(mark, name)) ? { ...task, turnAt: now } : task;
    }
    const isOver = now >= task.turnAt + spec.killTimeoutMs;
    if (!isOver || isUnderWay(mark, spec.name, inventory)) return task;
    const message = `could not be started within ${formatDuration(spec.killTimeoutMs)}`;
    return gaveUp(task, message, now);
  });
  return tasks.every((task, at) => task === mark.tasks[at]) ? mark : { ...mark, tasks };
};

/** Nothing ever ran: there is nothing to clean up after. */
const hasRun = (mark: AllocationMark): boolean =>
  mark.firstStartedAt !== null || mark.tasks.some(({ everStarted }) => everStarted);

/** Its last word, whatever it was: a copy that stops does not wait for anything else. */
export const gaveUp = (task: TaskMark, message: string, now: Ms): TaskMark => ({
  ...task,
  run: 'ended',
  runSince: null,
  completed: true,
  trouble: { message, at: now },
});

/** A poststop task ended: it is never started again. Why the copy is dead stays as it is. */
export const lastEnded = (
  mark: AllocationMark,
  end: { readonly spec: TaskSpec; readonly task: TaskMark; readonly exit: ExitRecord },
  now: Ms,
): AllocationMark => {
  const { spec, task, exit } = end;
  const isLate = exit.signal === SIGKILL && exit.cause === 'ordered';
  const why = isLate
    ? `did not end within ${formatDuration(spec.killTimeoutMs)}`
    : exitFailure(spec, exit, null).message;
  const isGood = exit.status === 'known' && exit.code === 0;
  const last = isGood ? { ...task, completed: true as const } : gaveUp(task, why, now);
  return { ...mark, tasks: mark.tasks.map((one) => (one.name === task.name ? last : one)) };
};

/** SIGKILL when its time is over: it was told how long it has. */
export const limitOf = (spec: TaskSpec, task: TaskMark): KillMark | null => {
  const { turnAt } = task;
  if (turnAt === undefined) return null;
  const timeoutMs = spec.killTimeoutMs;
  return { cause: 'ordered', signalAt: turnAt, timeoutMs, signalledAt: turnAt, forcedAt: null };
};

/** Poststop tasks whose turn has come and that have not ended, with the end of their time. */
export const lastTasks = (
  mark: AllocationMark,
): readonly { readonly spec: TaskSpec; readonly task: TaskMark; readonly until: Ms }[] =>
  mark.body.spec.tasks.flatMap((spec, position) => {
    const task = mark.tasks[position];
    if (!isPoststop(spec) || task?.turnAt === undefined || task.completed === true) return [];
    return [{ spec, task, until: task.turnAt + spec.killTimeoutMs }];
  });

/** Do poststop tasks still have to run before the copy is over? */
export const isEnding = (mark: AllocationMark): boolean =>
  (mark.stop !== null || mark.deadAt !== null) &&
  hasRun(mark) &&
  mark.body.spec.tasks.some(
    (spec, position) => isPoststop(spec) && mark.tasks[position]?.completed !== true,
  );

/** Until when what is left of a copy is kept to be told; null: there is nothing to tell. */
export const toldAt = (mark: AllocationMark): Ms | null => {
  const instants = mark.tasks.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble.at]));
  return instants.length === 0 ? null : Math.max(...instants) + TOLD_MS;
};

/**
 * Marks were lost, and a main task has its container: it was made when all that it waits for was
 * there, so the prestart tasks have succeeded.
 */
export const adoptCompleted = (
  mark: AllocationMark,
  inventory: Pick<Inventory, 'containers'>,
): AllocationMark => {
  const specs = mark.body.spec.tasks;
  const hasMain = specs.some(
    (spec) =>
      kindOf(spec) === 'main' && inventory.containers.has(containerId(mark.allocation, spec.name)),
  );
  if (!hasMain || !specs.some(({ lifecycle }) => lifecycle === 'prestart')) return mark;
  const tasks = mark.tasks.map((task, position): TaskMark =>
    specs[position]?.lifecycle === 'prestart'
      ? { ...task, run: 'ended', everStarted: true, completed: true }
      : task,
  );
  return { ...mark, tasks };
};
