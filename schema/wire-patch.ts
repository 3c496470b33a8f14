// What of a copy is no more as it was: it travels in place of the whole copy.
// In: facts before and after; patches. Out: a patch; a copy with it; one patch for two. Not here:
// frames (wire.ts), what may stand in a patch (report-form.ts).

import type { AllocationReport, TaskReport } from './orders.ts';
import { isSameJson } from './same-json.ts';
import type { Ms } from './spec.ts';
import { copyOf } from './wire-ages.ts';

/** Fields that are absent are as they were. */
export type TaskPatch = Partial<Omit<TaskReport, 'name'>>;

export interface AllocationPatch extends Partial<
  Omit<AllocationReport, 'allocation' | 'body' | 'tasks' | 'usage'>
> {
  readonly allocation: string;
  /** One for each task, in order. */
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

const AGES = [
  'acceptedForMs',
  'firstStartedForMs',
  'runningForMs',
  'healthyForMs',
  'firstHealthyForMs',
  'deadForMs',
] as const satisfies readonly (keyof AllocationPatch)[];

/** Most are not, and none need be copied then. */
const isAgeing = (patch: AllocationPatch): boolean =>
  (patch.failure ?? null) !== null || AGES.some((age) => (patch[age] ?? null) !== null);

/** The same patch, `elapsed` milliseconds later. */
export const agedPatch = (patch: AllocationPatch, elapsed: Ms): AllocationPatch => {
  if (!isAgeing(patch)) return patch;
  const older: { -readonly [Field in keyof AllocationPatch]: AllocationPatch[Field] } = {
    ...patch,
  };
  for (const age of AGES) {
    const ms = older[age] ?? null;
    if (ms !== null) older[age] = ms + elapsed;
  }
  const failure = older.failure ?? null;
  if (failure !== null) older.failure = { ...failure, ageMs: failure.ageMs + elapsed };
  return older;
};

/** Both patches in one, `elapsed` milliseconds after the first. */
export const laterPatch = (
  before: AllocationPatch,
  elapsed: Ms,
  after: AllocationPatch,
): AllocationPatch => {
  const both = { ...agedPatch(before, elapsed), ...after };
  const { tasks } = before;
  if (tasks === undefined || after.tasks === undefined) return both;
  return { ...both, tasks: after.tasks.map((task, at) => ({ ...tasks[at], ...task })) };
};

/** Why it is of no copy of these; null: it is of one. */
export const patchProblem = (
  { allocation, tasks }: AllocationPatch,
  copy: Pick<AllocationReport, 'tasks'> | undefined,
): string | null => {
  if (copy === undefined) return `${allocation} has changed and was never sent`;
  const fits = tasks === undefined || tasks.length === copy.tasks.length;
  return fits ? null : `${allocation} has changed in tasks that were never sent`;
};
