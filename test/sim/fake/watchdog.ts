// The watchdog of stop_after on a simulated machine (rules 9.3): it outlives the runner and asks no
// containerd.
// In: the deadlines that a runner writes. Out: tasks that end in time. It does as
// node-runner/edge/watchdog-script.ts does, once a second of the node's own clock; a reboot ends it.
// Not here: the deadlines (node-runner/stop-after.ts, the real code), the script itself (contract).

import type { Watchdog, WatchdogDeadline } from '../../../node-runner/edge/watchdog.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';
import type { Machine, SimContainer } from './machine.ts';
import { diskTakes, type NodeClock } from './node.ts';

/** What is on the machine: the file of deadlines and the program that reads it. */
export interface WatchdogFile {
  readonly bootId: string;
  readonly deadlines: readonly WatchdogDeadline[];
}

export interface MachineWatchdog {
  /** As one runner process sees it: told now and then, and before a start. */
  readonly port: (process: Process) => WatchdogPorts;
}

export interface WatchdogPorts {
  readonly watchdog: Watchdog;
  readonly atStart: Watchdog;
}

const PAUSE_MS: Ms = 1_000;
/** The program ends after so many looks without a file. */
const MOST_ABSENT = 5;
const SIGTERM = 15;
const SIGKILL = 9;

export interface WatchdogParts {
  readonly time: SimTime;
  readonly machine: Machine;
  readonly clock: NodeClock;
  /** It is about to end a task that runs and that nobody told to end. */
  readonly acts: (container: SimContainer) => void;
}

export const createMachineWatchdog = ({
  time,
  machine,
  clock,
  acts,
}: WatchdogParts): MachineWatchdog => {
  let file: WatchdogFile | null = null;
  /** The boot in which the program was started. */
  let runsIn: string | null = null;
  const label = `${machine.name} watchdog`;

  const start = (boot: string): void => {
    runsIn = boot;
    const termed = new Set<string>();
    let absent = 0;
    const again = (): void => void time.after(PAUSE_MS, label, look);
    const look = (): void => {
      if (!machine.powered() || clock.bootId() !== boot || runsIn !== boot) return;
      absent = file === null ? absent + 1 : 0;
      if (absent >= MOST_ABSENT || (file !== null && file.bootId !== boot)) {
        runsIn = null;
        return;
      }
      for (const deadline of file?.deadlines ?? []) act(deadline, termed);
      again();
    };
    again();
  };
  const act = ({ pid, termAt, killAt, signal }: WatchdogDeadline, termed: Set<string>): void => {
    const now = clock.now();
    const container = [...machine.containers.values()].find((each) => each.pid === pid);
    if (container === undefined || now < Math.floor(termAt)) return;
    if (container.task === 'running' && !container.isTold) acts(container);
    const once = `${pid}:${termAt}`;
    if (now >= Math.floor(killAt)) machine.signal(container.id, SIGKILL);
    else if (!termed.has(once)) {
      termed.add(once);
      machine.signal(container.id, signal === 'KILL' ? SIGKILL : SIGTERM);
    }
  };
  const random = time.random.fork(label);
  return {
    port: (process) => {
      // One after the other, as edge/watchdog.ts does.
      let last: Promise<void> = Promise.resolve();
      const setter = (name: string): Watchdog => {
        const set = (deadlines: readonly WatchdogDeadline[]): Promise<void> =>
          process.call(name, diskTakes(machine, random), () => {
            const bootId = clock.bootId();
            file = deadlines.length === 0 ? null : { bootId, deadlines };
            if (file !== null && runsIn !== bootId) start(bootId);
          });
        return { set: (deadlines) => (last = last.then(() => set(deadlines))) };
      };
      return { watchdog: setter('watchdog'), atStart: setter('start-watchdog') };
    },
  };
};
