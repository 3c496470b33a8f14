// What every LeasePort must do: one suite for the fake and for three real members of etcd.
// In: a store. Out: tests. What is waited for comes when it comes; that a lease lasts is asked of
// stretches in which this process was not held up.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEtcdLease } from '../../reconciler/edge/lease/etcd.ts';
import type { LeasePort } from '../../reconciler/ports.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { createFakeLease } from '../support/fake-lease.ts';

/** The shortest that etcd keeps with its usual election. */
const LEASE_MS = 2000;

interface Store {
  /** A reconciler's own port; each test has a key of its own. */
  readonly open: (key: string) => LeasePort;
  readonly away: () => Promise<void>;
  readonly back: () => Promise<void>;
  readonly close: () => Promise<void>;
}

const fake = async (): Promise<Store> => {
  const now = () => performance.now();
  const stores = new Map<string, ReturnType<typeof createFakeLease>>();
  const all = (isAway: boolean) => {
    for (const store of stores.values()) store.away(isAway);
  };
  return {
    open: (key) => {
      const store = stores.get(key) ?? createFakeLease(LEASE_MS, now);
      stores.set(key, store);
      return store.open();
    },
    away: async () => all(true),
    back: async () => all(false),
    close: async () => {},
  };
};

const real = async (): Promise<Store> => {
  const etcd: Etcd = await startEtcd();
  const config = { hosts: etcd.hosts, tls: null, user: null };
  return {
    open: (key) => createEtcdLease({ etcd: config, key, leaseMs: LEASE_MS }),
    away: async () => {
      await Promise.all([0, 1, 2].map(etcd.kill));
    },
    back: async () => {
      for (const member of [0, 1, 2]) etcd.start(member);
      await etcd.ready();
    },
    close: etcd.close,
  };
};

const A = { name: 'a', address: '10.0.0.1:7443' };
const B = { name: 'b', address: '10.0.0.2:7443' };

describe.each([
  ['the fake', fake],
  ['three members of etcd', real],
])('a lease in %s', (_name, make) => {
  let store: Store;
  let key = 0;
  beforeAll(async () => {
    store = await make();
  });
  afterAll(() => store.close());

  /** Two reconcilers that look at one lease. */
  const two = (): readonly [LeasePort, LeasePort] => {
    key += 1;
    return [store.open(`test/${key}`), store.open(`test/${key}`)];
  };

  /** While etcd finds a leader it has no answer: asked again until it has. */
  const patiently = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    let answer: { readonly got: Answer } | null = null;
    const attempt = async () => {
      answer ??= await ask().then(
        (got) => ({ got }),
        () => null,
      );
      return answer !== null;
    };
    await expect.poll(attempt).toBe(true);
    return (answer as unknown as { readonly got: Answer }).got;
  };

  test('is had by one, and everybody is told by whom', async () => {
    const [a, b] = two();
    expect(await patiently(a.holder)).toBeNull();
    const held = await patiently(() => a.acquire(A));
    expect(held).toMatchObject({ ...A, mine: true });
    expect(held.term).toBeGreaterThan(0);
    expect(await patiently(() => b.acquire(B))).toEqual({ ...A, term: held.term, mine: false });
    expect(await patiently(b.holder)).toEqual({ ...A, term: held.term, mine: false });
    expect(await patiently(b.keep)).toBe(false);
    a.close();
    b.close();
  });

  test('is given up, and the next one has a higher term', async () => {
    const [a, b] = two();
    const { term } = await patiently(() => a.acquire(A));
    await patiently(a.release);
    expect(await patiently(b.holder)).toBeNull();
    expect(await patiently(a.keep)).toBe(false);
    const next = await patiently(() => b.acquire(B));
    expect(next).toMatchObject({ ...B, mine: true });
    expect(next.term).toBeGreaterThan(term);
    a.close();
    b.close();
  });

  test('ends when nobody keeps it, and cannot be kept then', async () => {
    const [a, b] = two();
    const { term } = await patiently(() => a.acquire(A));
    await expect.poll(() => b.holder().catch(() => 'no answer')).toBeNull();
    expect(await patiently(a.keep)).toBe(false);
    expect((await patiently(() => b.acquire(B))).term).toBeGreaterThan(term);
    a.close();
    b.close();
  });

  test('lasts as long as it is kept', async () => {
    const [a, b] = two();
    const attempt = async () => {
      await a.release().catch(() => undefined);
      const { mine, term } = await patiently(() => a.acquire(A));
      if (!mine) return null;
      const began = performance.now();
      let keptAt = began;
      while (performance.now() - began < LEASE_MS * 1.3) {
        await sleep(LEASE_MS / 6);
        const asked = performance.now();
        // Held up for so long, it may have ended: this attempt says nothing.
        if (asked - keptAt > LEASE_MS / 2 || !(await a.keep().catch(() => false))) return null;
        keptAt = asked;
      }
      const holder = await b.holder().catch(() => null);
      return performance.now() - keptAt > LEASE_MS / 2 ? null : holder?.term === term;
    };
    let said: boolean | null = null;
    await expect.poll(async () => (said ??= await attempt())).not.toBeNull();
    expect(said).toBe(true);
    a.close();
    b.close();
  });

  test('is nobody’s to judge while the store is away, and is had again after', async () => {
    const [a, b] = two();
    await patiently(() => a.acquire(A));
    await store.away();
    const failure = { kind: 'edge-failure', consequence: 'retry' };
    await expect(a.keep()).rejects.toMatchObject(failure);
    await expect(b.holder()).rejects.toMatchObject(failure);
    await expect(b.acquire(B)).rejects.toMatchObject(failure);
    await store.back();
    // A's, or nobody's by now: whoever asks has an answer, and at most one has the lease.
    const [forA, forB] = [await patiently(() => a.acquire(A)), await patiently(() => b.acquire(B))];
    expect(forB.name === 'a' ? forA.mine : forB.mine).toBe(true);
    a.close();
    b.close();
  });
});

test('two of three members of etcd are enough', async () => {
  const etcd = await startEtcd();
  try {
    const lease = createEtcdLease({
      etcd: { hosts: etcd.hosts, tls: null, user: null },
      key: 'test/two',
      leaseMs: LEASE_MS,
    });
    // An answer, whatever it is: one that was held up may have lost the lease.
    const answers = () =>
      lease.acquire(A).then(
        ({ name }) => name,
        () => 'none',
      );
    await expect.poll(answers).toBe('a');
    await etcd.kill(0);
    await expect.poll(answers).toBe('a');
    // One that says nothing, and does not go away either.
    etcd.start(0);
    etcd.signal(1, 'SIGSTOP');
    await expect.poll(answers).toBe('a');
    lease.close();
  } finally {
    etcd.signal(1, 'SIGCONT');
    await etcd.close();
  }
});
