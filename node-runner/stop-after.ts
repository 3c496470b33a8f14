// Tells the watchdog until when each group with stop_after may run, should this runner die (rules
// 9.3).
// In: what the tick knows. Out: deadlines, set again and again as contact is renewed, and before a
// container starts. The runner itself stops such groups a little earlier and in order (decide); the
// watchdog is for when there is no runner. Not here: the script.

import { containerId } from '../schema/ids.ts';
import type { Ms } from '../schema/spec.ts';
import { isPoststop, stopDelayMs } from '../schema/lifecycle.ts';
import type { Inventory } from './decide/inventory.ts';
import { taskCgroup } from './decide/oci-spec.ts';
import { goneAfterMs, stopAfterAt } from './decide/stop-after.ts';
import type { Watchdog, WatchdogDeadline } from './edge/watchdog.ts';
import type { RunnerClock, RunnerLog, RuntimePort } from './ports.ts';

/** How often deadlines are moved on: well below the smallest stop_after that makes sense (5 s). */
const EVERY_MS = 1000;
/** The watchdog waits this much longer than the runner would. */
const MARGIN_MS = 1000;

export interface StopAfterOptions {
  readonly watchdog: Watchdog;
  readonly inventory: () => Inventory;
  readonly clock: Pick<RunnerClock, 'now' | 'sleepUntil'>;
  /** The folder with `cgroup.procs` of a cgroup (usage.ts: procsFolder). */
  readonly folderOf: (cgroup: string) => string;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
}

/** Runs until the signal; deadlines stay behind, which is the point. */
export const guardStopAfter = async (options: StopAfterOptions): Promise<void> => {
  const { clock, signal } = options;
  let had = 0;
  while (!signal.aborted) {
    const deadlines = deadlinesOf(options);
    if (deadlines.length > 0 || had > 0) {
      await options.watchdog.set(deadlines).catch((error: unknown) => {
        options.log.error({ error: String(error) }, 'the watchdog of stop_after cannot be told');
      });
    }
    had = deadlines.length;
    await clock.sleepUntil(clock.now() + EVERY_MS, signal).catch(() => undefined);
  }
};

/**
 * The runtime, but no container of a group with stop_after starts before the watchdog knows it: a
 * runner that dies right after the start would leave it running for ever. Nor does one start that
 * is to end by now: a runner that was suspended since it decided so goes on where it was. Once the
 * watchdog knows it, one that is suspended later finds it ended.
 */
export const startsGuarded = (
  runtime: RuntimePort,
  options: Pick<StopAfterOptions, 'watchdog' | 'inventory' | 'folderOf' | 'clock'>,
): RuntimePort => ({
  ...runtime,
  start: async (id) => {
    const pid = options.inventory().containers.get(id)?.pid ?? null;
    const deadlines = deadlinesOf(options);
    const own = deadlines.find((deadline) => deadline.pid === pid);
    if (own !== undefined) {
      await options.watchdog.set(deadlines);
      if (options.clock.now() >= own.stopAt) {
        throw new Error('it was not started: no reconciler has answered for its stop_after');
      }
    }
    await runtime.start(id);
  },
});

interface Deadline extends WatchdogDeadline {
  /** From when on a runner that lives starts it no more. */
  readonly stopAt: Ms;
}

const deadlinesOf = ({
  inventory,
  folderOf,
}: Pick<StopAfterOptions, 'inventory' | 'folderOf'>): readonly Deadline[] => {
  const { marks, containers, contactAt, node } = inventory();
  return [...marks.values()].flatMap(({ allocation, body }) => {
    const at = stopAfterAt(body.spec.stopAfterMs, contactAt);
    if (at === null || !Number.isFinite(at)) return [];
    const { shutdownDelayMs, tasks } = body.spec;
    const goneAt = contactAt === null ? at : contactAt + goneAfterMs(body.spec);
    return tasks.flatMap((task) => {
      const pid = containers.get(containerId(allocation, task.name))?.pid ?? null;
      if (pid === null) return [];
      // A poststop task is the end of the stop: it has until all of it must be over.
      const isLast = isPoststop(task);
      const signalAt = isLast ? goneAt : at + shutdownDelayMs + stopDelayMs(tasks, task.name);
      const termAt = signalAt + MARGIN_MS;
      return {
        stopAt: isLast ? goneAt : at,
        termAt,
        killAt: isLast ? termAt : termAt + task.killTimeoutMs,
        signal: task.killSignal.replace(/^SIG/, ''),
        pid,
        cgroupFolder: folderOf(taskCgroup(node.cgroupParent, allocation, task.name)),
      };
    });
  });
};
