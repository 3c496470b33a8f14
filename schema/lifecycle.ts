// The order of the tasks of a group: what each waits for at the start, and at a stop.
// In: tasks with their kind and `depends_on`, as compiled. Out: names, and how long a stop takes at
// most. Tasks without both have no order. Why it is so: docs/decisions/task-lifecycle.md. Not here:
// whether what is written makes sense (check-lifecycle.ts), starting and stopping (node-runner).

import { compareText } from './ids.ts';
import type { Lifecycle, Ms } from './spec.ts';

/** Kinds of tasks beside the main ones, in the order in which a copy goes through them. */
export const LIFECYCLES = [
  'prestart',
  'sidecar',
  'poststart',
  'poststop',
] as const satisfies readonly Lifecycle[];

/** `main`: `lifecycle` is absent. */
export type TaskKind = Lifecycle | 'main';

export interface OrderedTask {
  readonly name: string;
  readonly lifecycle?: Lifecycle;
  readonly dependsOn?: readonly string[];
}

export const kindOf = ({ lifecycle }: Pick<OrderedTask, 'lifecycle'>): TaskKind =>
  lifecycle ?? 'main';

/** Does it run to its end, rather than for as long as the copy lives? */
export const runsToEnd = ({ lifecycle }: Pick<OrderedTask, 'lifecycle'>): boolean =>
  lifecycle !== undefined && lifecycle !== 'sidecar';

export const isPoststop = ({ lifecycle }: Pick<OrderedTask, 'lifecycle'>): boolean =>
  lifecycle === 'poststop';

/** `depends_on` says which, not in which order. */
export const namesOnce = (names: readonly string[]): readonly string[] =>
  [...new Set(names)].toSorted(compareText);

/** What a kind waits for by itself; poststop waits for the end of all others instead. */
const WAITS_FOR: Readonly<Record<TaskKind, readonly TaskKind[]>> = {
  prestart: [],
  sidecar: [],
  main: ['prestart', 'sidecar'],
  poststart: ['prestart', 'sidecar', 'main'],
  poststop: [],
};

/** The order of one group. */
export interface TaskOrder {
  /**
   * By task: names of those that must be completed, or started and healthy, before it starts.
   * Tasks that wait for nothing are not in it.
   */
  readonly startsAfter: ReadonlyMap<string, readonly string[]>;
  /**
   * By task: names of those that must have ended before it is told to stop. What runs to its end
   * holds nobody up.
   */
  readonly stopsAfter: ReadonlyMap<string, readonly string[]>;
}

/** Specifications are values that never change, and every look asks for all of them. */
const known = new WeakMap<readonly OrderedTask[], TaskOrder | null>();

/** null: no task has a kind or names another, so there is no order. */
export const orderOf = (tasks: readonly OrderedTask[]): TaskOrder | null => {
  const before = known.get(tasks);
  if (before !== undefined) return before;
  const isPlain = tasks.every((task) => kindOf(task) === 'main' && task.dependsOn === undefined);
  const order = isPlain ? null : madeOrder(tasks);
  known.set(tasks, order);
  return order;
};

const madeOrder = (tasks: readonly OrderedTask[]): TaskOrder => {
  const startsAfter = new Map<string, readonly string[]>();
  const stopsAfter = new Map<string, string[]>();
  for (const task of tasks) {
    const kinds = WAITS_FOR[kindOf(task)];
    const named = task.dependsOn ?? [];
    const befores = tasks.filter(
      (other) =>
        other.name !== task.name && (kinds.includes(kindOf(other)) || named.includes(other.name)),
    );
    if (befores.length > 0)
      startsAfter.set(
        task.name,
        befores.map(({ name }) => name),
      );
    for (const before of befores) {
      if (runsToEnd(task) || runsToEnd(before)) continue;
      stopsAfter.set(before.name, [...(stopsAfter.get(before.name) ?? []), task.name]);
    }
  }
  return { startsAfter, stopsAfter };
};

export interface TimedTask extends OrderedTask {
  readonly killTimeoutMs: Ms;
}

/**
 * The longest that a stop may take after `shutdown_delay`: each task its `kill_timeout`, those that
 * wait for each other one after the other, then the poststop tasks, whose `kill_timeout` is the
 * time that they have. Example: a main task with 10 s, its sidecar with 5 s and a poststop task
 * with 20 s take 35 s.
 */
export const stopMs = (tasks: readonly TimedTask[]): Ms => {
  const last = tasks.filter(isPoststop);
  const ends = endsAt(tasks);
  const lastEnds = longest(
    last,
    new Map(last.map(({ name, dependsOn }) => [name, dependsOn ?? []])),
  );
  const others = tasks.filter((task) => !isPoststop(task)).map(({ name }) => ends.get(name) ?? 0);
  return Math.max(0, ...others) + Math.max(0, ...lastEnds.values());
};

/** How long after the first signal of a stop this task gets its own, at the latest. */
export const stopDelayMs = (tasks: readonly TimedTask[], name: string): Ms => {
  const after = orderOf(tasks)?.stopsAfter.get(name) ?? [];
  const ends = after.length === 0 ? new Map<string, Ms>() : endsAt(tasks);
  return Math.max(0, ...after.map((other) => ends.get(other) ?? 0));
};

const endsAt = (tasks: readonly TimedTask[]): ReadonlyMap<string, Ms> =>
  longest(tasks, orderOf(tasks)?.stopsAfter ?? new Map<string, readonly string[]>());

/** By task: its own time and the longest of what it comes after. A circle counts once. */
const longest = (
  tasks: readonly TimedTask[],
  after: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, Ms> => {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const ends = new Map<string, Ms>();
  const endOf = (name: string): Ms => {
    const done = ends.get(name);
    const task = byName.get(name);
    if (done !== undefined || task === undefined) return done ?? 0;
    ends.set(name, 0);
    const end = task.killTimeoutMs + Math.max(0, ...(after.get(name) ?? []).map(endOf));
    ends.set(name, end);
    return end;
  };
  for (const { name } of tasks) endOf(name);
  return ends;
};

/** How a task stands, for those that wait for it. */
export interface TaskStanding {
  readonly name: string;
  readonly state: string;
  readonly health: string;
}

/** Names of what this task still waits for before it starts. */
export const waitsFor = (
  tasks: readonly OrderedTask[],
  name: string,
  standings: readonly TaskStanding[],
): readonly string[] => {
  const before = orderOf(tasks)?.startsAfter.get(name) ?? [];
  return before.filter((other) => {
    const task = tasks.find((one) => one.name === other);
    const standing = standings.find((one) => one.name === other);
    if (task === undefined || standing === undefined) return false;
    return runsToEnd(task)
      ? standing.state !== 'completed'
      : standing.state !== 'running' || standing.health !== 'healthy';
  });
};
