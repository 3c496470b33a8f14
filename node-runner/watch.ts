// How the runner learns what is: events, lists, measurements.
// In: the ports. Out: facts in the state. Lists come at the start, after every gap in the events,
// when something was not as expected, and once a minute; never in every look.
// Not here: what follows from facts (decide/), when the loop looks (tick.ts).

import type { NodeOrders } from '../schema/orders.ts';
import type { Ms, Resources } from '../schema/spec.ts';
import type { Bell } from './bell.ts';
import { RELIST_AGAIN_MS, UNWATCHED_MS } from './config.ts';
import { imageKey, networkKey, volumeKey } from './decide/action.ts';
import { taskCgroup } from './decide/oci-spec.ts';
import { asFailure } from './perform.ts';
import type { ImageFacts, NetworkFacts, RunnerPorts } from './ports.ts';
import type { RunnerState } from './state.ts';
import { heardEvent, listed } from './state.ts';

export interface Loop {
  readonly ports: RunnerPorts;
  readonly state: RunnerState;
  readonly signal: AbortSignal;
  readonly bell: Bell;
  /** Names of what goes on beside the loop. */
  readonly busy: Set<string>;
  /** Orders that were accepted and could not be written down yet. */
  unwritten: NodeOrders | null;
  /** Silences so long that copies may have been replaced elsewhere (rules 9.4). */
  silences: number;
  /** Copies that may be found, as of the last look; they changed since the last report. */
  named: string;
  news: boolean;
  /** null before the first. */
  listedAt: Ms | null;
  measuredAt: Ms | null;
  /** When it looked last; null: never. */
  lookedAt: Ms | null;
  /** The last contact is on the disk, or nobody needs it there. */
  contactKept: boolean;
}

/** The runner is at work now; after a time without a look what it watches begins anew. */
export const watches = (loop: Pick<Loop, 'state' | 'lookedAt'>, now: Ms): void => {
  if (loop.lookedAt === null || now - loop.lookedAt > UNWATCHED_MS) loop.state.watchedSince = now;
  loop.lookedAt = now;
};

/** Follows containerd's events until the signal; a stream that breaks is opened again. */
export const followEvents = async (loop: Loop): Promise<void> => {
  const { ports, state, signal, bell } = loop;
  while (!signal.aborted) {
    try {
      for await (const event of ports.runtime.events(signal)) {
        if (signal.aborted) return;
        heardEvent(state, event);
        bell.ring();
      }
    } catch (thrown) {
      if (signal.aborted) return;
      ports.log.warn({}, `events of containerd were lost: ${asFailure(thrown).message}`);
    }
    state.relist = true;
    bell.ring();
    await ports.clock.sleepUntil(ports.clock.now() + RELIST_AGAIN_MS, signal).catch(() => {});
  }
};

/**
 * Containers, images and networks as they are; what changed while the list was made is newer than
 * the list.
 */
export const list = async (loop: Loop): Promise<void> => {
  const { ports, state } = loop;
  state.relist = false;
  state.touched.clear();
  try {
    const [containers, images, networks, volumes] = await Promise.all([
      ports.runtime.list(),
      ports.runtime.images(),
      ports.network.list(),
      // What was known stays: nothing but the removal of ended volumes depends on it.
      ports.store.volumes().catch(() => null),
    ]);
    listed(state, containers);
    replaceImages(state, images);
    replaceNetworks(state, networks);
    if (volumes !== null) replaceVolumes(state, volumes);
    state.runtimeSilent = null;
    loop.listedAt = ports.clock.now();
  } catch (thrown) {
    const { message } = asFailure(thrown);
    state.relist = true;
    state.changed ||= state.runtimeSilent === null;
    state.runtimeSilent = message;
    if (loop.listedAt !== null) loop.listedAt = ports.clock.now();
    ports.log.warn({}, `containerd could not be listed: ${message}`);
  }
};

const replaceImages = (state: RunnerState, images: readonly ImageFacts[]): void => {
  const fresh = (name: string): boolean =>
    state.touched.has(imageKey(name)) || state.inFlight.has(imageKey(name));
  const seen = new Set(images.map(({ name }) => name));
  for (const name of state.images.keys()) {
    if (!seen.has(name) && !fresh(name)) state.images.delete(name);
  }
  for (const image of images) if (!fresh(image.name)) state.images.set(image.name, image);
};

const replaceNetworks = (state: RunnerState, networks: readonly NetworkFacts[]): void => {
  const fresh = (id: string): boolean =>
    state.touched.has(networkKey(id)) || state.inFlight.has(networkKey(id));
  const seen = new Set(networks.map(({ allocation }) => allocation));
  for (const id of state.networks.keys()) {
    if (!seen.has(id) && !fresh(id)) state.networks.delete(id);
  }
  for (const network of networks) {
    if (!fresh(network.allocation)) state.networks.set(network.allocation, network);
  }
};

/** One that was removed meanwhile is gone; one that was made meanwhile is in the next list. */
const replaceVolumes = (state: RunnerState, volumes: readonly string[]): void => {
  const fresh = (name: string): boolean =>
    state.touched.has(volumeKey(name)) || state.inFlight.has(volumeKey(name));
  const before = state.volumes;
  state.volumes = new Set(volumes.filter((name) => !fresh(name) || before?.has(name) === true));
};

/** Use, disk and ports. Each may fail alone: the last known value stays. */
export const measure = async (loop: Loop): Promise<void> => {
  const { ports, state } = loop;
  const [usage, disk, taken] = await Promise.allSettled([
    readUsage(loop),
    ports.usage.diskFree(),
    ports.network.portsTaken(),
  ]);
  if (usage.status === 'fulfilled') state.usage = usage.value;
  if (disk.status === 'fulfilled') state.disk = disk.value;
  if (taken.status === 'fulfilled') await replacePorts(loop, taken.value);
  for (const result of [usage, disk, taken]) {
    if (result.status === 'rejected') {
      ports.log.warn({}, `a measurement failed: ${asFailure(result.reason).message}`);
    }
  }
  loop.measuredAt = ports.clock.now();
};

/** Who holds them is asked only when there are others: it takes a look at all processes. */
const replacePorts = async ({ ports, state }: Loop, taken: readonly number[]): Promise<void> => {
  const before = state.portsTaken;
  if (taken.length === before.size && taken.every((port) => before.has(port))) return;
  state.portsTaken = new Set(taken);
  try {
    state.portHolders = await ports.network.portHolders();
  } catch (thrown) {
    state.portHolders = new Map();
    ports.log.warn({}, `nobody knows who holds the host ports: ${asFailure(thrown).message}`);
  }
};

/** Sum over the tasks of each allocation. */
const readUsage = async ({ ports, state }: Loop): Promise<ReadonlyMap<string, Resources>> => {
  const cgroups = new Map<string, string>();
  for (const { allocation, tasks } of state.marks.values()) {
    for (const { name, run } of tasks) {
      if (run !== 'open') continue;
      cgroups.set(taskCgroup(state.node.cgroupParent, allocation, name), allocation);
    }
  }
  const sums = new Map<string, Resources>();
  if (cgroups.size === 0) return sums;
  for (const [cgroup, used] of await ports.usage.read([...cgroups.keys()])) {
    const allocation = cgroups.get(cgroup);
    if (allocation === undefined) continue;
    const before = sums.get(allocation) ?? { cpuMilli: 0, memoryBytes: 0 };
    sums.set(allocation, {
      cpuMilli: before.cpuMilli + used.cpuMilli,
      memoryBytes: before.memoryBytes + used.memoryBytes,
    });
  }
  return sums;
};
