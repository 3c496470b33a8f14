// Marks from nothing, and marks from the disk.
// In: an accepted body, or what an earlier life of the runner wrote down. Out: marks.
// Not here: how they change while allocations live (advance.ts, outcome.ts).

import type { AllocationBody, NodeOrders } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { AllocationMark, TaskMark } from './inventory.ts';

/** Number of the form in which marks are written; another one is not read. */
export const MARKS_FORMAT = 1;

export const newTaskMark = (name: string): TaskMark => ({
  name,
  run: 'none',
  runSince: null,
  everStarted: false,
  restarts: 0,
  restartTimes: [],
  startAt: 0,
  exit: null,
  kill: null,
  checks: {},
});

export const newMark = (body: AllocationBody, now: Ms): AllocationMark => ({
  allocation: body.allocation,
  body,
  acceptedAt: now,
  firstStartedAt: null,
  healthySince: null,
  firstHealthyAt: null,
  deadAt: null,
  failure: null,
  ports: null,
  stop: null,
  tasks: body.spec.tasks.map(({ name }) => newTaskMark(name)),
});

/** `body` null: the same as in the accepted orders. */
type SavedMark = Omit<AllocationMark, 'body'> & { readonly body: AllocationBody | null };

export interface SavedMarks {
  readonly format: typeof MARKS_FORMAT;
  readonly bootId: string;
  readonly contactAt: Ms | null;
  readonly imagesUsed: readonly (readonly [string, Ms])[];
  readonly marks: readonly SavedMark[];
}

export interface Memory {
  readonly contactAt: Ms | null;
  readonly imagesUsed: ReadonlyMap<string, Ms>;
  readonly marks: ReadonlyMap<string, AllocationMark>;
}

const bodiesOf = (orders: NodeOrders | null): ReadonlyMap<string, AllocationBody> =>
  new Map(
    (orders?.items ?? []).flatMap((item) =>
      item.kind === 'run' ? [[item.allocation, item.body] as const] : [],
    ),
  );

/** What is written down: bodies that stand in the accepted orders are not written twice. */
export const saveMarks = (
  memory: Memory,
  orders: NodeOrders | null,
  bootId: string,
): SavedMarks => {
  const bodies = bodiesOf(orders);
  return {
    format: MARKS_FORMAT,
    bootId,
    contactAt: memory.contactAt,
    imagesUsed: [...memory.imagesUsed],
    marks: [...memory.marks.values()].map((mark) =>
      bodies.get(mark.allocation) === mark.body ? { ...mark, body: null } : mark,
    ),
  };
};

/**
 * Marks as an earlier life left them; what cannot be read is as if it had never been. After a
 * reboot the boot clock began anew: nothing runs, and every instant counts as now, so that no age
 * is negative or absurd (rules 9.4).
 */
export const loadMarks = (
  saved: unknown,
  orders: NodeOrders | null,
  clock: { readonly bootId: string; readonly now: Ms },
): Memory => {
  const nothing: Memory = { contactAt: null, imagesUsed: new Map(), marks: new Map() };
  if (!isSaved(saved)) return nothing;
  const bodies = bodiesOf(orders);
  const sameBoot = saved.bootId === clock.bootId;
  const marks = new Map<string, AllocationMark>();
  for (const { body, ...rest } of saved.marks) {
    const own = body ?? bodies.get(rest.allocation);
    if (own === undefined) continue;
    const mark = withoutChecks({ ...rest, body: own });
    marks.set(rest.allocation, clamp(sameBoot ? mark : afterReboot(mark), clock.now));
  }
  return {
    contactAt: sameBoot ? saved.contactAt : null,
    imagesUsed: new Map(saved.imagesUsed.map(([name, at]) => [name, Math.min(at, clock.now)])),
    marks,
  };
};

const isSaved = (saved: unknown): saved is SavedMarks =>
  typeof saved === 'object' &&
  saved !== null &&
  'format' in saved &&
  saved.format === MARKS_FORMAT &&
  'marks' in saved &&
  Array.isArray(saved.marks);

/** Unproven until the first result of this life (rules 4.2); that it was healthy once stays. */
const withoutChecks = (mark: AllocationMark): AllocationMark => ({
  ...mark,
  tasks: mark.tasks.map((task) => ({
    ...task,
    checks: task.checks.startup?.ok === true ? { startup: task.checks.startup } : {},
  })),
});

/** A copy that goes on begins anew, so what runs to its end does too (rules 15). */
const afterReboot = (mark: AllocationMark): AllocationMark => {
  const goesOn = mark.stop === null && mark.deadAt === null;
  return {
    ...mark,
    healthySince: null,
    tasks: mark.tasks.map(({ completed, ...task }) => ({
      ...task,
      run: task.run === 'open' || (goesOn && completed === true) ? 'none' : task.run,
      runSince: null,
      startAt: 0,
      restartTimes: [],
      kill: null,
      checks: {},
      ...(completed === true && !goesOn ? { completed } : {}),
    })),
  };
};

/** No instant lies in the future, but for backoff. */
const clamp = (mark: AllocationMark, now: Ms): AllocationMark => {
  const past = (at: Ms | null): Ms | null => (at === null ? null : Math.min(at, now));
  return {
    ...mark,
    acceptedAt: Math.min(mark.acceptedAt, now),
    firstStartedAt: past(mark.firstStartedAt),
    healthySince: past(mark.healthySince),
    firstHealthyAt: past(mark.firstHealthyAt),
    deadAt: past(mark.deadAt),
    failure: mark.failure && { ...mark.failure, at: Math.min(mark.failure.at, now) },
    stop: mark.stop && { ...mark.stop, since: Math.min(mark.stop.since, now) },
    tasks: mark.tasks.map((task) => ({
      ...task,
      runSince: past(task.runSince),
      ...(task.turnAt === undefined ? {} : { turnAt: Math.min(task.turnAt, now) }),
      ...(task.trouble === undefined
        ? {}
        : { trouble: { ...task.trouble, at: Math.min(task.trouble.at, now) } }),
    })),
  };
};
