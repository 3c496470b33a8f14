// The patches of all copies (wire-patch.ts) in the form in which they travel: field by field, since
// most reports say the same few fields of many copies, and a list of texts or numbers is read and
// checked much sooner than as many small objects.
// In: patches; columns. Out: columns; patches. Not here: what may stand in a column (report-form.ts).

import type { AllocationReport } from './orders.ts';
import type { Ms } from './spec.ts';
import type { Writable } from './wire-ages.ts';
import type { AllocationPatch, TaskPatch } from './wire-patch.ts';

interface Column<Value> {
  /** Places in the list of copies; absent: all of it, in order. */
  readonly at?: readonly number[];
  /** What the field is there. */
  readonly is: readonly Value[];
}

interface TaskColumn<Value> extends Column<Value> {
  /** Which of its copy's tasks; absent: the first of each. */
  readonly task?: readonly number[];
}

type Facts = Required<Omit<AllocationPatch, 'allocation' | 'tasks'>>;
type TaskFacts = Required<TaskPatch>;

export interface Columns {
  /** The list of copies, by id; absent: what the head of the report lists as accepted. */
  readonly copies?: readonly string[];
  readonly facts: { readonly [Field in keyof Facts]?: Column<Facts[Field]> };
  readonly tasks: { readonly [Field in keyof TaskFacts]?: TaskColumn<TaskFacts[Field]> };
}

/** A patch to which more is added. */
export type WritablePatch = Writable<Omit<AllocationPatch, 'tasks'>> & {
  tasks?: Writable<TaskPatch>[];
};

const AGES = [
  'acceptedForMs',
  'firstStartedForMs',
  'runningForMs',
  'healthyForMs',
  'firstHealthyForMs',
  'deadForMs',
] as const;
/** What is known of a copy or a task; a newer runner may say more, which is not taken. */
export const FACT_FIELDS = [
  'phase',
  'health',
  'wasHealthy',
  'everHealthy',
  'failure',
  'stopWaits',
  'ports',
  'address',
  ...AGES,
] as const satisfies readonly (keyof Facts)[];
export const TASK_FIELDS = [
  'state',
  'restarts',
  'health',
  'lastCheck',
  'log',
  'exit',
  'pid',
] as const satisfies readonly (keyof TaskFacts)[];

/**
 * @param patches one of each copy at most
 * @param accepted what the head of the report lists
 */
export const columnsOf = (
  patches: readonly AllocationPatch[],
  accepted: readonly string[],
): Columns => {
  const ids = patches.map(({ allocation }) => allocation);
  const places = new Map(accepted.map((allocation, place) => [allocation, place]));
  const areAccepted = ids.every((id) => places.has(id));
  const copies = areAccepted ? accepted : ids;
  const sorted = patches
    .map((is, at) => ({ at: areAccepted ? (places.get(is.allocation) ?? at) : at, is }))
    .toSorted((a, b) => a.at - b.at);
  const tasks = sorted.flatMap(({ at, is }) =>
    (is.tasks ?? []).map((facts, task) => ({ at, task, is: facts })),
  );
  return {
    ...(!areAccepted && { copies }),
    facts: columnsIn(sorted, FACT_FIELDS, copies.length) as Columns['facts'],
    tasks: columnsIn(tasks, TASK_FIELDS, copies.length) as Columns['tasks'],
  };
};

interface Entry {
  readonly at: number;
  readonly task?: number;
  readonly is: object;
}

/** A column of each field that one of the rows has. */
const columnsIn = (rows: readonly Entry[], fields: readonly string[], length: number): object =>
  Object.fromEntries(
    fields.flatMap((field) => {
      const those = rows.filter(({ is }) => field in is);
      return those.length === 0 ? [] : [[field, columnIn(those, field, length)]];
    }),
  );

const columnIn = (rows: readonly Entry[], field: string, length: number): object => {
  const isAll = rows.length === length && rows.every(({ at }, entry) => at === entry);
  const isFirst = rows.every(({ task = 0 }) => task === 0);
  return {
    ...(!isAll && { at: rows.map(({ at }) => at) }),
    ...(!isFirst && { task: rows.map(({ task }) => task) }),
    is: rows.map(({ is }) => (is as Readonly<Record<string, unknown>>)[field]),
  };
};

/** What the columns say of a copy is added to its patch. */
export type PatchAt = (place: number) => WritablePatch | undefined;

/**
 * The same patches, one of each copy. Of columns in which `columnsProblem` finds nothing wrong.
 * @param accepted what the head of the report lists
 */
