// A lease in memory, for tests of who leads: the same contract as etcd's (test/contract/lease.test.ts).
// In: a clock. Out: LeasePorts that share one lease, and a way to take the store away. Not here: time.

import type { Holder, LeasePort, Member } from '../../reconciler/ports.ts';

export interface FakeStore {
  readonly open: () => LeasePort;
  /** Nobody answers, until it is back. */
  readonly away: (isAway: boolean) => void;
  /** It is made anew: whoever held the lease does not, and terms begin at 1. */
  readonly wipe: () => void;
}

interface Kept {
  readonly owner: symbol;
  readonly member: Member;
  readonly term: number;
  endsAt: number;
}

export const createFakeLease = (leaseMs: number, now: () => number): FakeStore => {
  let kept: Kept | null = null;
  let revision = 0;
  let isAway = false;
  /** A call's way there; what it does then is done at once, as one transaction. */
  const look = (): Kept | null => {
    if (isAway) {
      throw Object.assign(new Error('the store is away'), {
        kind: 'edge-failure',
        consequence: 'retry',
      });
    }
    if (kept !== null && kept.endsAt <= now()) kept = null;
    return kept;
  };
  const open = (): LeasePort => {
    const owner = Symbol('owner');
    const shown = ({ member, term, owner: other }: Kept): Holder => ({
      ...member,
      term,
      mine: other === owner,
    });
    return {
      holder: async () => {
        await Promise.resolve();
        const found = look();
        return found && shown(found);
      },
      acquire: async (member) => {
        await Promise.resolve();
        const found = look();
        if (found !== null) return shown(found);
        revision += 1;
        kept = { owner, member, term: revision, endsAt: now() + leaseMs };
        return shown(kept);
      },
      keep: async () => {
        await Promise.resolve();
        const found = look();
        if (found?.owner !== owner) return false;
        found.endsAt = now() + leaseMs;
        return true;
      },
      release: async () => {
        await Promise.resolve();
        const found = look();
        if (found?.owner === owner) kept = null;
      },
      close: () => {},
    };
  };
  return {
    open,
    away: (next) => {
      isAway = next;
      // etcd gives every lease its whole time again once it has a leader.
      if (!next && kept !== null) kept.endsAt = now() + leaseMs;
    },
    wipe: () => {
      kept = null;
      revision = 0;
    },
  };
};
