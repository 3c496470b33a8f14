// Virtual time itself: order of events, chains that run dry, death at an await, and the same trace
// for the same seed.

import { describe, expect, it } from 'vitest';

import { createReconcilerClock, ROUND_UP_MS } from './fake/clock.ts';
import { createProcess } from './process.ts';
import { createRandom, createTime, type SimTime } from './time.ts';

const create = (seed: number): SimTime => createTime({ seed, keepLines: true });

/** Three programs that call each other's world at drawn times. */
const play = async (seed: number): Promise<SimTime> => {
  const time = create(seed);
  const work = async (name: string): Promise<void> => {
    const process = createProcess(time, name);
    for (let round = 0; round < 20; round += 1) {
      const value = await process.call('ask', time.random.between(1, 50), () => time.random.unit());
      time.note(`${name} got ${value}`);
    }
  };
  void Promise.all(['a', 'b', 'c'].map(work));
  await time.run(10_000, () => true);
  return time;
};

describe('virtual time', () => {
  it('gives the same trace for the same seed and another for another', async () => {
    const [first, again, other] = [await play(7), await play(7), await play(8)];
    expect(again.digest()).toBe(first.digest());
    expect(again.lines).toEqual(first.lines);
    expect(other.digest()).not.toBe(first.digest());
    expect(first.lines.filter((line) => line.includes('got'))).toHaveLength(60);
  });

  it('runs events in order of time, then of making, and never one that was taken back', async () => {
    const time = create(1);
    const seen: string[] = [];
    time.at(20, 'late', () => seen.push('late'));
    time.at(10, 'first', () => seen.push('first'));
    time.at(10, 'second', () => seen.push('second'));
    const cancel = time.at(15, 'gone', () => seen.push('gone'));
    time.at(12, 'cancel', cancel);
    await time.run(100, () => true);
    expect(seen).toEqual(['first', 'second', 'late']);
    expect(time.now()).toBe(100);
  });

  it('lets a promise chain run dry before the next event', async () => {
    const time = create(1);
    const seen: string[] = [];
    const chain = async (): Promise<void> => {
      for (let hop = 0; hop < 500; hop += 1) await Promise.resolve();
      seen.push('chain');
    };
    time.at(10, 'chain', () => void chain());
    time.at(10, 'next', () => seen.push('next'));
    await time.run(100, () => true);
    expect(seen).toEqual(['chain', 'next']);
  });

  it('keeps what a killed process did and lets it see nothing more', async () => {
    for (const when of ['before', 'after'] as const) {
      const time = create(1);
      const process = createProcess(time, 'p');
      let world = 0;
      let told = 0;
      const work = async (): Promise<void> => {
        for (;;) told = await process.call('add', 10, () => (world += 1));
      };
      process.dieAtCall(3, when);
      void work();
      await time.run(1_000, () => true);
      expect({ world, told }).toEqual({ world: when === 'before' ? 2 : 3, told: 2 });
    }
  });

  it('wakes a sleeper at its time or when it is told to', async () => {
    const time = create(1);
    const process = createProcess(time, 'p');
    const stop = new AbortController();
    const woke: number[] = [];
    const sleep = async (at: number): Promise<void> => {
      await process.sleepUntil(at, stop.signal);
      woke.push(time.now());
    };
    void sleep(50);
    void sleep(500);
    time.at(70, 'abort', () => stop.abort());
    await time.run(1_000, () => true);
    expect(woke).toEqual([50, 70]);
  });

  it('wakes no sleeper of the reconciler a rounding error before its time', async () => {
    const time = create(1);
    const woke: number[] = [];
    // At 131072 ms (2 ** 17) a double loses a bit: what was added is not what is taken away again.
    for (const zero of [131_000.1, 131_000.3, 131_000.7]) {
      time.at(zero, 'a reconciler is born', () => {
        const clock = createReconcilerClock(time, createProcess(time, 'p'));
        const until = clock.now() + 500;
        const { signal } = new AbortController();
        void clock.sleepUntil(until, signal).then(() => woke.push(clock.now() - until));
      });
    }
    await time.run(200_000, () => true);
    expect(woke).toHaveLength(3);
    for (const late of woke) {
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(2 * ROUND_UP_MS);
    }
  });

  it('draws evenly enough, and forks do not disturb each other', () => {
    const random = createRandom(3);
    const draws = Array.from({ length: 10_000 }, () => random.between(1, 4));
    for (const side of [1, 2, 3, 4]) {
      expect(draws.filter((draw) => draw === side).length).toBeGreaterThan(2_200);
    }
    expect(createRandom(3).fork('a').unit()).toBe(random.fork('a').unit());
    expect(random.fork('a').unit()).not.toBe(random.fork('b').unit());
  });
});
