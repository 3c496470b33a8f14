// What GitHub refuses not of one thing but of a whole kind: a login that has ended, an archive, a
// permission that is missing. One request of its kind now and then finds out whether it still is so,
// all others are refused here: GitHub locks out who keeps on asking with a login that it refuses.
// In: requests before they are made, how they ended. Out: the refusal of before, thrown again. Not
// here: a GitHub that is away (away), one that asks to wait (gate).

import { AWAY_FIRST_MS, AWAY_LONGEST_MS } from './away.ts';
import type { ForgeFailure, Scope } from './failure.ts';
import { levelFor, permissionFor, type Asked } from './permissions.ts';

export interface Held {
  /** Throws the refusal that holds; lets one through now and then. */
  readonly enter: (asked: Asked) => void;
  readonly refused: (failure: ForgeFailure) => void;
  readonly allowed: (asked: Asked) => void;
}

interface Refused {
  readonly count: number;
  readonly until: number;
  readonly failure: ForgeFailure;
}

export const createHeld = (now: () => number): Held => {
  const held = new Map<Scope, Refused>();
  return {
    enter: (asked) => {
      if (held.size === 0) return;
      for (const scope of scopesOf(asked)) {
        const one = held.get(scope);
        if (one === undefined) continue;
        if (now() < one.until) throw one.failure;
        // Of all that come now this one goes. A login that is asked for may be at hand still, so
        // that nothing is found out by it.
        if (!isLogin(asked)) held.set(scope, { ...one, until: now() + waitMs(one.count) });
      }
    },
    refused: (failure) => {
      const { scope } = failure;
      if (scope === null) return;
      const count = (held.get(scope)?.count ?? 0) + 1;
      held.set(scope, { count, until: now() + waitMs(count), failure });
    },
    allowed: (asked) => {
      if (held.size === 0 || isLogin(asked)) return;
      for (const scope of scopesOf(asked)) held.delete(scope);
    },
  };
};

const waitMs = (count: number): number =>
  Math.min(AWAY_FIRST_MS * 2 ** (count - 1), AWAY_LONGEST_MS);

/** What the App asks with its own key says nothing of its installation. */
const isLogin = ({ path }: Asked): boolean => path.startsWith('/app');

const scopesOf = (asked: Asked): readonly Scope[] => {
  const permission = permissionFor(asked);
  const level = levelFor(asked);
  return [
    'login',
    ...(level === 'write' ? (['writes'] as const) : []),
    ...(permission === null ? [] : [`${permission}:${level}` as const]),
  ];
};
