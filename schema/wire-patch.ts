// What of a copy is no more as it was: it travels in place of the whole copy.
// In: facts before and after; a patch. Out: a patch; a copy with it. Not here: how the patches of all
// copies travel (wire-columns.ts).

import type { AllocationReport, TaskReport } from './orders.ts';
import { isSameJson } from './same-json.ts';
import { copyOf } from './wire-ages.ts';

/** Fields that are absent are as they were. */
export type TaskPatch = Partial<Omit<TaskReport, 'name'>>;

export interface AllocationPatch extends Partial<
  Omit<AllocationReport, 'allocation' | 'body' | 'tasks' | 'usage'>
> {
  readonly allocation: string;
  /** In the order of its tasks; those behind the last one are as they were. */
  readonly tasks?: readonly TaskPatch[];
}

type Facts = Omit<AllocationReport, 'body'> & { readonly bodyHash: string };

/**
 * What brings a receiver that has `before` to `after`; null: nothing less than the whole copy.
 * @param before facts with instants in place of ages, as JSON has them; `after` likewise
 * @param facts what `after` was made of, with ages
 */
export const patchOf = (before: Facts, after: Facts, facts: Facts): AllocationPatch | null => {
  const news = newsIn(before, after);
  if (news === null || news.includes('bodyHash')) return null;
  const patch = { allocation: facts.allocation, ...pick(facts, news) };
  if (!news.includes('tasks')) return patch;
  const tasks = taskPatches(before.tasks, after.tasks);
  return tasks && { ...patch, tasks };
};

const taskPatches = (
  before: readonly TaskReport[],
  after: readonly TaskReport[],
): readonly TaskPatch[] | null => {
  if (before.length !== after.length) return null;
  const patches = after.map((task, at) => {
    const news = newsIn(before[at] ?? task, task);
    return news === null || news.includes('name') ? null : pick(task, news);
  });
  return patches.every((patch) => patch !== null) ? patches : null;
};

/** Names of the fields that are others; null: one is gone, which no patch can say. */
const newsIn = <T extends object>(before: T, after: T): readonly (keyof T)[] | null => {
  if (Object.keys(before).some((name) => !(name in after))) return null;
  const names = Object.keys(after) as (keyof T)[];
  return names.filter((name) => !isSameJson(before[name], after[name]));
};

const pick = <T extends object>(value: T, names: readonly (keyof T)[]): Partial<T> => {
  const picked: Partial<T> = {};
  for (const name of names) picked[name] = value[name];
  return picked;
};

/** The same copy with it. Only what is known is taken: a newer runner may say more. */
export const withPatch = (copy: AllocationReport, patch: AllocationPatch): AllocationReport => {
  const { tasks } = copy;
  const facts = { ...copy, ...patch, tasks };
  const patched = copyOf(facts, copy);
  if (patch.tasks !== undefined) {
    patched.tasks = tasks.map((task, at) => withTaskPatch(task, patch.tasks?.[at] ?? {}));
  }
  return patched;
};

const withTaskPatch = (before: TaskReport, patch: TaskPatch): TaskReport => {
  const { state, restarts, health, lastCheck, log, exit, pid } = { ...before, ...patch };
  const logged = log === undefined ? {} : { log };
  return { name: before.name, state, restarts, health, lastCheck, ...logged, exit, pid };
};
