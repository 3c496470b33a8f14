// What the runner knows while it lives, and how facts change it. The one mutable value of the
// runner. In: facts, failures, events, lists. Out: the inventory for decide. Everything here can be
// had again from containerd, the kernel and the disk. Not here: I/O (tick.ts, perform.ts), what a
// mark becomes (decide/outcome.ts).

import type { NodeOrders } from '../schema/orders.ts';
import type { Ms, Resources } from '../schema/spec.ts';
import { IMAGES_REMEMBERED, LANE_PLACES } from './config.ts';
import type { Note, Work } from './decide/action.ts';
import { allocationOf, containerKey, laneOf, workKey } from './decide/action.ts';
import {
  type AllocationMark,
  type CheckMark,
  type ContainerFacts,
  type Inventory,
  type Lane,
  type NodeFacts,
  type RetryMark,
  type TaskMark,
  userKey,
} from './decide/inventory.ts';
import type { CheckLog, FailureLog } from './decide/log-lines.ts';
import { isFetched, isRetried } from './decide/fetch.ts';
import { afterFailure, afterProbe, afterSuccess, concerns } from './decide/outcome.ts';
import { nextRetry, retryKeyOf } from './decide/retry.ts';
import type { Fact } from './perform.ts';
import type {
  ImageFacts,
  NetworkFacts,
  PreparedPaths,
  ResolvedUser,
  RuntimeContainer,
  RuntimeEvent,
  RuntimeFailure,
} from './ports.ts';

export interface RunnerState {
  readonly node: NodeFacts;
  orders: NodeOrders | null;
  readonly containers: Map<string, ContainerFacts>;
  readonly images: Map<string, ImageFacts>;
  readonly users: Map<string, ResolvedUser>;
  readonly networks: Map<string, NetworkFacts>;
  readonly prepared: Map<string, PreparedPaths>;
  readonly marks: Map<string, AllocationMark>;
  readonly inFlight: Set<string>;
  readonly retries: Map<string, RetryMark>;
  readonly room: Record<Lane, number>;
  portsTaken: ReadonlySet<number>;
  portHolders: ReadonlyMap<number, string>;
  disk: Inventory['disk'];
  contactAt: Ms | null;
  unheardMs: Ms;
  readonly imagesUsed: Map<string, Ms>;
  volumes: Set<string> | null;
  usage: ReadonlyMap<string, Resources>;
  /** Ends of logs, by allocation, where they may be told: of failed tasks, of those not healthy. */
  readonly logs: Map<string, FailureLog>;
  readonly checkLogs: Map<string, CheckLog>;
  runtimeSilent: string | null;
  /** Why Consul does not know this node's copies; null: it does, or is not asked to. */
  unregistered: string | null;
  refused: string | null;
  watchedSince: Ms;
  /** Keys that changed while a list is under way: the list is older than they are. */
  readonly touched: Set<string>;
  /** Something a report shows has changed; something in the marks has. */
  changed: boolean;
  marksChanged: boolean;
  relist: boolean;
}

export const newState = (node: NodeFacts): RunnerState => ({
  node,
  orders: null,
  containers: new Map(),
  images: new Map(),
  users: new Map(),
  networks: new Map(),
  prepared: new Map(),
  marks: new Map(),
  inFlight: new Set(),
  retries: new Map(),
  room: { ...LANE_PLACES },
  portsTaken: new Set(),
  portHolders: new Map(),
  disk: null,
  contactAt: null,
  unheardMs: Number.POSITIVE_INFINITY,
  imagesUsed: new Map(),
  volumes: null,
  usage: new Map(),
  logs: new Map(),
  checkLogs: new Map(),
  runtimeSilent: null,
  unregistered: null,
  refused: null,
  watchedSince: 0,
  touched: new Set(),
  changed: true,
  marksChanged: false,
  relist: true,
});

export const begun = (state: RunnerState, work: Work): void => {
  state.inFlight.add(workKey(work));
  state.room[laneOf(work.kind)] -= 1;
  state.changed ||= work.kind !== 'probe';
};

const ended = (state: RunnerState, work: Work): void => {
  const key = workKey(work);
  state.inFlight.delete(key);
  state.touched.add(key);
  state.room[laneOf(work.kind)] += 1;
  state.changed ||= isFetched(state.orders, work);
};

const setMark = (state: RunnerState, before: AllocationMark, mark: AllocationMark): void => {
  if (mark === before) return;
  state.marks.set(mark.allocation, mark);
  state.changed = true;
  state.marksChanged = true;
};

/**
 * Most answers change only when the next probe is due. The disk keeps of checks only that the task
 * came up (loadMarks), and the reconciler sees a result and whether there is a failure to show; its
 * newest text comes with the next report. Decide notes what follows. Returns when to look again.
 */
