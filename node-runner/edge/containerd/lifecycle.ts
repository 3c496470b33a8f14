// A container from its record to its removal: create, start, kill, restart, relabel, remove, list.
// In: ids, specifications and mounts. Out: what containerd has, as RuntimeContainer. Every call may
// be repeated. Three parts make a container: the record (labels, specification), the snapshot (its
// files) and the task (its process). The record comes first and goes last: it keeps the snapshot
// from garbage collection, and a task without a record cannot be stopped. Not here: what to run
// (decide), images (pull.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Status } from 'nice-grpc';
import type { CreateAsk, OciSpec, RuntimeContainer, TaskExit } from '../../ports.ts';
import { compareText } from '../../../schema/ids.ts';
import { hasCode, RuntimeError, tolerate } from '../runtime-error.ts';
import { type Containerd, SNAPSHOTTER } from './client.ts';
import type { Container } from './generated/containerd/containers.ts';
import { type Process, Status as TaskStatus } from './generated/containerd/process.ts';
import { Options } from './generated/containerd/runc_options.ts';
import type { Mount } from './generated/containerd/types.ts';
import type { Any } from './generated/google/protobuf/any.ts';
import { clearLeftover } from './leftover.ts';
import { RUNTIME, type SandboxRecords, sandboxRecords, SPEC_TYPE } from './sandboxes.ts';
import { prepareSnapshot } from './snapshots.ts';
import { nextLog, openOutput } from './stdio.ts';

export interface Lifecycle {
  readonly list: () => Promise<readonly RuntimeContainer[]>;
  readonly create: (ask: CreateAsk) => Promise<{ readonly pid: number }>;
  readonly start: (id: string) => Promise<void>;
  readonly kill: (id: string, signal: number, options: { readonly all: boolean }) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
  readonly restart: (id: string, spec: OciSpec | null) => Promise<{ readonly pid: number }>;
  readonly relabel: (id: string, labels: Readonly<Record<string, string>>) => Promise<void>;
}

/** Where the log's path stands on the record, for `restart`; labels are the caller's alone. */
const LOG_EXTENSION = 'purser.log';
const SIGKILL = 9;
/**
 * After SIGKILL a process ends at once, unless the kernel waits for a disk or a network file
 * system.
 */
const DEATH_WAIT_MAX_MS = 20_000;
/** containerd clears up behind a dead shim in about 100 ms. */
const CLEAR_UP_MAX_MS = 5_000;
/** A thousand records take about 25 ms. */
const LIST_MAX_MS = 60_000;
/** Between looks at a task whose Wait was cut. */
const DEATH_POLL_MS = 50;

/** What is known of a process whose status containerd lost. */
export const UNKNOWN_EXIT: TaskExit = { code: null, signal: null, known: false, at: null };

/** `runcRoot`: runc's state folder; two containerds on one machine must not share it. */
export const createLifecycle = (containerd: Containerd, runcRoot: string): Lifecycle => {
  const value = Options.encode({ root: runcRoot }).finish();
  const options = { typeUrl: 'containerd.runc.v1.Options', value };
  const context: Context = {
    ...containerd,
    containerd,
    options,
    runcRoot,
    sandboxes: sandboxRecords(containerd),
  };
  return {
    list: () => listContainers(containerd),
    create: (ask) => create(context, ask),
    start: (id) => start(context, id),
    kill: async (id, signal, { all }) => {
      const kill = containerd.tasks.kill({ containerId: id, execId: '', signal, all });
      await tolerate(kill, Status.NOT_FOUND);
    },
    remove: (id) => remove(context, id),
    restart: (id, spec) => restart(context, id, spec),
    relabel: async (id, labels) => {
      const container = { ...EMPTY_RECORD, id, labels: { ...labels } };
      await containerd.containers.update({ container, updateMask: ['labels'] });
    },
  };
};

interface Context extends Pick<Containerd, 'containers' | 'snapshots' | 'tasks'> {
  readonly containerd: Containerd;
  readonly sandboxes: SandboxRecords;
  readonly options: Any;
  readonly runcRoot: string;
}

