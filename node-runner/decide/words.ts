// How ends and failures are told to people, in one line each.
// In: how a task ended. Out: what it is in the report, and a sentence. No secrets, no log lines.
// Not here: what is done about it (restart.ts).

import type { ExitRecord, FailureRecord } from '../../schema/orders.ts';
import type { TaskSpec } from '../../schema/spec.ts';
import type { TaskExit } from '../ports.ts';
import type { KillMark } from './inventory.ts';

/** Numbers of Linux on amd64 and arm64. */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGWINCH: 28,
  SIGSYS: 31,
};

export const SIGKILL = 9;
const SIGTERM = 15;

/** `SIGTERM`, `TERM`, `15`; SIGTERM where the name is unknown. */
export const signalNumber = (name: string): number => {
  const number = Number(name);
  if (Number.isInteger(number) && number > 0 && number < 65) return number;
  return SIGNALS[name.startsWith('SIG') ? name : `SIG${name}`] ?? SIGTERM;
};

const signalName = (number: number): string =>
  Object.entries(SIGNALS).find(([, value]) => value === number)?.[0] ?? `signal ${number}`;

/**
 * A process that dies of a signal leaves 128 + its number: 137 is SIGKILL, 143 SIGTERM, 139
 * SIGSEGV.
 */
const signalOf = (exit: TaskExit): number | null => {
  if (exit.signal !== null) return exit.signal;
  const number = (exit.code ?? 0) - 128;
  return number === SIGKILL || number === SIGTERM || number === 11 || number === 6 ? number : null;
};

/** @param exit null when nobody knows how it ended */
export const exitRecord = (
  exit: TaskExit | null,
  seen: { readonly outOfMemory: boolean; readonly kill: KillMark | null },
): ExitRecord => {
  const known = exit?.known === true;
  const signal = exit !== null && known ? signalOf(exit) : null;
  const outOfMemory = seen.outOfMemory && signal === SIGKILL;
  const outside = signal === SIGKILL || signal === SIGTERM;
  const cause = seen.kill !== null ? seen.kill.cause : outside && !outOfMemory ? 'killed' : 'self';
  return {
    code: known ? (exit?.code ?? null) : null,
    signal,
    outOfMemory,
    status: known ? 'known' : 'unknown',
    cause,
  };
};

/** The failure that an end is: always the version's own (rules 6.1, crash or failing check). */
export const exitFailure = (
  task: TaskSpec,
  exit: ExitRecord,
  check: string | null,
): Omit<FailureRecord, 'ageMs'> => {
  const base = { blame: 'version', task: task.name } as const;
  if (exit.cause === 'check') {
    return { ...base, kind: 'check-failed', message: check ?? 'a check failed' };
  }
  if (exit.outOfMemory) {
    const limit = sizeText(task.memoryMaxBytes ?? task.memoryBytes);
    return { ...base, kind: 'out-of-memory', message: `out of memory: limit ${limit}` };
  }
  if (exit.status === 'unknown') {
    // Nobody saw it end: containerd or the machine was away. That is no evidence against the
    // version.
    const message = 'ended while containerd was not watching: exit status unknown';
    return { ...base, blame: 'platform', kind: 'runtime', message };
  }
  const message =
    exit.signal === null ? `exit code ${exit.code}` : `killed by ${signalName(exit.signal)}`;
  return { ...base, kind: 'exit', message };
};

/** `128MiB`, `1.5GiB`, `700B`. */
export const sizeText = (bytes: number): string => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))}${units[unit] ?? 'B'}`;
};
