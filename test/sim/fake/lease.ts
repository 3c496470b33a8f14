// The lease that several reconcilers lead by, in an etcd that may be slow, away, or cut off from
// some of them.
// In: virtual time. Out: the lease as each process sees it. Its revision rises with each holder, and
// it ends by etcd's own clock. Not here: who leads by it, and until when (reconciler/leading.ts).

import type { Holder, LeasePort } from '../../../reconciler/ports.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';

export interface Etcd {
  readonly faults: {
    down: boolean;
    /** Reconcilers that do not reach it. */
    readonly cutOff: Set<string>;
    /** Share of answers that are lost. */
    lost: number;
    slowMs: Ms;
  };
  readonly lease: (process: Process, name: string) => LeasePort;
  /** Who holds it, or held it last. */
  readonly leader: () => string | null;
}

/** A leader that is gone is replaced after this time. */
export const LEASE_MS: Ms = 5_000;
const FAST_MS: Ms = 10;

interface Held {
  readonly process: Process;
  readonly name: string;
  readonly term: number;
  endsAt: Ms;
}

export const createEtcd = (time: SimTime): Etcd => {
  const random = time.random.fork('etcd');
  const faults = { down: false, cutOff: new Set<string>(), lost: 0, slowMs: FAST_MS };
  let held: Held | null = null;
  let revision = 1;
  const now = (): Held | null => (held !== null && time.now() < held.endsAt ? held : null);
  const answer = (process: Process, { name, term, process: whose }: Held): Holder => ({
    name,
    address: name,
    term,
    mine: whose === process,
  });
  const lease = (process: Process, name: string): LeasePort => {
    const ask = <T>(label: string, effect: () => T): Promise<T> =>
      process.call(`lease ${label}`, random.between(2, faults.slowMs), () => {
        if (faults.down || faults.cutOff.has(name)) throw new Error('etcd does not answer.');
        const value = effect();
        if (random.chance(faults.lost)) throw new Error('etcd did not answer in time.');
        return value;
      });
    const take = (): Held => {
      revision += 1;
      time.note(`${name} takes the lease at ${revision}`);
      return { process, name, term: revision, endsAt: time.now() + LEASE_MS };
    };
    return {
      holder: () =>
        ask('holder', () => {
          const holder = now();
          return holder === null ? null : answer(process, holder);
        }),
      acquire: () =>
        ask('acquire', () => {
          held = now() ?? take();
          return answer(process, held);
        }),
      keep: () =>
        ask('keep', () => {
          const holder = now();
          if (holder?.process !== process) return false;
          holder.endsAt = time.now() + LEASE_MS;
          return true;
        }),
      release: () =>
        ask('release', () => {
          if (now()?.process === process) held = null;
        }),
      close: () => undefined,
    };
  };
  return { faults, lease, leader: () => held?.name ?? null };
};
