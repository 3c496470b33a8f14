// What the success or failure of an action changes in the marks.
// In: a mark, the action that ended, how. Out: the mark.
// A failure that is the version's own counts as a failure of the task under `restart`; the
// platform's are noted, shown, and tried again (rules 6.1). Not here: the retries of platform
// failures (retry.ts), the facts themselves.

import type { FailureRecord } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { ProbeAnswer, RuntimeFailure } from '../ports.ts';
import { allocationOf, type Work } from './action.ts';
import { replaceTask, taskFailed } from './advance.ts';
import type { AllocationMark, TaskMark } from './inventory.ts';
import { imageName } from './inventory.ts';
import { gaveUp, lastTasks } from './order.ts';
import { answeredRoles, withAnswer } from './probe.ts';
import { SIGKILL } from './words.ts';

/** Longest failure message that is kept and reported. */
export const MESSAGE_CHARS = 500;

export const afterSuccess = (mark: AllocationMark, work: Work, now: Ms): AllocationMark => {
  switch (work.kind) {
    case 'start': {
      const task = taskOf(mark, work.place.task);
      if (task === null) return mark;
      const running: TaskMark = {
        ...task,
        run: 'open',
        runSince: now,
        everStarted: true,
        kill: null,
        checks: {},
      };
      const next = replaceTask(mark, running);
      return { ...next, healthySince: null, firstStartedAt: mark.firstStartedAt ?? now };
    }
    case 'kill': {
      const task = taskOf(mark, work.place.task);
      if (task === null || task.kill === null) return mark;
      const kill =
        work.signal === SIGKILL && work.all
          ? { ...task.kill, signalledAt: task.kill.signalledAt ?? now, forcedAt: now }
          : { ...task.kill, signalledAt: now };
      return replaceTask(mark, { ...task, kill });
    }
    case 'tear-down-network':
      return mark.stop === null ? mark : { ...mark, stop: { ...mark.stop, networkGone: true } };
    case 'discard-files':
      return mark.stop === null ? mark : { ...mark, stop: { ...mark.stop, filesGone: true } };
    case 'pull':
    case 'resolve-user':
    case 'set-up-network':
    case 'prepare':
    case 'create':
    case 'restart':
    case 'remove':
    case 'relabel':
    case 'probe':
    case 'remove-image':
    case 'remove-volume':
      return mark;
  }
};

export const afterProbe = (
  mark: AllocationMark,
  work: Extract<Work, { kind: 'probe' }>,
  result: { readonly answer: ProbeAnswer; readonly now: Ms },
): AllocationMark => {
  const task = taskOf(mark, work.place.task);
  const spec = mark.body.spec.tasks.find(({ name }) => name === work.place.task);
  // An answer that comes when the task has ended says nothing about the next run.
  if (task === null || spec === undefined || task.run !== 'open') return mark;
  const checks = { ...task.checks };
  for (const role of answeredRoles(spec.checks, work.role)) {
    const check = spec.checks[role];
    if (check === null) return mark;
    checks[role] = withAnswer(check, task, { role, ...result });
  }
  return replaceTask(mark, { ...task, checks });
};

export const afterFailure = (
  mark: AllocationMark,
  work: Work,
  result: { readonly failure: RuntimeFailure; readonly now: Ms },
): AllocationMark => {
  const { failure, now } = result;
  // Something changed under our hands: the next look decides, and nobody needs to be told.
  if (failure.consequence === 'stale') return mark;
  const message = failureMessage(failure, work).slice(0, MESSAGE_CHARS);
  const { blame } = failure;
  const kind = failureKind(failure, work);
  const tasks = tasksOf(mark, work);
  const last = lastTasks(mark).find(({ task }) => tasks.includes(task.name));
  if (last !== undefined) {
    return blame === 'version' ? replaceTask(mark, gaveUp(last.task, message, now)) : mark;
  }
  if (blame === 'platform' || mark.stop !== null || mark.deadAt !== null) {
    return { ...mark, failure: { blame, kind, task: tasks[0] ?? null, message, at: now } };
  }
  return tasks.reduce((next, task) => taskFailed(next, { blame, kind, task, message }, now), mark);
};

/**
 * The runtime's own words for a missing command are long and name a container; people look for the
 * command.
 */
const failureMessage = (failure: RuntimeFailure, work: Work): string => {
  if (failure.reason !== 'command-not-found' || work.kind !== 'create') return failure.message;
  const oci = work.ask.spec['process'] as { readonly args?: readonly string[] } | undefined;
  const command = oci?.args?.[0];
  return command === undefined
    ? 'neither the job nor the image names a command'
    : `command \`${command}\` not found in the image`;
};

const taskOf = (mark: AllocationMark, name: string): TaskMark | null =>
  mark.tasks.find((task) => task.name === name) ?? null;

/** Tasks of the allocation that the work was for. */
const tasksOf = (mark: AllocationMark, work: Work): readonly string[] => {
  switch (work.kind) {
    case 'create':
    case 'start':
    case 'restart':
    case 'kill':
    case 'probe':
      return [work.place.task];
    case 'pull':
      return usersOf(mark, work.name);
    case 'resolve-user':
      return usersOf(mark, work.image.name);
    case 'prepare':
    case 'set-up-network':
      return mark.tasks.map(({ name }) => name);
    case 'remove':
    case 'relabel':
    case 'tear-down-network':
    case 'discard-files':
    case 'remove-image':
    case 'remove-volume':
      return [];
  }
};

/**
 * Only tasks that still need the image: one that has its container does not suffer from a failed
 * pull.
 */
const usersOf = (mark: AllocationMark, image: string): readonly string[] =>
  mark.body.spec.tasks.filter((task) => imageName(task.image) === image).map(({ name }) => name);

/** Does this work concern this allocation? */
export const concerns = (mark: AllocationMark, work: Work): boolean => {
  if (work.kind === 'pull') return waits(mark, work.name);
  if (work.kind === 'resolve-user') return waits(mark, work.image.name);
  if (work.kind === 'remove' || work.kind === 'relabel') {
    return work.container.startsWith(`${mark.allocation}.`);
  }
  return allocationOf(work) === mark.allocation;
};

const waits = (mark: AllocationMark, image: string): boolean =>
  mark.stop === null &&
  mark.deadAt === null &&
  usersOf(mark, image).some((name) => taskOf(mark, name)?.run !== 'open');

const failureKind = (failure: RuntimeFailure, work: Work): FailureRecord['kind'] => {
  switch (failure.reason) {
    case 'image-not-found':
    case 'no-platform':
      return 'image-not-found';
    case 'registry':
    case 'login':
    case 'digest-mismatch':
      return 'registry';
    case 'command-not-found':
      return 'command-not-found';
    case 'bad-spec':
      return 'bad-spec';
    case 'disk':
      return 'disk';
    case 'network':
      return work.kind === 'pull' ? 'registry' : 'network';
    case 'not-found':
    case 'already-exists':
    case 'unavailable':
    case 'other':
      return 'runtime';
  }
};
