// What else a runner finds on its machine: network namespaces, probes, the disk, use, its clock.
// In: a machine, a process, the disk and the clock of the node. Out: the ports.
// Not here: containerd (machine.ts, runtime.ts), the stream to the reconciler (link.ts).

import type {
  Contact,
  NetworkFacts,
  NetworkPort,
  ProbePort,
  RunnerClock,
  StorePort,
  UsagePort,
} from '../../../node-runner/ports.ts';
import { RuntimeError } from '../../../node-runner/edge/runtime-error.ts';
import { abortWith } from '../../../schema/abort-with.ts';
import { ordersHash } from '../../../schema/wire.ts';
import { compareText } from '../../../schema/ids.ts';
import type { NodeOrders } from '../../../schema/orders.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { Process } from '../process.ts';
import type { Random, SimTime } from '../time.ts';
import { ROUND_UP_MS } from './clock.ts';
import { DISK_MS, type Machine } from './machine.ts';

/**
 * What survives the runner: all of it a restart, only the disk's part a reboot, nothing a new disk.
 */
export interface NodeDisk {
  orders: NodeOrders | null;
  marks: unknown;
  contact: Contact | null;
  readonly volumes: Set<string>;
  readonly prepared: Set<string>;
  /** Kernel state: gone after a reboot. */
  readonly networks: Map<string, NetworkFacts>;
  /** Host port → allocation. */
  readonly ports: Map<number, string>;
  /** Addresses given out in this boot. */
  addresses: number;
}

export const createDisk = (): NodeDisk => ({
  orders: null,
  marks: null,
  contact: null,
  volumes: new Set(),
  prepared: new Set(),
  networks: new Map(),
  ports: new Map(),
  addresses: 0,
});

/**
 * The node's boot-time clock: it runs a little fast or slow, and jumps ahead when the machine was
 * suspended.
 */
export interface NodeClock {
  readonly now: () => Ms;
  readonly bootId: () => string;
  readonly jump: (ms: Ms) => void;
  readonly reboot: () => void;
  /** World time at which the clock will show `at`, if nothing jumps. */
  readonly worldTime: (at: Ms) => Ms;
  readonly onJump: Set<() => void>;
}

export const createNodeClock = (time: SimTime, name: string, rate: number): NodeClock => {
  let boots = 0;
  let base: Ms = 60_000;
  let since: Ms = time.now();
  const now = (): Ms => base + (time.now() - since) * rate;
  const onJump = new Set<() => void>();
  return {
    now,
    bootId: () => `${name}-${boots}`,
    jump: (ms) => {
      base = now() + ms;
      since = time.now();
      for (const tell of onJump) tell();
    },
    reboot: () => {
      boots += 1;
      base = 1_000;
      since = time.now();
    },
    worldTime: (at) => since + (at - base) / rate + ROUND_UP_MS,
    onJump,
  };
};

export interface NodeParts {
  readonly time: SimTime;
  readonly process: Process;
  readonly machine: Machine;
  readonly disk: NodeDisk;
  readonly clock: NodeClock;
  /** Called when a set of orders was written, before the runner knows. */
  readonly accepted: (node: string, before: NodeOrders | null, orders: NodeOrders) => void;
}

export const createRunnerClock = ({ process, clock }: NodeParts): RunnerClock => ({
  now: clock.now,
  bootId: clock.bootId(),
  sleepUntil: async (at, signal) => {
    // A jump wakes every sleeper, who looks whether it is time.
    while (clock.now() < at && !signal.aborted) {
      const jumped = new AbortController();
      const tell = (): void => jumped.abort();
      clock.onJump.add(tell);
      const apart = abortWith(signal, jumped);
      await process.sleepUntil(clock.worldTime(at), jumped.signal);
      apart();
      clock.onJump.delete(tell);
    }
  },
});

export const createNetwork = ({ process, disk }: NodeParts): NetworkPort => ({
  setUp: ({ allocation, mode, ports }) =>
    process.call(`network ${allocation}`, 15, () => {
      if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(allocation)) {
        throw new RuntimeError('bad-spec', `"${allocation}" cannot be a name on the node`);
      }
      const known = disk.networks.get(allocation);
      if (known !== undefined) return known;
      const taken = ports.find(({ host }) => disk.ports.has(host));
      if (taken !== undefined) {
        throw new RuntimeError(
          'network',
          `Host port ${taken.host} is taken by another allocation.`,
        );
      }
      disk.addresses += mode === 'none' ? 0 : 1;
      const address =
        mode === 'none' ? null : `10.88.${disk.addresses >> 8}.${disk.addresses & 255}`;
      const facts = { allocation, path: `/run/purser/netns/${allocation}`, address };
      disk.networks.set(allocation, facts);
      for (const { host } of ports) disk.ports.set(host, allocation);
      return facts;
    }),
  tearDown: (allocation) =>
    process.call(`no network ${allocation}`, 15, () => {
      disk.networks.delete(allocation);
      for (const [port, owner] of disk.ports) if (owner === allocation) disk.ports.delete(port);
    }),
  list: () =>
    process.call('networks', DISK_MS, () =>
      [...disk.networks.values()].toSorted((a, b) => compareText(a.allocation, b.allocation)),
    ),
  portsTaken: () => process.call('ports', DISK_MS, () => []),
  portHolders: () => process.call('ports', DISK_MS, () => new Map()),
});

