// A small world for the runner's loop: containerd, network, disk, link and clock in memory, under
// virtual time, or a real clock. In: what the test says happens. Out: RunnerPorts, and what was asked
// of them.
// Faults are set per call name. Not here: the cluster's simulator (test/sim), which has partitions
// and many nodes.

import type { NodeOrders, NodeReport } from '../../schema/orders.ts';
import type {
  Contact,
  CreateAsk,
  ImageFacts,
  ProbeAnswer,
  RunnerClock,
  RunnerPorts,
  RuntimeContainer,
  RuntimeEvent,
  RuntimeFailure,
  TaskExit,
} from '../../node-runner/ports.ts';

interface Sleeper {
  readonly at: number;
  readonly done: () => void;
}

export interface World {
  readonly ports: RunnerPorts;
  readonly calls: string[];
  readonly reports: NodeReport[];
  readonly containers: Map<string, RuntimeContainer>;
  /** Lets virtual time pass. */
  readonly advance: (ms: number) => Promise<void>;
  readonly send: (orders: NodeOrders) => void;
  /** The container's process ends by itself. */
  readonly exits: (id: string, exit: Partial<TaskExit>, outOfMemory?: boolean) => void;
  /** containerd loses the task: the record stays, nothing is said, and events come anew. */
  readonly lose: (id: string) => void;
  readonly last: () => NodeReport;
  /** Call name → failure thrown instead of the answer. */
  readonly faults: Map<string, RuntimeFailure>;
  /** Containers that ignore the first signal. */
  readonly stubborn: Set<string>;
  /** What a container has written. */
  readonly logs: Map<string, string>;
  /** Folders of named volumes. */
  readonly volumes: Set<string>;
  answer: ProbeAnswer;
  /** How long a write of marks takes, in milliseconds. */
  writeMs: number;
  acknowledged: number | null;
  /** Time of one create. */
  createMs: number;
  readonly disk: { orders: NodeOrders | null; marks: unknown; contact?: Contact };
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((done) => setImmediate(done));
};

const image = (name: string): ImageFacts => ({
  name,
  digest: name.slice(name.indexOf('@') + 1),
  chainId: 'sha256:chain',
  sizeBytes: 1000,
  entrypoint: [],
  command: ['/bin/server'],
  environment: ['PATH=/bin'],
  workingDir: '',
  user: '',
  stopSignal: null,
});

