// Tells the watchdog until when each group with stop_after may run, should this runner die (rules
// 9.3).
// In: what the tick knows. Out: deadlines, set again and again as contact is renewed. The runner
// itself stops such
// groups a little earlier and in order (decide); the watchdog is for when there is no runner. Not
// here: the script.

import { setTimeout as sleep } from 'node:timers/promises';
import { containerId } from '../schema/ids.ts';
import type { Inventory } from './decide/inventory.ts';
import { taskCgroup } from './decide/oci-spec.ts';
import { stopAfterAt } from './decide/stop-after.ts';
import { detectCgroups, procsFolder } from './edge/usage.ts';
import type { Watchdog, WatchdogDeadline } from './edge/watchdog.ts';
import type { RunnerLog } from './ports.ts';

/** How often deadlines are moved on: well below the smallest stop_after that makes sense (5 s). */
const EVERY_MS = 1000;
/** The watchdog waits this much longer than the runner would. */
const MARGIN_MS = 1000;

export interface StopAfterOptions {
  readonly watchdog: Watchdog;
  readonly inventory: () => Inventory;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
}

/** Runs until the signal; deadlines stay behind, which is the point. */
export const guardStopAfter = async (options: StopAfterOptions): Promise<void> => {
  const tree = await detectCgroups();
  const folderOf = (cgroup: string) => procsFolder(tree, cgroup);
  let had = 0;
  while (!options.signal.aborted) {
    const deadlines = deadlinesOf(options.inventory(), folderOf);
    if (deadlines.length > 0 || had > 0) {
      await options.watchdog.set(deadlines).catch((error: unknown) => {
        options.log.error({ error: String(error) }, 'the watchdog of stop_after cannot be told');
      });
    }
    had = deadlines.length;
    await sleep(EVERY_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
};

const deadlinesOf = (
  { marks, containers, contactAt, node }: Inventory,
  folderOf: (cgroup: string) => string,
): readonly WatchdogDeadline[] =>
  [...marks.values()].flatMap(({ allocation, body }) => {
    const at = stopAfterAt(body.spec.stopAfterMs, contactAt);
    if (at === null || !Number.isFinite(at)) return [];
    return body.spec.tasks.flatMap((task) => {
      const pid = containers.get(containerId(allocation, task.name))?.pid ?? null;
      if (pid === null) return [];
      const termAt = at + body.spec.shutdownDelayMs + MARGIN_MS;
      return {
        termAt,
        killAt: termAt + task.killTimeoutMs,
        signal: task.killSignal.replace(/^SIG/, ''),
        pid,
        cgroupFolder: folderOf(taskCgroup(node.cgroupParent, allocation, task.name)),
      };
    });
  });
