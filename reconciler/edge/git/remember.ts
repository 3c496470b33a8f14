// A bounded memory: values by key, the ones not asked for lately are forgotten.
// In: key and value. Out: the value, by identity.
// Not here: what may be remembered (only what an object id fixes).

export interface Memory<Value> {
  readonly get: (key: string) => Value | undefined;
  /** `weight`: how much of the limit it takes, 1 where nothing is said. */
  readonly set: (key: string, value: Value, weight?: number) => void;
}

/**
 * Two generations of at most `limit` each: what is used moves to the young one, and when that is
 * full the old one goes. So a working set below `limit` is never forgotten, without a list to keep
 * in order.
 */
export const createMemory = <Value>(limit: number): Memory<Value> => {
  interface Held {
    readonly value: Value;
    readonly weight: number;
  }
  let young = new Map<string, Held>();
  let old = new Map<string, Held>();
  let weighed = 0;
  const hold = (key: string, held: Held): void => {
    if (weighed >= limit) {
      old = young;
      young = new Map();
      weighed = 0;
    }
    weighed += held.weight;
    young.set(key, held);
  };
  return {
    get: (key) => {
      const held = young.get(key);
      if (held !== undefined) return held.value;
      const aged = old.get(key);
      if (aged !== undefined) hold(key, aged);
      return aged?.value;
    },
    set: (key, value, weight = 1) => hold(key, { value, weight }),
  };
};
