// A machine with a containerd on it: images, containers and their tasks, which go on when the
// runner is dead.
// In: calls of RuntimePort. Out: what containerd would answer, late or wrongly when told to be so.
// Not here: what images do (registry.ts), the network and the disk of the machine (node.ts).

import type {
  CreateAsk,
  ImageFacts,
  OciSpec,
  RuntimeContainer,
  RuntimeEvent,
  TaskExit,
} from '../../../node-runner/ports.ts';
import { RuntimeError } from '../../../node-runner/edge/runtime-error.ts';
import { compareText } from '../../../schema/ids.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { SimTime } from '../time.ts';
import { GOOD, type Behaviour, type Registry } from './registry.ts';

export interface SimContainer {
  readonly id: string;
  labels: Readonly<Record<string, string>>;
  readonly image: ImageFacts;
  /** Of the command that its specification names. */
  behaviour: Behaviour;
  task: RuntimeContainer['task'];
  pid: number | null;
  exit: TaskExit | null;
  /** World time at which the task began to run. */
  startedAt: Ms;
  /** The task was told to end. */
  isTold: boolean;
  /** Takes back the events of this task (crash, end after a signal). */
  timers: (() => void)[];
}

/** How badly containerd behaves on this machine now. */
export interface MachineFaults {
  /** Share of calls that fail before doing anything, and of those that do it and then fail. */
  failBefore: number;
  failAfter: number;
  /** Share of calls that take seconds. */
  late: number;
  /** Longest that a write to the disk may take. */
  diskMs: Ms;
  /** Share of probes that fail although the program is well. */
  flapping: number;
}

export interface Machine {
  readonly name: string;
  readonly faults: MachineFaults;
  readonly images: Map<string, ImageFacts>;
  readonly containers: Map<string, SimContainer>;
  readonly listeners: Set<(event: RuntimeEvent) => void>;
  readonly powered: () => boolean;
  /** Everything that runs ends at once, and nobody hears of it. */
  readonly powerOff: () => void;
  readonly powerOn: () => void;
  /** A new disk: no images, no containers. */
  readonly wipe: () => void;
  readonly create: (ask: CreateAsk) => number;
  readonly start: (id: string) => void;
  readonly signal: (id: string, signal: number) => void;
  readonly remove: (id: string) => void;
  /** Another task of the same container, by another specification unless that is null. */
  readonly again: (id: string, spec: OciSpec | null) => number;
  readonly list: () => readonly RuntimeContainer[];
  readonly find: (id: string) => SimContainer;
  /** The program answers its checks now. */
  readonly well: (container: SimContainer) => boolean;
}

/** Called for what a checker wants to see: the truth, at the moment it happens. */
export interface MachineWatch {
  readonly started: (machine: Machine, container: SimContainer) => void;
  readonly ended: (machine: Machine, container: SimContainer) => void;
  /** A task that runs is about to get a signal. */
  readonly signalled: (machine: Machine, container: SimContainer) => void;
}

export interface MachineOptions {
  readonly time: SimTime;
  readonly name: string;
  readonly registry: Registry;
  readonly watch: MachineWatch;
}

const SIGKILL = 9;
/** What runc's first process ends with when a signal comes before the program was started. */
const ENDED_BEFORE_START = 2;
/** What containerd says of a record whose task is gone. */
const UNKNOWN_EXIT: TaskExit = { code: null, signal: null, known: false, at: null };
/** What the disk takes when it is well. */
export const DISK_MS: Ms = 2;
/** A killed process is gone after this long. */
const KILL_TAKES_MS = 10;

