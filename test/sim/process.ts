// A program that can be killed at any await: every port call of a simulated program goes through
// its process.
// In: virtual time. Out: `call`, which makes a promise that virtual time settles. Killing a process
// leaves all its promises open for ever, which is what death looks like from inside; what the call
// did to the world stays done.
// Not here: what a call does (the fakes), when a process is killed (faults.ts).

import type { Ms } from '../../schema/spec.ts';
import type { SimTime } from './time.ts';

export interface Process {
  readonly name: string;
  readonly alive: () => boolean;
  readonly kill: () => void;
  /**
   * The effect happens half-way through the latency, the answer (or what it threw) arrives at its
   * end.
   */
  readonly call: <T>(label: string, latencyMs: Ms, effect: () => T) => Promise<T>;
  /** A call whose effect takes its own time. */
  readonly later: <T>(begin: (done: Settle<T>) => void) => Promise<T>;
  /** Runs only while the process lives. */
  readonly guard: (run: () => void) => () => void;
  /** Runs when the process dies; for streams to close. */
  readonly onDeath: (run: () => void) => void;
  /**
   * Dies at the call with this number from now on: before its effect, or after it and before the
   * answer.
   */
  readonly dieAtCall: (calls: number, when: 'before' | 'after') => void;
  readonly sleepUntil: (at: Ms, signal: AbortSignal) => Promise<void>;
}

export interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export const createProcess = (time: SimTime, name: string): Process => {
  let alive = true;
  let doom: { left: number; readonly when: 'before' | 'after' } | null = null;
  const deaths: (() => void)[] = [];

  const kill = (): void => {
    if (!alive) return;
    alive = false;
    time.note(`kill ${name}`);
    for (const run of deaths) run();
  };
  /** What this call must suffer; counts down the doom. */
  const fate = (): 'live' | 'before' | 'after' => {
    if (doom === null) return 'live';
    doom.left -= 1;
    return doom.left > 0 ? 'live' : doom.when;
  };
  const later = <T>(begin: (done: Settle<T>) => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (!alive) return;
      const end = fate();
      if (end === 'before') return kill();
      const settle = (run: () => void): void => {
        if (end === 'after') kill();
        if (alive) run();
      };
      begin({
        resolve: (value) => settle(() => resolve(value)),
        reject: (reason) => settle(() => reject(reason)),
      });
    });
  const call = <T>(label: string, latencyMs: Ms, effect: () => T): Promise<T> =>
    later<T>((done) => {
      time.after(latencyMs / 2, `${name} ${label}`, () => {
        const outcome = attempt(effect);
        time.after(latencyMs / 2, `${name} ${label} answered`, () => {
          if (outcome.ok) done.resolve(outcome.value);
          else done.reject(outcome.reason);
        });
      });
    });
  const guard = (run: () => void) => (): void => {
    if (alive) run();
  };
  return {
    name,
    alive: () => alive,
    kill,
    call,
    later,
    guard,
    onDeath: (run) => deaths.push(run),
    dieAtCall: (calls, when) => {
      doom = { left: Math.max(1, calls), when };
    },
    sleepUntil: (at, signal) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) return resolve();
        const wake = guard(() => {
          cancel();
          signal.removeEventListener('abort', wake);
          resolve();
        });
        const cancel = time.at(at, `${name} wakes`, wake);
        signal.addEventListener('abort', wake);
      }),
  };
};

type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: unknown };

const attempt = <T>(effect: () => T): Outcome<T> => {
  try {
    return { ok: true, value: effect() };
  } catch (reason) {
    return { ok: false, reason };
  }
};