const create = async (context: Context, ask: CreateAsk): Promise<{ readonly pid: number }> => {
  const { containers, sandboxes, options } = context;
  const { id } = ask;
  const log = ask.logPath === null ? '' : pathToFileURL(ask.logPath).href;
  const container = recordOf(ask, { log, options });
  try {
    await containers.create({ container });
  } catch (error) {
    // Nearly always nothing is there, so nothing is asked before: each question is a round trip.
    if (!hasCode(error, Status.ALREADY_EXISTS)) throw error;
    const task = await getTask(context, id);
    if (task !== null) return pidOf(id, task);
    // What an earlier attempt left behind has another specification perhaps: it is made anew.
    await remove(context, id);
    await containers.create({ container });
  }
  try {
    await sandboxes.create(id, options);
    const mounts = await ownLayer(context, ask);
    return await createTask(context, { id, mounts, log });
  } catch (error) {
    await remove(context, id).catch(() => undefined);
    throw error;
  }
};

const recordOf = (
  ask: CreateAsk,
  { log, options }: { readonly log: string; readonly options: Any },
): Container => ({
  ...EMPTY_RECORD,
  id: ask.id,
  labels: { ...ask.labels },
  image: ask.image.name,
  runtime: { name: RUNTIME, options },
  spec: specAny(ask.spec),
  snapshotter: SNAPSHOTTER,
  snapshotKey: ask.id,
  extensions: { [LOG_EXTENSION]: { typeUrl: LOG_EXTENSION, value: Buffer.from(log) } },
});

/** The container's own layer; one that an earlier attempt left is thrown away first. */
const ownLayer = async (context: Context, ask: CreateAsk): Promise<Mount[]> => {
  const key = ask.id;
  const prepare = () => prepareSnapshot(context, { key, parent: ask.image.chainId, labels: {} });
  try {
    return await prepare();
  } catch (error) {
    if (hasCode(error, Status.NOT_FOUND)) throw imageGone(ask, error);
    if (!hasCode(error, Status.ALREADY_EXISTS)) throw error;
    const { snapshots } = context;
    await tolerate(snapshots.remove({ snapshotter: SNAPSHOTTER, key }), Status.NOT_FOUND);
    return prepare();
  }
};

const createTask = async (
  { tasks, runcRoot, containerd: { namespace } }: Context,
  { id, mounts, log }: { readonly id: string; readonly mounts: Mount[]; readonly log: string },
): Promise<{ readonly pid: number }> => {
  const io = { stdin: '', ...(await openOutput(log)), terminal: false };
  let isCleared = false;
  for (let waitedMs = 0; ; waitedMs += DEATH_POLL_MS)
    try {
      const { pid } = await tasks.create({ containerId: id, rootfs: mounts, ...io });
      return { pid };
    } catch (error) {
      const mayClear = !isCleared;
      isCleared = true;
      if (mayClear && (await clearLeftover(error, { id, namespace, runcRoot }))) continue;
      // containerd is still clearing up behind a shim that died: the old task is half gone.
      if (!hasCode(error, Status.ALREADY_EXISTS) || waitedMs > CLEAR_UP_MAX_MS) throw error;
      await sleep(DEATH_POLL_MS);
    }
};

const start = async (context: Context, id: string): Promise<void> => {
  try {
    await context.tasks.start({ containerId: id, execId: '' });
  } catch (error) {
    // Started before: containerd answers "unknown" here, so the state decides.
    const doubtful = hasCode(error, Status.UNKNOWN, Status.FAILED_PRECONDITION);
    const task = doubtful ? await getTask(context, id) : null;
    if (task?.status !== TaskStatus.RUNNING) throw error;
  }
};

