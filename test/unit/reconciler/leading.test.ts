// Who leads, by the fake lease and virtual time: one at a time, whatever is cut, paused or wiped.

import { expect, test } from 'vitest';
import { createLeading, type Leading } from '../../../reconciler/leading.ts';
import type { LeasePort } from '../../../reconciler/ports.ts';
import { createTime, type SimTime } from '../../sim/time.ts';
import { createFakeLease } from '../../support/fake-lease.ts';

const LEASE_MS = 10_000;
const never = new AbortController().signal;

interface Candidate {
  readonly leading: Leading;
  /** Cut off from the store: its calls fail. */
  readonly cut: (isCut: boolean) => void;
  /** Does nothing until then, as a machine that is suspended. */
  readonly pause: (until: number) => void;
  readonly end: () => Promise<void>;
}

const world = (seed = 1) => {
  const time = createTime({ seed, keepLines: false });
  const store = createFakeLease(LEASE_MS, time.now);
  const candidates: Candidate[] = [];
  let most = 0;
  const leaders = () => candidates.filter(({ leading }) => leading.term() !== null);
  const check = () => {
    most = Math.max(most, leaders().length);
    return true;
  };
  return {
    time,
    store,
    add: (name: string): Candidate => {
      const one = candidate(time, store.open(), name);
      candidates.push(one);
      return one;
    },
    leaders,
    /** Lets time pass, and looks after each event how many lead. */
    pass: (ms: number) => time.run(time.now() + ms, check),
    mostAtOnce: () => most,
  };
};

const candidate = (time: SimTime, port: LeasePort, name: string): Candidate => {
  let isCut = false;
  let pausedUntil = 0;
  const asked = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    if (isCut) throw new Error('no way to the store');
    const answer = await call();
    // Frozen with the answer in hand.
    if (pausedUntil > time.now()) await waitFor(time, pausedUntil, never);
    return answer;
  };
  const lease: LeasePort = {
    holder: () => asked(port.holder),
    acquire: (me) => asked(() => port.acquire(me)),
    keep: () => asked(port.keep),
    release: () => asked(port.release),
    close: port.close,
  };
  const abort = new AbortController();
  const silent = () => {};
  const leading = createLeading({
    lease,
    me: { name, address: `${name}:1` },
    leaseMs: LEASE_MS,
    clock: {
      now: time.now,
      sleepUntil: (at, signal) => waitFor(time, Math.max(at, pausedUntil), signal),
    },
    log: { info: silent, warn: silent, error: silent },
    others: () => [],
  });
  const running = leading.run(abort.signal);
  return {
    leading,
    cut: (next) => {
      isCut = next;
    },
    pause: (until) => {
      pausedUntil = until;
    },
    end: async () => {
      abort.abort();
      await running;
    },
  };
};

const waitFor = (time: SimTime, at: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      undo();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const undo = time.at(at, 'wait', end);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });

test('the first leads; the others know where it is', async () => {
  const { add, pass, leaders } = world();
  const a = add('a');
  await pass(1000);
  const b = add('b');
  await pass(60_000);
  expect(leaders()).toEqual([a]);
  expect(b.leading.leader()).toEqual({ name: 'a', address: 'a:1' });
  expect(a.leading.answer()).toMatchObject({ leads: true, term: 1, leaderlessMs: null });
  expect(b.leading.answer()).toMatchObject({ leads: false, term: null, leader: { name: 'a' } });
});

test('one that ends gives the lease up, and the next leads at its next look', async () => {
  const { add, pass, leaders } = world();
  const a = add('a');
  await pass(1000);
  const b = add('b');
  await pass(1000);
  await a.end();
  await pass(600);
  expect(leaders()).toEqual([b]);
  expect(b.leading.term()).toBe(2);
});

test('one that is cut off from the store ceases before another begins', async () => {
  const { add, pass, leaders, mostAtOnce } = world();
  const a = add('a');
  await pass(1000);
  const b = add('b');
  await pass(5000);
  a.cut(true);
  await pass(LEASE_MS * 0.75);
  expect(leaders()).toEqual([a]);
  await pass(LEASE_MS * 0.1);
  expect(leaders()).toEqual([]);
  await pass(LEASE_MS * 0.25);
  expect(leaders()).toEqual([b]);
  a.cut(false);
  await pass(60_000);
  expect(leaders()).toEqual([b]);
  expect(mostAtOnce()).toBe(1);
});

