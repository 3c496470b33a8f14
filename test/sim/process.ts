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
   * SIGSTOP, and SIGCONT after a while: what was asked is done, and whatever comes waits, answers,
   * timers and messages alike.
   */
  readonly suspend: (pause: Suspension) => void;
  /**
   * At the call with this number from now on, of those whose label begins so; it is made only when
   * the process goes on.
   */
  readonly suspendAtCall: (which: WhichCall, pause: Suspension) => void;
  readonly suspended: () => boolean;
  /** Runs when the process is suspended; for the other ends of its streams. */
  readonly onSuspend: (run: () => void) => void;
  readonly onResume: (run: () => void) => void;
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

export interface Suspension {
  readonly forMs: Ms;
  /** Timers that came due run before what arrived, or after it. */
  readonly timersFirst: boolean;
}

export interface WhichCall {
  readonly begins: string;
  readonly calls: number;
}

export interface Settle<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

export const createProcess = (time: SimTime, name: string): Process => {
  let alive = true;
  let doom: { left: number; readonly when: 'before' | 'after' } | null = null;
  const deaths: (() => void)[] = [];
  const suspensions: (() => void)[] = [];
  const resumptions: (() => void)[] = [];
  let pauseAt: { left: number; readonly begins: string; readonly pause: Suspension } | null = null;
  /** What came while it was suspended; null: it is not. */
  let held: { readonly timer: boolean; readonly run: () => void }[] | null = null;

  const kill = (): void => {
    if (!alive) return;
    alive = false;
    held = null;
    time.note(`kill ${name}`);
    for (const run of deaths) run();
  };
  const suspend = ({ forMs, timersFirst }: Suspension): void => {
    if (!alive || held !== null) return;
    held = [];
    time.note(`suspend ${name}`);
    time.after(forMs, `resume ${name}`, () => resume(timersFirst));
    for (const run of suspensions) run();
  };
  const resume = (timersFirst: boolean): void => {
    const waiting = held ?? [];
    held = null;
    for (const run of resumptions) run();
    const rank = ({ timer }: { readonly timer: boolean }): number => (timer ? 0 : 1);
    const inOrder = timersFirst ? waiting.toSorted((a, b) => rank(a) - rank(b)) : waiting;
    for (const { run } of inOrder) time.after(0, `${name} goes on`, () => enter(run, false));
  };
  /** Runs it inside the process, as soon as that runs. */
  const enter = (run: () => void, timer: boolean): void => {
    if (held !== null) held.push({ timer, run });
    else if (alive) run();
  };
  /** What this call must suffer; counts down the doom. */
  const fate = (): 'live' | 'before' | 'after' => {
    if (doom === null) return 'live';
    doom.left -= 1;
    return doom.left > 0 ? 'live' : doom.when;
  };
  const pauseIfDue = (label: string): void => {
    if (pauseAt === null || !label.startsWith(pauseAt.begins)) return;
    pauseAt.left -= 1;
    if (pauseAt.left > 0) return;
    const { pause } = pauseAt;
    pauseAt = null;
    suspend(pause);
  };
  const later = <T>(begin: (done: Settle<T>) => void, label = ''): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (!alive) return;
      const end = fate();
      if (end === 'before') return kill();
      const settle = (run: () => void): void => {
        if (end === 'after') kill();
        enter(run, false);
      };
      pauseIfDue(label);
      const ask = (): void =>
        begin({
          resolve: (value) => settle(() => resolve(value)),
          reject: (reason) => settle(() => reject(reason)),
        });
      enter(ask, false);
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
    }, label);
  const guard = (run: () => void) => (): void => enter(run, false);
  return {
    name,
    alive: () => alive,
    kill,
    suspend,
    suspendAtCall: ({ begins, calls }, pause) => {
      pauseAt = { begins, left: Math.max(1, calls), pause };
    },
    suspended: () => held !== null,
    onSuspend: (run) => suspensions.push(run),
    onResume: (run) => resumptions.push(run),
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
        const end = (): void => {
          cancel();
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const wake = guard(end);
        const cancel = time.at(at, `${name} wakes`, () => enter(end, true));
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
