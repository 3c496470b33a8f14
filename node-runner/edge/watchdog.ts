// Sees to it that groups with stop_after end when the runner is dead (rules 9.3): tells a small
// detached program until when each may run, and starts that program when it does not run.
// In: deadlines, as often as they move. Out: killed containers, when nobody moved them in time.
// Not here: the deadline itself (decide), stopping in an orderly way (the runner, a little
// earlier).

import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import writeFileAtomic from 'write-file-atomic';

import type { Ms } from '../../schema/spec.ts';
import type { RunnerClock } from '../ports.ts';
import { WATCHDOG_SCRIPT } from './watchdog-script.ts';

export interface WatchdogDeadline {
  /** Boot-time clock: first the signal, then the end of everything in the cgroup. */
  readonly termAt: Ms;
  readonly killAt: Ms;
  /** Without SIG: `TERM`. */
  readonly signal: string;
  readonly pid: number;
  /** Absolute path of a folder with `cgroup.procs` (usage.ts: procsFolder). */
  readonly cgroupFolder: string;
}

export interface Watchdog {
  /**
   * Replaces all deadlines and makes sure that the program runs. Without deadlines the program
   * ends by itself within a few seconds.
   */
  readonly set: (deadlines: readonly WatchdogDeadline[]) => Promise<void>;
}

export interface WatchdogOptions {
  /** The runner's state folder. */
  readonly root: string;
  readonly clock: Pick<RunnerClock, 'bootId'>;
  /** How often the program looks; tests look more often. */
  readonly pauseSeconds?: number;
}

/** A deadline is kept to the second: stop_after has 5 s to spare before lost_after. */
const PAUSE_SECONDS = 1;

export const createWatchdog = (options: WatchdogOptions): Watchdog => {
  const { root, clock, pauseSeconds = PAUSE_SECONDS } = options;
  const file = join(root, 'stop-after');
  const script = join(root, 'watchdog.sh');
  const pidFile = join(root, 'watchdog.pid');
  let isPrepared = false;
  const prepare = async (): Promise<void> => {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const present = await readFile(script, 'utf8').catch(() => null);
    // dash reads a script while it runs: the file is replaced by another one, never changed.
    if (present !== WATCHDOG_SCRIPT) {
      await writeFileAtomic(script, WATCHDOG_SCRIPT, { mode: 0o700 });
      await stopRunning(pidFile, script);
    }
    isPrepared = true;
  };
  const set = async (deadlines: readonly WatchdogDeadline[]): Promise<void> => {
    if (!isPrepared) await prepare();
    if (deadlines.length === 0) return rm(file, { force: true });
    await writeFileAtomic(file, textOf(clock.bootId, deadlines), { mode: 0o600, fsync: false });
    if ((await runningPid(pidFile, script)) !== null) return;
    const args = [script, file, clock.bootId, String(pauseSeconds)];
    const child = spawn('/bin/sh', args, { detached: true, stdio: 'ignore', cwd: '/' });
    // Without /bin/sh there is no watchdog; the caller is told by the missing pid.
    child.on('error', () => undefined);
    child.unref();
    if (child.pid === undefined) throw new Error('the watchdog could not be started: no /bin/sh');
    await writeFileAtomic(pidFile, String(child.pid), { mode: 0o600, fsync: false });
  };
  // One after the other: an older set that ends later would take back what a start waited for.
  let last: Promise<unknown> = Promise.resolve();
  return {
    set: (deadlines) => {
      const next = last.then(() => set(deadlines));
      last = next.catch(() => undefined);
      return next;
    },
  };
};

/** What the script reads: see there. A path with a line break cannot be a cgroup of ours. */
export const textOf = (bootId: string, deadlines: readonly WatchdogDeadline[]): string => {
  const lines = deadlines
    .filter(({ cgroupFolder }) => !cgroupFolder.includes('\n'))
    .map(({ termAt, killAt, signal, pid, cgroupFolder }) =>
      [Math.floor(termAt), Math.floor(killAt), signal, pid, cgroupFolder].join(' '),
    );
  return `${[bootId, ...lines].join('\n')}\n`;
};

/** Pid of the program, when the process of that number is it. */
const runningPid = async (pidFile: string, script: string): Promise<number | null> => {
  const text = await readFile(pidFile, 'utf8').catch(() => '');
  if (!/^\d+$/.test(text)) return null;
  const commandLine = await readFile(`/proc/${text}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0')[1] === script ? Number(text) : null;
};

/** Only a process that runs our script of this very folder is ended. */
const stopRunning = async (pidFile: string, script: string): Promise<void> => {
  const pid = await runningPid(pidFile, script);
  if (pid === null) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in between.
  }
};