test('one that was suspended knows at once that it leads no more, whatever it was in the middle of', async () => {
  const { add, pass, leaders, mostAtOnce, time } = world();
  const a = add('a');
  await pass(1000);
  const b = add('b');
  await pass(5000);
  a.pause(time.now() + 3 * LEASE_MS);
  await pass(2 * LEASE_MS);
  expect(a.leading.term()).toBeNull();
  expect(leaders()).toEqual([b]);
  await pass(2 * LEASE_MS);
  expect(leaders()).toEqual([b]);
  expect(a.leading.leader()).toMatchObject({ name: 'b' });
  expect(mostAtOnce()).toBe(1);
});

test('without the store nobody leads, all say so, and it goes on when it is back', async () => {
  const { add, pass, leaders, store, mostAtOnce } = world();
  const a = add('a');
  await pass(1000);
  const b = add('b');
  await pass(5000);
  store.away(true);
  await pass(30_000);
  expect(leaders()).toEqual([]);
  for (const { leading } of [a, b]) {
    expect(leading.answer()).toMatchObject({
      leader: null,
      problem: { message: 'the store is away' },
    });
    expect(leading.answer().leaderlessMs).toBeGreaterThan(15_000);
  }
  store.away(false);
  await pass(15_000);
  expect(leaders()).toHaveLength(1);
  expect(leaders()[0]?.leading.answer().problem).toBeNull();
  expect(mostAtOnce()).toBe(1);
});

test('a runner that followed a higher term is led by whoever holds the lease, and by nobody else', async () => {
  const { add, pass, store } = world();
  const a = add('a');
  await pass(1000);
  expect(await a.leading.standing(1, never)).toEqual({ kind: 'leads', term: 1 });
  // etcd was made anew, and counts from the beginning.
  expect(await a.leading.standing(900, never)).toEqual({ kind: 'leads', term: 901 });
  expect(a.leading.term()).toBe(901);
  // The lease is somebody else's by now, which is not known here yet.
  store.wipe();
  await store.open().acquire({ name: 'b', address: 'b:1' });
  expect(a.leading.term()).toBe(901);
  expect(await a.leading.standing(902, never)).toMatchObject({ kind: 'follows' });
});

test('a runner that dials while nobody leads is held until somebody does, or for a while', async () => {
  const { add, pass, store } = world();
  store.away(true);
  const a = add('a');
  await pass(1000);
  const first = a.leading.standing(0, never);
  store.away(false);
  await pass(1000);
  expect(await first).toEqual({ kind: 'leads', term: 1 });
  store.away(true);
  await pass(20_000);
  const second = a.leading.standing(0, never);
  await pass(2000);
  expect(await second).toEqual({ kind: 'follows', leader: null });
});

test('never two at once, and somebody when all is well again: 40 seeds of cuts, pauses and outages', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { add, pass, leaders, mostAtOnce, time, store } = world(seed);
    const all = ['a', 'b', 'c'].map(add);
    for (let step = 0; step < 25; step += 1) {
      const [first, ...rest] = all;
      if (first === undefined) throw new Error('there is nobody');
      const one = time.random.pick([first, ...rest]);
      const what = time.random.between(1, 5);
      if (what === 1) one.cut(true);
      if (what === 2) one.cut(false);
      if (what === 3) one.pause(time.now() + time.random.between(1, 3 * LEASE_MS));
      if (what === 4) store.away(true);
      if (what === 5) store.away(false);
      await pass(time.random.between(1, LEASE_MS));
    }
    store.away(false);
    for (const one of all) one.cut(false);
    await pass(6 * LEASE_MS);
    expect([seed, mostAtOnce(), leaders().length]).toEqual([seed, 1, 1]);
    for (const one of all) {
      one.pause(0);
      const ended = one.end();
      await pass(1);
      await ended;
    }
  }
});
