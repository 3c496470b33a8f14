// The processes that `purser up` runs: started, watched, started again with back-off, ended by
// their ids.
// In: command lines. Out: a record of functions. A child ends by itself when its stdin closes, so
// that none outlives an `up` that was killed. Not here: which processes there are.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname } from 'node:path';

export interface ChildSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** stdout and stderr are appended here. */
  readonly log: string;
  /** As of `nice`: below 0 it goes before others. Absent: 0. */
  readonly priority?: number;
}

export interface Children {
  readonly start: (spec: ChildSpec) => void;
  /** SIGTERM to all, SIGKILL to those that take longer than the limit. */
  readonly stop: () => Promise<void>;
}

/**
 * Node lets the heap for new objects grow to three times 16 MiB; a runner that is at rest most of
 * the time has no use for it (measured with 50 allocations).
 */
export const RUNNER_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4'];

/**
 * A plan of a large cluster leaves a megabyte behind. With room for many of them what is new is
 * looked through seldom, and hardly ever while a commit waits for its plan; a reconciler takes some
 * 60 MB more for it.
 */
export const RECONCILER_NODE_FLAGS: readonly string[] = [
  '--min-semi-space-size=32',
  '--max-semi-space-size=32',
];

/**
 * As of `nice`. Whatever keeps the machine busy, containers above all, must not keep waiting the one
 * that looks after them; it is at rest most of the time. Only git inherits it.
 */
export const RECONCILER_PRIORITY = -10;

/** First and longest wait before a child that ended is started again. */
const RESTART_FIRST_MS = 200;
const RESTART_LONGEST_MS = 10_000;
/** A child that ran this long was fine: the back-off begins anew. */
const FINE_AFTER_MS = 30_000;
/** Longest wait for a child to end after SIGTERM. */
const STOP_LIMIT_MS = 10_000;

export const createChildren = (say: (line: string) => void): Children => {
  const running = new Map<string, ChildProcess>();
  let stopping = false;

  const start = (spec: ChildSpec, wait = RESTART_FIRST_MS) => {
    mkdirSync(dirname(spec.log), { recursive: true, mode: 0o700 });
    const log = openSync(spec.log, 'a', 0o600);
    const began = performance.now();
    const child = spawn(spec.command, [...spec.args], {
      stdio: ['pipe', log, log],
      detached: true, // Ctrl-C reaches only `up`, which then ends its children in order
    });
    closeSync(log);
    if (child.pid !== undefined) prefer(child.pid, spec.priority ?? 0);
    child.stdin?.on('error', () => undefined); // it ended first
    running.set(spec.name, child);
    const ended = (why: string) => {
      running.delete(spec.name);
      if (stopping) return;
      const next = performance.now() - began > FINE_AFTER_MS ? RESTART_FIRST_MS : wait;
      say(`${spec.name} ended (${why}); starting it again. Its log: ${spec.log}`);
      setTimeout(() => {
        if (!stopping) start(spec, Math.min(next * 2, RESTART_LONGEST_MS));
      }, next);
    };
    child.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`));
    child.once('error', (error) => ended(error.message));
  };

  return {
    start,
    stop: async () => {
      stopping = true;
      await Promise.all([...running.values()].map(end));
    },
  };
};

/** At once: the threads that the process is about to make inherit it. */
export const prefer = (pid: number, priority: number): void => {
  if (priority === 0) return;
  try {
    setPriority(pid, priority);
  } catch {
    // Ended already, or not allowed here: it works without, only later where others are busy.
  }
};

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
};