const setAnswered = (
  state: RunnerState,
  answered: { readonly before: AllocationMark; readonly mark: AllocationMark },
  work: Extract<Work, { kind: 'probe' }>,
): Ms => {
  const { before, mark } = answered;
  if (mark === before) return 0;
  state.marks.set(mark.allocation, mark);
  const was = checksOf(before, work);
  const is = checksOf(mark, work);
  const turned = CHECK_ROLES.some((role) => was[role]?.ok !== is[role]?.ok);
  const news = turned || CHECK_ROLES.some((role) => speaks(was[role]) !== speaks(is[role]));
  state.marksChanged ||= turned && work.role === 'startup';
  state.changed ||= news;
  return news ? 0 : (is[work.role]?.dueAt ?? 0);
};

const checksOf = (
  mark: AllocationMark,
  { place }: Extract<Work, { kind: 'probe' }>,
): TaskMark['checks'] => mark.tasks.find(({ name }) => name === place.task)?.checks ?? {};

const CHECK_ROLES = ['startup', 'ready', 'live'] as const;

const speaks = (check: CheckMark | undefined): boolean => (check?.message ?? null) !== null;

export const noted = (state: RunnerState, note: Note): void => {
  switch (note.kind) {
    case 'remember':
      state.marks.set(note.mark.allocation, note.mark);
      break;
    case 'forget':
      state.marks.delete(note.allocation);
      state.networks.delete(note.allocation);
      state.prepared.delete(note.allocation);
      for (const key of state.retries.keys()) {
        if (key.includes(note.allocation)) state.retries.delete(key);
      }
      break;
    case 'wait':
      return;
  }
  state.changed = true;
  state.marksChanged = true;
};

/**
 * @param begunIn the run of the task that a probe was begun in
 * @returns when to look again for what follows: 0 is at once; an answer like the one before asks
 * for nothing until the next probe is due
 */
export const succeeded = (
  state: RunnerState,
  work: Work,
  end: { readonly fact: Fact; readonly now: Ms; readonly begunIn: Ms | null },
): Ms => {
  const { fact, now } = end;
  // Others may wait for the place that becomes free.
  const wasFull = state.room[laneOf(work.kind)] <= 0;
  ended(state, work);
  state.retries.delete(retryKeyOf(work));
  applyFact(state, work, end);
  const allocation = allocationOf(work);
  const mark = allocation === null ? undefined : state.marks.get(allocation);
  if (mark === undefined) return 0;
  if (work.kind !== 'probe') {
    setMark(state, mark, afterSuccess(mark, work, now));
  } else if (fact.kind === 'answer' && runOf(mark, work) === end.begunIn) {
    const next = afterProbe(mark, work, { answer: fact.answer, now });
    const lookAt = setAnswered(state, { before: mark, mark: next }, work);
    return wasFull ? 0 : lookAt;
  }
  return 0;
};

/** Start of the present run of the task that a probe asks; null for other work. */
export const runOf = (mark: AllocationMark | undefined, work: Work): Ms | null =>
  work.kind === 'probe'
    ? (mark?.tasks.find(({ name }) => name === work.place.task)?.runSince ?? null)
    : null;

const applyFact = (
  state: RunnerState,
  work: Work,
  { fact, now }: { readonly fact: Fact; readonly now: Ms },
): void => {
  switch (work.kind) {
    case 'pull':
      if (fact.kind === 'image') state.images.set(work.name, fact.image);
      imageUsed(state, work.name, now);
      break;
    case 'resolve-user':
      if (fact.kind === 'user') state.users.set(userKey(work.image.name, work.user), fact.user);
      break;
    case 'set-up-network':
      if (fact.kind === 'network') state.networks.set(work.ask.allocation, fact.network);
      break;
    case 'prepare':
      if (fact.kind === 'prepared') state.prepared.set(work.ask.allocation, fact.paths);
      for (const volume of work.ask.volumes) state.volumes?.add(volume);
      break;
    case 'create':
      if (fact.kind === 'made') state.containers.set(work.ask.id, made(work.ask, fact.pid));
      imageUsed(state, work.ask.image.name, now);
      break;
    case 'restart':
      change(state, work.place.container, (container) =>
        fact.kind === 'made' ? made({ ...container, image: null }, fact.pid, container) : container,
      );
      break;
    case 'start':
      // Its end may have been heard before the answer to the start was.
      change(state, work.place.container, (container) =>
        container.task === 'created' ? { ...container, task: 'running' } : container,
      );
      break;
    case 'remove':
      state.containers.delete(work.container);
      break;
    case 'relabel':
      change(state, work.container, (container) => ({
        ...container,
        labels: { ...container.labels, ...work.labels },
      }));
      break;
    case 'tear-down-network':
      state.networks.delete(work.allocation);
      break;
    case 'discard-files':
      state.prepared.delete(work.allocation);
      break;
    case 'remove-image':
      state.images.delete(work.name);
      state.imagesUsed.delete(work.name);
      break;
    case 'remove-volume':
      state.volumes?.delete(work.volume);
      state.changed = true;
      break;
    case 'kill':
    case 'probe':
      break;
  }
};

