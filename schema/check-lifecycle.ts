// Whether the order of a group's tasks can be kept: `lifecycle` and `depends_on`.
// In: the tasks of a group as written. Out: findings. Once there are none, the order has no circle.
// Not here: the order itself (lifecycle.ts), how long a stop may take (reconciler/desired/policy).

import type { Finding } from './findings.ts';
import { kindOf, runsToEnd, type TaskKind } from './lifecycle.ts';
import { joinWords, nearest } from './wording.ts';
import type { WrittenTask } from './written-job.ts';

/** Most tasks of a group that has an order: what waits for what is still seen at a glance. */
export const MAX_ORDERED_TASKS = 100;

export const checkLifecycle = (tasks: readonly WrittenTask[]): readonly Finding[] => {
  const ordered = tasks.find(({ task }) => (task.lifecycle ?? task.depends_on) !== undefined);
  if (ordered === undefined) return [];
  if (tasks.length > MAX_ORDERED_TASKS) {
    const field = ordered.task.lifecycle === undefined ? 'depends_on' : 'lifecycle';
    const message = `The group has ${tasks.length} tasks: with an order it may have ${MAX_ORDERED_TASKS}.`;
    const advice = 'Leave `lifecycle` and `depends_on` out, or make several groups of it.';
    const pointer = `${ordered.pointer}/${field}`;
    return [{ pointer, at: 'key', code: 'value-range', message, advice }];
  }
  return [
    ...checkMain(tasks),
    ...tasks.flatMap((task) => [...checkEnds(task), ...checkNames(task, tasks)]),
    ...checkCircles(tasks),
  ];
};

/** What a kind may be made to wait for; the rest runs later anyway. */
const MAY_WAIT_FOR: Readonly<Record<TaskKind, readonly TaskKind[]>> = {
  prestart: ['prestart', 'sidecar'],
  sidecar: ['prestart', 'sidecar'],
  main: ['prestart', 'sidecar', 'main'],
  poststart: ['prestart', 'sidecar', 'main', 'poststart'],
  poststop: ['poststop'],
};

const checkMain = (tasks: readonly WrittenTask[]): readonly Finding[] => {
  const [first] = tasks;
  if (first === undefined || tasks.some(({ task }) => kindOf(task) === 'main')) return [];
  const message =
    'All tasks of the group have a `lifecycle`: there is none that they are there for.';
  return [{ pointer: `${first.pointer}/lifecycle`, at: 'key', code: 'lifecycle-no-main', message }];
};

const checkEnds = ({ name, task, pointer }: WrittenTask): readonly Finding[] => {
  if (!runsToEnd(task)) return [];
  return (['checks', 'healthcheck'] as const)
    .filter((field) => task[field] !== undefined)
    .map((field) => ({
      pointer: `${pointer}/${field}`,
      at: 'key',
      code: 'lifecycle-checks',
      message: `Task \`${name}\` is a ${kindOf(task)} task and runs to its end: \`${field}\` would ask nobody.`,
    }));
};

const checkNames = (
  { name, task, pointer }: WrittenTask,
  tasks: readonly WrittenTask[],
): readonly Finding[] =>
  (task.depends_on ?? []).flatMap((before, index): readonly Finding[] => {
    const place = { pointer: `${pointer}/depends_on/${index}`, at: 'value' as const };
    const other = tasks.find((one) => one.name === before);
    if (other === undefined) {
      const names = tasks.map((one) => one.name).filter((one) => one !== name);
      const close = nearest(before, names);
      const message = `Task \`${name}\` waits for \`${before}\`, which the group does not have.`;
      const advice =
        close === null
          ? names.length === 0
            ? 'Take it out: the group has no other task.'
            : `Tasks of the group: ${joinWords(names, 'and')}.`
          : `Did you mean \`${close}\`?`;
      return [{ ...place, code: 'depends-on-unknown', message, advice }];
    }
    const [kind, otherKind] = [kindOf(task), kindOf(other.task)];
    if (MAY_WAIT_FOR[kind].includes(otherKind)) return [];
    const message =
      `Task \`${name}\` is a ${kind} task and cannot wait for \`${before}\`: ` +
      `a ${otherKind} task ${WHEN[otherKind]}.`;
    return [{ ...place, code: 'depends-on-order', message }];
  });

const WHEN: Readonly<Record<TaskKind, string>> = {
  prestart: 'has ended long before',
  sidecar: 'has ended by then',
  main: 'starts later, or has ended by then',
  poststart: 'starts once the main tasks are healthy',
  poststop: 'starts when all others have ended',
};

/** One finding a circle, at the name that closes it. */
const checkCircles = (tasks: readonly WrittenTask[]): readonly Finding[] => {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const findings: Finding[] = [];
  const done = new Set<string>();
  const follow = (task: WrittenTask, path: readonly string[]): void => {
    for (const [index, before] of (task.task.depends_on ?? []).entries()) {
      const start = path.indexOf(before);
      if (start >= 0) {
        const circle = [...path.slice(start), before].map((name) => `\`${name}\``).join(' → ');
        findings.push({
          pointer: `${task.pointer}/depends_on/${index}`,
          at: 'value',
          code: 'depends-on-cycle',
          message:
            start === path.length - 1
              ? `Task \`${before}\` waits for itself.`
              : `These tasks wait for each other: ${circle}.`,
        });
        continue;
      }
      const next = byName.get(before);
      if (next !== undefined && !done.has(before)) follow(next, [...path, before]);
    }
    done.add(task.name);
  };
  for (const task of tasks) if (!done.has(task.name)) follow(task, [task.name]);
  return findings;
};