/** @param disk what an earlier life of the runner left behind */
export const createWorld = (
  disk: World['disk'] = { orders: null, marks: null },
  containers = new Map<string, RuntimeContainer>(),
  real: RunnerClock | null = null,
): World => {
  let now = 1000;
  let inbox: NodeOrders | null = null;
  let wakeLink: () => void = () => {};
  const events: RuntimeEvent[] = [{ kind: 'resync' }];
  let wakeEvents: () => void = () => {};
  let pid = 100;
  const sleepers = new Set<Sleeper>();
  const images = new Map<string, ImageFacts>();
  const networks = new Map<string, string>();

  const virtualSleep = (at: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (at <= now || signal.aborted) {
        resolve();
        return;
      }
      const sleeper: Sleeper = {
        at,
        done: () => {
          sleepers.delete(sleeper);
          resolve();
        },
      };
      sleepers.add(sleeper);
      signal.addEventListener('abort', sleeper.done, { once: true });
    });
  const clock = real ?? { now: () => now, bootId: 'boot-1', sleepUntil: virtualSleep };
  const sleep = (ms: number): Promise<void> =>
    clock.sleepUntil(clock.now() + ms, new AbortController().signal);

  const call = (name: string, detail: string): void => {
    world.calls.push(detail === '' ? name : `${name} ${detail}`);
    const fault = world.faults.get(`${name} ${detail}`) ?? world.faults.get(name);
    // eslint-disable-next-line no-throw-literal
    if (fault !== undefined) throw fault;
  };
  const put = (id: string, change: Partial<RuntimeContainer>): void => {
    const before = containers.get(id);
    if (before !== undefined) containers.set(id, { ...before, ...change });
  };
  const emit = (event: RuntimeEvent): void => {
    events.push(event);
    wakeEvents();
  };
  const die = (id: string, exit: Partial<TaskExit>): void => {
    const full: TaskExit = { code: 0, signal: null, known: true, at: null, ...exit };
    put(id, { task: 'stopped', pid: null, exit: full });
    emit({ kind: 'exit', container: id, exit: full });
  };

  const world: World = {
    calls: [],
    reports: [],
    containers,
    faults: new Map(),
    stubborn: new Set(),
    logs: new Map(),
    volumes: new Set(),
    answer: { ok: true },
    writeMs: 0,
    acknowledged: null,
    createMs: 60,
    disk,
    advance: async (ms) => {
      const end = now + ms;
      for (;;) {
        await settle();
        const [next] = [...sleepers].toSorted((a, b) => a.at - b.at);
        if (next === undefined || next.at > end) break;
        now = next.at;
        next.done();
      }
      now = end;
      await settle();
    },
    send: (orders) => {
      inbox = orders;
      wakeLink();
    },
    exits: (id, exit, outOfMemory = false) => {
      if (outOfMemory) emit({ kind: 'oom', container: id });
      die(id, exit);
    },
    lose: (id) => {
      put(id, { task: 'none', pid: null, exit: null });
      emit({ kind: 'resync' });
    },
    last: () => {
      const report = world.reports.at(-1);
      if (report === undefined) throw new Error('nothing was reported');
      return report;
    },
    ports: {
      runtime: {
        version: async () => 'test',
        list: async () => {
          call('list', '');
          return [...containers.values()];
        },
        images: async () => [...images.values()],
        pull: async ({ repository, digest }) => {
          await sleep(20);
          const name = `${repository}@${digest}`;
          call('pull', name);
          images.set(name, image(name));
          return image(name);
        },
        removeImage: async (name) => {
          call('removeImage', name);
          images.delete(name);
        },
        resolveUser: async () => ({ uid: 1, gid: 1, additionalGids: [] }),
        create: async (ask: CreateAsk) => {
          await sleep(world.createMs);
          call('create', ask.id);
          pid += 1;
          const { id, labels } = ask;
          const name = ask.image.name;
          containers.set(id, { id, labels, image: name, task: 'created', pid, exit: null });
          return { pid };
        },
        start: async (id) => {
          await sleep(10);
          call('start', id);
          put(id, { task: 'running' });
        },
        kill: async (id, signal) => {
          call('kill', `${id} ${signal}`);
          if (world.stubborn.has(id) && signal !== 9) return;
          if (containers.get(id)?.task === 'running') die(id, { code: 128 + signal });
        },
        remove: async (id) => {
          await sleep(30);
          call('remove', id);
          containers.delete(id);
        },
        restart: async (id) => {
          await sleep(world.createMs);
          call('restart', id);
          pid += 1;
          put(id, { task: 'created', pid, exit: null });
          return { pid };
        },
        relabel: async (id, labels) => {
          call('relabel', id);
          put(id, { labels });
        },
        exec: async () => {
          throw new Error('no exec in this world');
        },
        events: async function* (signal) {
          for (;;) {
            for (const event of events.splice(0)) yield event;
            if (signal.aborted) return;
            // Something happened while the one before was told.
            if (events.length > 0) continue;
            await new Promise<void>((resolve) => {
              wakeEvents = resolve;
              signal.addEventListener('abort', () => resolve(), { once: true });
            });
          }
        },
      },
      network: {
        setUp: async ({ allocation }) => {
          await sleep(5);
          call('setUp', allocation);
          const path = `/run/netns/${allocation}`;
          networks.set(allocation, path);
          return { allocation, path, address: '10.1.0.2' };
        },
        tearDown: async (allocation) => {
          call('tearDown', allocation);
          networks.delete(allocation);
        },
        list: async () =>
          [...networks].map(([allocation, path]) => ({ allocation, path, address: '10.1.0.2' })),
        portsTaken: async () => [],
        portHolders: async () => new Map(),
      },
      probes: {
        probe: async () => {
          call('probe', '');
          return world.answer;
        },
      },
      store: {
        readOrders: async () => disk.orders,
        writeOrders: async (orders) => {
          call('writeOrders', String(orders.generation));
          disk.orders = structuredClone(orders);
        },
        readMarks: async () => disk.marks,
        writeMarks: async (marks) => {
          if (world.writeMs > 0) await sleep(world.writeMs);
          disk.marks = structuredClone(marks);
        },
        readContact: async () => disk.contact ?? null,
        writeContact: async (contact) => {
          disk.contact = contact;
        },
        prepare: async ({ allocation, tasks, volumes }) => {
          call('prepare', allocation);
          for (const volume of volumes) world.volumes.add(volume);
          const files = tasks.flatMap(({ name, files: own }) =>
            own.map(({ path }) => [`${name}\n${path}`, `/files/${allocation}/${path}`] as const),
          );
          const logs = tasks.map(({ name }) => [name, `/logs/${allocation}/${name}`] as const);
          return {
            files: Object.fromEntries(files),
            volumes: {},
            logs: Object.fromEntries(logs),
          };
        },
        discard: async (allocation) => call('discard', allocation),
        endOfLog: async ({ allocation, task, run }) => {
          call('endOfLog', `${allocation}.${task} ${run}`);
          return world.logs.get(`${allocation}.${task}`) ?? '';
        },
        removeVolume: async (volume) => {
          call('removeVolume', volume);
          world.volumes.delete(volume);
        },
        volumes: async () => [...world.volumes].toSorted(),
      },
      link: {
        take: () => {
          const orders = inbox;
          inbox = null;
          return orders;
        },
        wantsReport: () => false,
        report: (report) => {
          world.reports.push(report);
        },
        watch: (wake) => {
          wakeLink = wake;
          return () => {};
        },
        acknowledged: () => world.acknowledged,
        renew: () => {
          world.calls.push('renew');
        },
      },
      usage: {
        read: async () => new Map(),
        diskFree: async () => ({ freeBytes: 10 ** 12, totalBytes: 10 ** 13 }),
      },
      clock,
      log: { info: () => {}, warn: () => {}, error: () => {} },
    },
  };
  return world;
};

/** Ports' failures, short. */
export const failure = (
  reason: RuntimeFailure['reason'],
  blame: RuntimeFailure['blame'],
  message: string,
): RuntimeFailure => ({ kind: 'runtime-failure', consequence: 'retry', blame, reason, message });
