// Programs of a test cluster as real processes, killed and started one by one.
// In: a command line. Out: a handle. Each ends with this process (its stdin closes), and writes to
// a log of its own.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { prefer } from '../../cli/up/children.ts';
import { clearClock, clockWords } from './clock-offset.ts';
import { inNetns } from './netns.ts';

export interface Program {
  readonly name: string;
  /** Starts it; it must not run. */
  readonly start: () => void;
  /** Ends it and waits until it is gone; fine when it does not run. */
  readonly end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  /** Suspends it, or lets it go on: as a machine that sleeps, or swaps for a minute. */
  readonly signal: (signal: 'SIGSTOP' | 'SIGCONT') => void;
  readonly isRunning: () => boolean;
  /** Memory of its own that it holds now; null: it does not run. */
  readonly memoryBytes: () => number | null;
  /** The last lines of its log. */
  readonly tail: (lines: number) => string;
}

export interface ProgramAsk {
  readonly name: string;
  /** Asked at each start: another release of it may take its place. */
  readonly args: () => readonly string[];
  readonly log: string;
  /** Network namespace that it lives in, null: the machine's. */
  readonly netns: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** As of `nice`; absent: as this process. */
  readonly priority?: number;
  /** Asked at each start: how far its wall clock is off (clock-offset.ts); null: it is right. */
  readonly clock?: () => string | null;
}

/** A program that does not end within this time of SIGTERM hangs: that fails the test. */
const END_LIMIT_MS = 60_000;

export const program = (ask: ProgramAsk): Program => {
  let child: ChildProcess | null = null;
  const isRunning = () => child !== null && child.exitCode === null && child.signalCode === null;
  return {
    name: ask.name,
    isRunning,
    signal: (signal) => void child?.kill(signal),
    memoryBytes: () => {
      if (!isRunning()) return null;
      const status = readFileSync(`/proc/${child?.pid}/status`, 'utf8');
      return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    },
    start: () => {
      if (isRunning()) throw new Error(`${ask.name} runs already`);
      const log = openSync(ask.log, 'a', 0o600);
      const words = [...clockWords(ask.clock?.() ?? null), process.execPath, ...ask.args()];
      const [command, ...args] = inNetns(ask.netns, words);
      child = spawn(command, args, {
        stdio: ['pipe', log, log],
        detached: true,
        env: { ...process.env, ...ask.env },
      });
      if (child.pid !== undefined && ask.priority !== undefined) prefer(child.pid, ask.priority);
      child.stdin?.on('error', () => undefined); // it ended first
      closeSync(log);
    },
    end: async (signal) => {
      if (child === null || !isRunning()) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      child.kill('SIGCONT'); // one that is suspended hears nothing else
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child?.kill('SIGKILL');
      }, END_LIMIT_MS);
      await ended;
      clearTimeout(timer);
      clearClock(child.pid);
      if (late) throw new Error(`${ask.name} did not end within ${END_LIMIT_MS} ms of ${signal}`);
    },
    tail: (lines) => {
      try {
        return readFileSync(ask.log, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
      } catch {
        return '(no log)';
      }
    },
  };
};