export const createMachine = ({ time, name, registry, watch }: MachineOptions): Machine => {
  let powered = true;
  let pids = 100;
  const containers = new Map<string, SimContainer>();
  const listeners = new Set<(event: RuntimeEvent) => void>();

  const find = (id: string): SimContainer => {
    const container = containers.get(id);
    if (container === undefined)
      throw new RuntimeError('not-found', `There is no container ${id}.`);
    return container;
  };
  const forgetTask = (container: SimContainer): void => {
    for (const cancel of container.timers) cancel();
    container.timers = [];
  };
  const end = (container: SimContainer, exit: TaskExit, outOfMemory: boolean): void => {
    const ran = container.task === 'running';
    if (!ran && container.task !== 'created') return;
    forgetTask(container);
    Object.assign(container, { task: 'stopped', exit });
    if (outOfMemory) tell({ kind: 'oom', container: container.id });
    tell({ kind: 'exit', container: container.id, exit });
    if (ran) watch.ended(machine, container);
  };
  const tell = (event: RuntimeEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const endAfter = (container: SimContainer, delayMs: Ms, exit: () => TaskExit): void => {
    const oom = container.behaviour.crash?.outOfMemory === true;
    const label = `${name} ${container.id} ends`;
    const run = (): void => end(container, exit(), oom && exit().signal === SIGKILL);
    container.timers.push(time.after(delayMs, label, run));
  };
  const exitOf = (code: number, signal: number | null): TaskExit => ({
    code: signal === null ? code : 128 + signal,
    signal,
    known: true,
    at: Math.floor(time.now()),
  });

  /** Leaves no task where the command is not in the image. */
  const newTask = (container: SimContainer, spec: OciSpec | null): number => {
    Object.assign(container, { task: 'none', pid: null, exit: null });
    const { digest } = container.image;
    const behaviour =
      spec === null ? container.behaviour : registry.program(digest, commandOf(spec))?.behaviour;
    if (behaviour === undefined) {
      throw new RuntimeError('command-not-found', `${container.image.name}: no such command.`);
    }
    pids += 1;
    Object.assign(container, { behaviour, task: 'created', pid: pids });
    return pids;
  };
  const create = (ask: CreateAsk): number => {
    const known = containers.get(ask.id);
    if (known?.task === 'stopped') {
      throw new RuntimeError('already-exists', `Container ${ask.id} has run and ended.`);
    }
    if (known !== undefined && known.task !== 'none' && known.pid !== null) return known.pid;
    containers.delete(ask.id);
    if (!machine.images.has(ask.image.name)) {
      throw new RuntimeError('not-found', `There is no image ${ask.image.name}.`);
    }
    const container: SimContainer = {
      id: ask.id,
      labels: ask.labels,
      image: ask.image,
      behaviour: GOOD,
      task: 'none',
      pid: null,
      exit: null,
      startedAt: 0,
      isTold: false,
      timers: [],
    };
    const pid = newTask(container, ask.spec);
    containers.set(ask.id, container);
    return pid;
  };
  const start = (id: string): void => {
    const container = find(id);
    if (container.task === 'running') return;
    if (container.task === 'none') throw new RuntimeError('not-found', `${id} has no task.`);
    if (container.task !== 'created') throw new RuntimeError('other', `${id} has ended.`);
    Object.assign(container, { task: 'running', startedAt: time.now(), isTold: false });
    const { crash } = container.behaviour;
    if (crash !== null) {
      const exit = crash.outOfMemory ? exitOf(0, SIGKILL) : exitOf(crash.code, null);
      endAfter(container, crash.afterMs, () => exit);
    }
    watch.started(machine, container);
  };
  const signal = (id: string, number: number): void => {
    const container = containers.get(id);
    if (container === undefined || container.pid === null) return;
    if (container.task === 'running') watch.signalled(machine, container);
    container.isTold = true;
    const { stopsAfterMs } = container.behaviour;
    if (number === SIGKILL) endAfter(container, KILL_TAKES_MS, () => exitOf(0, SIGKILL));
    else if (container.task === 'created')
      endAfter(container, KILL_TAKES_MS, () => exitOf(ENDED_BEFORE_START, null));
    else if (stopsAfterMs !== null) endAfter(container, stopsAfterMs, () => exitOf(0, null));
  };
  const remove = (id: string): void => {
    const container = containers.get(id);
    if (container === undefined) return;
    end(container, exitOf(0, SIGKILL), false);
    containers.delete(id);
  };
  const again = (id: string, spec: OciSpec | null): number => {
    const container = find(id);
    end(container, exitOf(0, SIGKILL), false);
    return newTask(container, spec);
  };
  const powerOff = (): void => {
    powered = false;
    for (const container of containers.values()) {
      const ran = container.task === 'running';
      forgetTask(container);
      Object.assign(container, { task: 'none', pid: null, exit: null });
      if (ran) watch.ended(machine, container);
    }
  };
  const machine: Machine = {
    name,
    faults: { failBefore: 0, failAfter: 0, late: 0, diskMs: DISK_MS, flapping: 0 },
    images: new Map(),
    containers,
    listeners,
    powered: () => powered,
    powerOff,
    powerOn: () => {
      powered = true;
    },
    wipe: () => {
      containers.clear();
      machine.images.clear();
    },
    create,
    start,
    signal,
    remove,
    again,
    find,
    list: () =>
      [...containers.values()]
        .map((container) => snapshot(container))
        .toSorted((a, b) => compareText(a.id, b.id)),
    well: ({ task, startedAt, behaviour: { healthyAfterMs } }) =>
      task === 'running' && healthyAfterMs !== null && time.now() - startedAt >= healthyAfterMs,
  };
  return machine;
};

const snapshot = ({ id, labels, image, task, pid, exit }: SimContainer): RuntimeContainer => ({
  id,
  labels,
  image: image.name,
  task,
  pid: task === 'created' || task === 'running' ? pid : null,
  exit: task === 'none' ? UNKNOWN_EXIT : exit,
});

/** The first word of what a specification runs. */
const commandOf = ({ process }: OciSpec): string => {
  const { args } = process as { readonly args: readonly string[] };
  return args[0] ?? '';
};