const restart = async (
  context: Context,
  id: string,
  spec: OciSpec | null,
): Promise<{ readonly pid: number }> => {
  const { containers, sandboxes, snapshots, options } = context;
  const record = await getRecord(context, id);
  if (record === null)
    throw new RuntimeError('not-found', `Container ${id} is not there, so it cannot restart.`);
  await endTask(context, id);
  if (spec !== null) {
    const container = { ...EMPTY_RECORD, id, spec: specAny(spec) };
    await containers.update({ container, updateMask: ['spec'] });
  }
  await sandboxes.create(id, options);
  const { mounts } = await snapshots.mounts({ snapshotter: SNAPSHOTTER, key: id });
  const log = record.extensions[LOG_EXTENSION]?.value ?? new Uint8Array(0);
  return createTask(context, { id, mounts, log: await nextLog(Buffer.from(log).toString()) });
};

const remove = async (context: Context, id: string): Promise<void> => {
  const { containerd, containers, sandboxes, snapshots } = context;
  if ((await getRecord(context, id)) === null && (await isOrphan(containerd, id)))
    // A task whose record went can be stopped again as soon as there is any record of its name.
    await containers.create({ container: { ...EMPTY_RECORD, id, runtime: { name: RUNTIME } } });
  await endTask(context, id);
  await sandboxes.delete(id);
  await tolerate(containers.delete({ id }), Status.NOT_FOUND);
  await tolerate(snapshots.remove({ snapshotter: SNAPSHOTTER, key: id }), Status.NOT_FOUND);
};

/** SIGKILL, wait, delete; absent is fine. */
const endTask = async (context: Context, id: string): Promise<void> => {
  const { tasks, containerd } = context;
  const task = await getTask(context, id);
  // containerd may have died between the start of the shim and its first answer: then it knows a
  // task that has no process, shows it nowhere, and makes no other of that name until it is deleted.
  if (task !== null && task.status !== TaskStatus.STOPPED) {
    const kill = tasks.kill({ containerId: id, signal: SIGKILL, all: true });
    await tolerate(kill, Status.NOT_FOUND);
    await untilDead(containerd, id);
  }
  await tolerate(tasks.delete({ containerId: id }), Status.NOT_FOUND);
};

const getTask = async ({ tasks }: Context, id: string): Promise<Process | null> =>
  (await tolerate(tasks.get({ containerId: id }), Status.NOT_FOUND))?.process ?? null;

const getRecord = async ({ containers }: Context, id: string): Promise<Container | null> =>
  (await tolerate(containers.get({ id }), Status.NOT_FOUND))?.container ?? null;

const EMPTY_RECORD: Container = {
  id: '',
  labels: {},
  image: '',
  runtime: undefined,
  spec: { typeUrl: SPEC_TYPE, value: Buffer.from('{}') },
  snapshotter: '',
  snapshotKey: '',
  extensions: {},
};

const specAny = (spec: OciSpec): Any => ({
  typeUrl: SPEC_TYPE,
  value: Buffer.from(JSON.stringify(spec)),
});

const pidOf = (id: string, { pid, status }: Process): { readonly pid: number } => {
  if (status !== TaskStatus.STOPPED) return { pid };
  throw new RuntimeError(
    'already-exists',
    `Container ${id} has run and ended; restart it, or remove it before it is created anew.`,
  );
};

const imageGone = ({ image }: CreateAsk, cause: unknown): RuntimeError =>
  new RuntimeError(
    'not-found',
    `Image ${image.name} is no longer on this node; pull it again.`,
    cause,
  );

/**
 * Wait answers when the process is gone; if its shim dies meanwhile the call is cut, so the task is
 * looked at.
 */
const untilDead = async (containerd: Containerd, id: string): Promise<void> => {
  const limit = AbortSignal.timeout(DEATH_WAIT_MAX_MS);
  while (!limit.aborted) {
    try {
      await containerd.tasks.wait({ containerId: id, execId: '' }, { signal: limit });
      return;
    } catch (error) {
      if (hasCode(error, Status.NOT_FOUND)) return;
      if (limit.aborted) break;
      const task = await tolerate(containerd.tasks.get({ containerId: id }), Status.NOT_FOUND);
      if (task === null || task.process?.status === TaskStatus.STOPPED) return;
      await sleep(DEATH_POLL_MS);
    }
  }
  throw new RuntimeError(
    'other',
    `Container ${id} does not end ${DEATH_WAIT_MAX_MS / 1000} s after SIGKILL; ` +
      'its process waits for the kernel (a disk or a network file system that does not answer?).',
  );
};