/** A check is answered by the program behind that network namespace. */
export const createProbes = ({ time, process, machine, disk }: NodeParts): ProbePort => {
  const random = time.random.fork(`probes ${process.name}`);
  return {
    probe: ({ netns, address, timeoutMs }) => {
      const network = [...disk.networks.values()].find((facts) =>
        netns === null ? facts.address === address : facts.path === netns,
      );
      const well = (): boolean =>
        [...machine.containers.values()].some(
          (container) =>
            network !== undefined &&
            container.id.startsWith(`${network.allocation}.`) &&
            container.behaviour.isMute !== true &&
            machine.well(container),
        );
      const flaps = random.chance(machine.faults.flapping);
      const latency = flaps ? timeoutMs : random.between(1, 20);
      return process.call(`probe ${network?.allocation}`, latency, () =>
        well() && !flaps
          ? { ok: true as const }
          : { ok: false as const, message: flaps ? 'no answer in time' : 'connection refused' },
      );
    },
  };
};

/** A slow disk takes any time up to its worst. */
export const diskTakes = ({ faults }: Machine, random: Random): Ms =>
  faults.diskMs <= DISK_MS ? DISK_MS : random.between(DISK_MS, faults.diskMs);

const copied = <T>(value: T): T =>
  value === undefined ? value : JSON.parse(JSON.stringify(value));

export const createStore = (parts: NodeParts): StorePort => {
  const { process, disk, machine } = parts;
  const random = parts.time.random.fork(`disk ${process.name}`);
  const call = <T>(label: string, effect: () => T): Promise<T> =>
    process.call(label, diskTakes(machine, random), effect);
  return {
    readOrders: () => call('read orders', () => copied(disk.orders)),
    writeOrders: (orders) =>
      call(`write orders ${orders.generation} ${ordersHash(orders)}`, () => {
        parts.accepted(machine.name, disk.orders, orders);
        disk.orders = copied(orders);
      }),
    readMarks: () => call('read marks', () => copied(disk.marks)),
    writeMarks: (marks) => call('write marks', () => void (disk.marks = copied(marks))),
    readContact: () => call('read contact', () => copied(disk.contact)),
    writeContact: (contact) => call('write contact', () => void (disk.contact = copied(contact))),
    prepare: ({ allocation, tasks, volumes }) =>
      call(`prepare ${allocation}`, () => {
        checkName(allocation);
        disk.prepared.add(allocation);
        for (const volume of volumes) disk.volumes.add(volume);
        const files = tasks.flatMap((task) =>
          task.files.map(({ path }) => [`${task.name}\n${path}`, `/files/${allocation}${path}`]),
        );
        return {
          files: Object.fromEntries(files),
          volumes: Object.fromEntries(volumes.map((name) => [name, `/volumes/${name}`])),
          logs: Object.fromEntries(tasks.map(({ name }) => [name, `/logs/${allocation}.${name}`])),
        };
      }),
    discard: (allocation) =>
      call(`discard ${allocation}`, () => void disk.prepared.delete(allocation)),
    endOfLog: ({ allocation, task }) => call(`log ${allocation}.${task}`, () => ''),
    removeVolume: (volume) =>
      call(`remove ${volume}`, () => {
        checkName(volume);
        disk.volumes.delete(volume);
      }),
    volumes: () => call('volumes', () => [...disk.volumes].toSorted(compareText)),
  };
};

const checkName = (name: string): void => {
  if (/^[\w][\w.-]*$/.test(name)) return;
  throw new RuntimeError('bad-spec', `${name} is no name of a folder.`);
};

export const createUsage = ({ process }: NodeParts): UsagePort => ({
  read: (cgroups) =>
    process.call(
      'usage',
      DISK_MS,
      () => new Map(cgroups.map((path) => [path, { cpuMilli: 10, memoryBytes: 1 << 20 }])),
    ),
  diskFree: () => process.call('disk', DISK_MS, () => ({ freeBytes: 50e9, totalBytes: 100e9 })),
});
