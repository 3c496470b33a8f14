// What a runner is told once, when it starts, and the limits that it works within.
// In: nothing. Out: types and numbers. Not here: reading flags and files (main), what is decided
// (decide/).

import type { Ms, Resources } from '../schema/spec.ts';
import type { Lane, NodeFacts } from './decide/inventory.ts';

export type RunnerConfig = NodeFacts;

/**
 * Work at once by lane. Creates: four saturate two cores (measured: 17–19 starts a second at 4, no
 * more at 8), and the lanes beside it keep them fed. Pulls: more gain nothing, unpacking is the
 * limit. Probes wait, mostly.
 */
export const LANE_PLACES: Readonly<Record<Lane, number>> = {
  pull: 3,
  network: 4,
  files: 8,
  create: 4,
  start: 4,
  kill: 16,
  remove: 4,
  label: 2,
  probe: 64,
};

/** A report goes out at least this often. */
export const REPORT_EVERY_MS: Ms = 5000;

/**
 * A runner that did not look for so long was suspended, starved or just started, since it looks
 * every few seconds: nobody watched its copies meanwhile.
 */
export const UNWATCHED_MS: Ms = 2 * REPORT_EVERY_MS;

/**
 * Changes that come together are reported together. A report of 2,000 allocations costs about 25
 * ms, so the gap grows with their number: 100 ms for a few, 500 ms for 2,000.
 */
export const reportGapMs = (allocations: number): Ms => 100 + Math.floor(allocations / 5);

/**
 * A copy that is found from now on, or no more, is told of sooner: clients look for it, or still go
 * to it. 10 ms for a few copies, 110 ms for 2,000.
 */
export const newsGapMs = (allocations: number): Ms => 10 + Math.floor(allocations / 20);

/**
 * Shortest time between two looks: a look at 2,000 costs some milliseconds, and their checks alone
 * would ask for 200 looks a second. 0 below 100 allocations, 20 ms for 2,000.
 */
export const lookGapMs = (allocations: number): Ms => Math.floor(allocations / 100);

/** After orders could not be written down. */
export const ORDERS_AGAIN_MS: Ms = 1000;

/** How long the runner waits for work under way when it is told to end. */
export const ENDING_MS: Ms = 5000;

/** containerd is listed anew at least this often even if its events miss nothing. */
export const RELIST_EVERY_MS: Ms = 60_000;

/** After a failed list. */
export const RELIST_AGAIN_MS: Ms = 1000;

/**
 * Images that are gone are forgotten, and the memory of their use with them; most that are
 * remembered.
 */
export const IMAGES_REMEMBERED = 1000;

/** Disk that stays free, where the configuration names none: 1 GiB, room for one large image. */
export const DEFAULT_DISK_RESERVE_BYTES = 1024 ** 3;
/** What the machine keeps for itself: containerd, runner and system. */
export const NODE_RESERVE: Resources = { cpuMilli: 100, memoryBytes: 256 * 1024 * 1024 };