const isOrphan = async (containerd: Containerd, id: string): Promise<boolean> =>
  (await containerd.tasks.list({ filter: '' })).tasks.some((task) => task.id === id);

/**
 * Records joined with tasks, by id. The two lists are not of one instant: a record without a task
 * is looked at again, so that a container that is being removed does not seem to have died.
 */
const listContainers = async (containerd: Containerd): Promise<readonly RuntimeContainer[]> => {
  const records = await listRecords(containerd);
  const processes = (await containerd.tasks.list({ filter: '' })).tasks;
  const byId = new Map(processes.map((process) => [process.id, process]));
  const known = new Set(records.map(({ id }) => id));
  const listed: RuntimeContainer[] = [];
  for (const record of records) {
    const process = byId.get(record.id) ?? (await lookAgain(containerd, record.id));
    if (process !== 'gone') listed.push(toContainer(record, process));
  }
  for (const process of processes)
    if (!known.has(process.id) && (await lookAgain(containerd, process.id)) === 'gone')
      listed.push(toContainer({ ...EMPTY_RECORD, id: process.id }, process));
  return listed.toSorted((a, b) => compareText(a.id, b.id));
};

/** As a stream: with their specifications, a thousand records are near the largest message. */
const listRecords = async ({ containers }: Containerd): Promise<readonly Container[]> => {
  const records: Container[] = [];
  const signal = AbortSignal.timeout(LIST_MAX_MS);
  try {
    for await (const { container } of containers.listStream({ filters: [] }, { signal }))
      if (container !== undefined) records.push(container);
    return records;
  } catch (error) {
    if (!signal.aborted) throw error;
    const message = `containerd did not list its containers within ${LIST_MAX_MS / 1000} s.`;
    throw new RuntimeError('unavailable', message, error);
  }
};

const lookAgain = async (containerd: Containerd, id: string): Promise<Process | null | 'gone'> => {
  const task = await tolerate(containerd.tasks.get({ containerId: id }), Status.NOT_FOUND);
  if (task?.process !== undefined) return task.process;
  const record = await tolerate(containerd.containers.get({ id }), Status.NOT_FOUND);
  return record === null ? 'gone' : null;
};

const toContainer = (record: Container, process: Process | null): RuntimeContainer => {
  const { id, labels, image } = record;
  const base = { id, labels, image };
  if (process === null) return { ...base, task: 'none', pid: null, exit: UNKNOWN_EXIT };
  const task = stateOf(process.status);
  if (task !== 'stopped') return { ...base, task, pid: process.pid, exit: null };
  const exit = toExit(process.exitStatus, process.exitedAt);
  return { ...base, task, pid: null, exit };
};

const stateOf = (status: TaskStatus): RuntimeContainer['task'] => {
  switch (status) {
    case TaskStatus.CREATED:
      return 'created';
    case TaskStatus.RUNNING:
      return 'running';
    case TaskStatus.PAUSED:
    case TaskStatus.PAUSING:
      return 'paused';
    case TaskStatus.STOPPED:
      return 'stopped';
    case TaskStatus.UNKNOWN:
    case TaskStatus.UNRECOGNIZED:
      return 'none';
  }
};

/** Highest number of a signal. */
const SIGNAL_MAX = 64;

/**
 * containerd reports 128 + n for a process that signal n ended; a shell reports the same for its
 * child, so the signal is what was most likely. The code is always the one reported.
 */
export const toExit = (code: number, at: Date | undefined): TaskExit => {
  const signal = code > 128 && code <= 128 + SIGNAL_MAX ? code - 128 : null;
  // Go's zero time lies before 1970 and means that the time is not known.
  const known = at !== undefined && at.getTime() > 0 ? at.getTime() : null;
  return { code, signal, known: true, at: known };
};