const made = (
  ask: {
    readonly id: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly image: ImageFacts | null;
  },
  pid: number,
  before?: ContainerFacts,
): ContainerFacts => ({
  id: ask.id,
  labels: ask.labels,
  image: ask.image?.name ?? before?.image ?? '',
  task: 'created',
  pid,
  exit: null,
  outOfMemory: false,
});

const change = (
  state: RunnerState,
  id: string,
  how: (container: ContainerFacts) => ContainerFacts,
): void => {
  const container = state.containers.get(id);
  if (container !== undefined) state.containers.set(id, how(container));
};

const imageUsed = (state: RunnerState, name: string, now: Ms): void => {
  state.imagesUsed.delete(name);
  state.imagesUsed.set(name, now);
  for (const oldest of state.imagesUsed.keys()) {
    if (state.imagesUsed.size <= IMAGES_REMEMBERED) break;
    state.imagesUsed.delete(oldest);
  }
};

export const failed = (
  state: RunnerState,
  work: Work,
  end: { readonly failure: RuntimeFailure; readonly now: Ms; readonly begunIn: Ms | null },
): void => {
  const { failure, now } = end;
  ended(state, work);
  if (failure.consequence === 'stale' || failure.reason === 'not-found') state.relist = true;
  if (work.kind === 'probe' && failure.blame === 'version') {
    const answer = { ok: false, message: failure.message } as const;
    succeededProbe(state, work, { answer, now, begunIn: end.begunIn });
    return;
  }
  if (isRetried(state.orders, work, failure)) {
    const key = retryKeyOf(work);
    state.retries.set(key, nextRetry(state.retries.get(key), failure, now));
  }
  if (work.kind === 'probe') return;
  if (failure.blame === 'version' && work.kind === 'start') {
    change(state, work.place.container, (container) => ({
      ...container,
      task: 'stopped',
      exit: null,
    }));
  }
  for (const mark of state.marks.values()) {
    if (concerns(mark, work)) setMark(state, mark, afterFailure(mark, work, { failure, now }));
  }
};

const succeededProbe = (
  state: RunnerState,
  work: Extract<Work, { kind: 'probe' }>,
  end: {
    readonly answer: { readonly ok: false; readonly message: string };
    readonly now: Ms;
    readonly begunIn: Ms | null;
  },
): void => {
  const mark = state.marks.get(work.place.allocation);
  if (mark === undefined || runOf(mark, work) !== end.begunIn) return;
  const next = afterProbe(mark, work, { answer: end.answer, now: end.now });
  setAnswered(state, { before: mark, mark: next }, work);
};

export const heardEvent = (state: RunnerState, event: RuntimeEvent): void => {
  if (event.kind === 'resync') {
    state.relist = true;
    return;
  }
  const container = state.containers.get(event.container);
  if (container === undefined) return;
  const key = containerKey(event.container);
  if (event.kind === 'oom') {
    state.containers.set(container.id, { ...container, outOfMemory: true });
    state.touched.add(key);
    return;
  }
  // An end of something that was made and not yet started belongs to a create that failed.
  const starting = container.task === 'created' && state.inFlight.has(key);
  if (container.task !== 'running' && container.task !== 'paused' && !starting) return;
  state.containers.set(container.id, {
    ...container,
    task: 'stopped',
    pid: null,
    exit: event.exit,
  });
  state.touched.add(key);
  state.changed = true;
};

/** A list from containerd replaces what was known, but for what changed since it was asked for. */
export const listed = (state: RunnerState, containers: readonly RuntimeContainer[]): void => {
  const fresh = (id: string): boolean => {
    const key = containerKey(id);
    return state.touched.has(key) || state.inFlight.has(key);
  };
  const seen = new Set(containers.map(({ id }) => id));
  for (const id of state.containers.keys()) {
    if (!seen.has(id) && !fresh(id)) state.containers.delete(id);
  }
  for (const container of containers) {
    if (fresh(container.id)) continue;
    const before = state.containers.get(container.id);
    const outOfMemory = before?.outOfMemory ?? false;
    state.containers.set(container.id, { ...container, outOfMemory });
  }
  state.changed = true;
};
