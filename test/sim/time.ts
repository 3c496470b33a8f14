// Virtual time: one queue of events, one clock, one seeded source of chance, one trace.
// In: a seed. Out: a driver that pops the earliest event, sets the clock, runs it, and then lets
// every promise chain that it set off run dry before the next one. Same seed, same trace.
// Not here: who makes events (process.ts, the fakes), what must hold after each (check.ts). No real
// timer is used.

import { createHash } from 'node:crypto';

import type { Ms } from '../../schema/spec.ts';

/** Chance from a seed: the same calls in the same order give the same answers on every machine. */
export interface Random {
  /** In [0, 1). */
  readonly unit: () => number;
  /** A whole number in [low, high], both included. */
  readonly between: (low: number, high: number) => number;
  readonly chance: (probability: number) => boolean;
  readonly pick: <T>(list: readonly [T, ...T[]]) => T;
  /** Each item of the list with the given probability. */
  readonly some: <T>(list: readonly T[], probability: number) => readonly T[];
  /** A stream of its own, so that what one part draws does not move what another part gets. */
  readonly fork: (label: string) => Random;
}

export interface SimTime {
  readonly now: () => Ms;
  readonly random: Random;
  /** Runs `run` at that time (now, when it is past). Returns the way to take it back. */
  readonly at: (when: Ms, label: string, run: () => void) => () => void;
  readonly after: (delayMs: Ms, label: string, run: () => void) => () => void;
  /** Adds a line to the trace. */
  readonly note: (line: string) => void;
  /** Runs events until the time is reached or `afterEach` returns false. */
  readonly run: (until: Ms, afterEach: () => boolean) => Promise<void>;
  /** Hash of the trace so far. */
  readonly digest: () => string;
  /** The lines, when they are kept. */
  readonly lines: readonly string[];
  readonly events: () => number;
}

interface Event {
  readonly at: Ms;
  readonly order: number;
  readonly label: string;
  readonly run: () => void;
  gone: boolean;
}

/**
 * A chain that is never dry (a loop without a port call) would hang the run; no honest chain needs
 * so many rounds.
 */
const MAX_DRAIN_ROUNDS = 1_000;

/**
 * A run of an hour of virtual time needs far fewer; more means that two parts wake each other for
 * ever.
 */
const MAX_EVENTS = 400_000;

export interface TimeOptions {
  readonly seed: number;
  readonly keepLines: boolean;
}

export const createTime = (options: TimeOptions): SimTime => {
  const heap = createHeap();
  const hash = createHash('sha256');
  const lines: string[] = [];
  let now: Ms = 0;
  let order = 0;
  let events = 0;

  const note = (line: string): void => {
    const text = `${now.toFixed(3)} ${line}`;
    hash.update(text).update('\n');
    if (options.keepLines) lines.push(text);
  };
  const at = (when: Ms, label: string, run: () => void): (() => void) => {
    const event: Event = { at: Math.max(when, now), order: order++, label, run, gone: false };
    heap.push(event);
    return () => {
      event.gone = true;
    };
  };
  const drain = async (): Promise<void> => {
    for (let round = 0; round < MAX_DRAIN_ROUNDS; round += 1) {
      const before = order;
      await new Promise((resolve) => setImmediate(resolve));
      if (order === before) return;
    }
    throw new Error(`At ${now} ms a promise chain did not run dry in ${MAX_DRAIN_ROUNDS} rounds.`);
  };
  const run = async (until: Ms, afterEach: () => boolean): Promise<void> => {
    await drain();
    for (;;) {
      const event = heap.peek();
      if (event === undefined || event.at > until) break;
      heap.pop();
      if (event.gone) continue;
      if (++events > MAX_EVENTS) throw new Error(`More than ${MAX_EVENTS} events by ${now} ms.`);
      now = event.at;
      note(event.label);
      event.run();
      await drain();
      if (!afterEach()) return;
    }
    now = Math.max(now, until);
  };
  return {
    now: () => now,
    random: createRandom(options.seed),
    at,
    after: (delayMs, label, runIt) => at(now + delayMs, label, runIt),
    note,
    run,
    digest: () => hash.copy().digest('hex'),
    lines,
    events: () => events,
  };
};

/** mulberry32: 32 bits of state, plenty for choosing faults, and short enough to read. */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const between = (low: number, high: number): number =>
    low + Math.floor(unit() * (high - low + 1));
  return {
    unit,
    between,
    chance: (probability) => unit() < probability,
    pick: (list) => list[between(0, list.length - 1)] ?? list[0],
    some: (list, probability) => list.filter(() => unit() < probability),
    fork: (label) => {
      const word = createHash('sha256').update(`${seed} ${label}`).digest().readUInt32LE(0);
      return createRandom(word);
    },
  };
};

interface Heap {
  readonly push: (event: Event) => void;
  readonly pop: () => Event | undefined;
  readonly peek: () => Event | undefined;
}

const earlier = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

/** A binary heap; ties go to the event that was made first. */
const createHeap = (): Heap => {
  const items: Event[] = [];
  const swapIfEarlier = (child: number, parent: number): boolean => {
    const low = items[child];
    const high = items[parent];
    if (low === undefined || high === undefined || !earlier(low, high)) return false;
    items[child] = high;
    items[parent] = low;
    return true;
  };
  const push = (event: Event): void => {
    items.push(event);
    let index = items.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!swapIfEarlier(index, parent)) return;
      index = parent;
    }
  };
  const sink = (): void => {
    let index = 0;
    for (;;) {
      const left = items[2 * index + 1];
      const right = items[2 * index + 2];
      if (left === undefined) return;
      const child = right !== undefined && earlier(right, left) ? 2 * index + 2 : 2 * index + 1;
      if (!swapIfEarlier(child, index)) return;
      index = child;
    }
  };
  const pop = (): Event | undefined => {
    const top = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) {
      items[0] = last;
      sink();
    }
    return top;
  };
  return { push, pop, peek: () => items[0] };
};