export const patchesOf = (
  columns: Columns,
  accepted: readonly string[],
): readonly AllocationPatch[] => {
  const { copies = accepted } = columns;
  const patches = new Map<string, WritablePatch>();
  addColumns(columns, (place) => {
    const allocation = copies[place] ?? '';
    const patch = patches.get(allocation) ?? { allocation };
    patches.set(allocation, patch);
    return patch;
  });
  return [...patches.values()];
};

/**
 * Adds what columns say to patches. Plain loops, as in `columnProblem`: calls for each value took
 * eight times as long.
 */
export const addColumns = ({ facts, tasks }: Columns, patchAt: PatchAt): void => {
  for (const field of FACT_FIELDS) {
    const column: Column<unknown> | undefined = facts[field];
    if (column === undefined) continue;
    const { at, is } = column;
    for (let entry = 0; entry < is.length; entry += 1) {
      const patch: Row | undefined = patchAt(at?.[entry] ?? entry);
      if (patch !== undefined) patch[field] = is[entry];
    }
  }
  for (const field of TASK_FIELDS) {
    const column: TaskColumn<unknown> | undefined = tasks[field];
    if (column === undefined) continue;
    const { at, task, is } = column;
    for (let entry = 0; entry < is.length; entry += 1) {
      const patch = patchAt(at?.[entry] ?? entry);
      const row: Row | undefined = patch && taskIn(patch, task?.[entry] ?? 0);
      if (row !== undefined) row[field] = is[entry];
    }
  }
};

type Row = Record<string, unknown>;

const taskIn = (patch: WritablePatch, task: number): Writable<TaskPatch> | undefined => {
  const tasks = (patch.tasks ??= []);
  while (tasks.length <= task) tasks.push({});
  return tasks[task];
};

/** The same, `elapsed` milliseconds later; earlier where that is negative. Most tell no age. */
export const agedColumns = (columns: Columns, elapsed: Ms): Columns => {
  const { facts } = columns;
  const { failure } = facts;
  const ages = AGES.filter((age) => facts[age] !== undefined);
  if (ages.length === 0 && failure === undefined) return columns;
  const aged: Writable<Columns['facts']> = { ...facts };
  for (const age of ages) {
    const column: Column<Ms | null> | undefined = facts[age];
    if (column === undefined) continue;
    const is = column.is.map((ms) => (ms === null ? null : ms + elapsed));
    Object.assign(aged, { [age]: { ...column, is } });
  }
  if (failure !== undefined) {
    const is = failure.is.map((one) => one && { ...one, ageMs: one.ageMs + elapsed });
    aged.failure = { ...failure, is };
  }
  return { ...columns, facts: aged };
};

/** What the receiver has of a copy. */
export interface KnownCopy {
  readonly allocation: string;
  /** How many. */
  readonly tasks: number;
}

export const knownCopy = ({
  allocation,
  tasks,
}: Pick<AllocationReport, 'allocation' | 'tasks'>): KnownCopy => ({
  allocation,
  tasks: tasks.length,
});

/**
 * What is wrong with columns of these copies; null: nothing.
 * @param known one for each in the list of copies; undefined: it was never sent
 */
export const columnsProblem = (
  { facts, tasks }: Columns,
  known: readonly (KnownCopy | undefined)[],
): string | null => {
  for (const field of FACT_FIELDS) {
    const problem = columnProblem('copy', facts[field], known);
    if (problem !== null) return problem;
  }
  for (const field of TASK_FIELDS) {
    const problem = columnProblem('task', tasks[field], known);
    if (problem !== null) return problem;
  }
  return null;
};

const columnProblem = (
  of: 'copy' | 'task',
  column: TaskColumn<unknown> | undefined,
  known: readonly (KnownCopy | undefined)[],
): string | null => {
  if (column === undefined) return null;
  const { at, task, is } = column;
  if ((at ?? known).length !== is.length) return UNEVEN;
  if (task !== undefined && task.length !== is.length) return UNEVEN;
  for (let entry = 0; entry < is.length; entry += 1) {
    const place = at?.[entry] ?? entry;
    const copy = known[place];
    if (copy === undefined) return `copy ${place} of its list has changed and was never sent`;
    if (of === 'task' && (task?.[entry] ?? 0) >= copy.tasks) {
      return `${copy.allocation} has changed in tasks that were never sent`;
    }
  }
  return null;
};

const UNEVEN = 'what changed is not as long as the list of what it changed in';
