// So many at once, then so many a second, for each of many names.
// In: names, amounts, times. Out: whether it is still within what is allowed. Memory is bounded:
// names that have their whole allowance again are forgotten. Not here: what follows (the callers).

import type { Ms } from '../../../schema/spec.ts';

export interface Rate {
  readonly burst: number;
  /** What comes back in a millisecond. */
  readonly perMs: number;
}

export interface Allowance {
  /** Takes it, and says whether there was enough. Where there was not, nothing is taken. */
  readonly take: (name: string, amount?: number) => boolean;
  /** Whether at least one is left. */
  readonly has: (name: string) => boolean;
  /** Until at least one is there again; 0 where one is. */
  readonly waitMs: (name: string) => Ms;
}

export interface AllowanceOptions extends Rate {
  /** Names that are remembered; the one that was used longest ago is forgotten first. */
  readonly names: number;
  readonly now: () => Ms;
}

interface Left {
  readonly amount: number;
  readonly at: Ms;
}

export const createAllowance = (options: AllowanceOptions): Allowance => {
  const { burst, perMs, names, now } = options;
  const known = new Map<string, Left>();
  const leftOf = (name: string): number => {
    const left = known.get(name);
    return left === undefined ? burst : Math.min(burst, left.amount + (now() - left.at) * perMs);
  };
  return {
    take: (name, amount = 1) => {
      const left = leftOf(name);
      if (left < amount) return false;
      // Anew at the end: the order of the map is that of the last use.
      known.delete(name);
      known.set(name, { amount: left - amount, at: now() });
      if (known.size > names) forgetOne(known);
      return true;
    },
    has: (name) => leftOf(name) >= 1,
    waitMs: (name) => Math.max(0, Math.ceil((1 - leftOf(name)) / perMs)),
  };
};

const forgetOne = (known: Map<string, Left>): void => {
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
};
