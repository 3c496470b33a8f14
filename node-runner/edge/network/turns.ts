// One piece of work at a time for each key, so that a tearDown never meets its own setUp.
// In: a key and work. Out: its result. Not here: limits over all keys (limit.ts).

/** Work on one key is done in the order in which it was asked, whether or not it fails. */
export const createTurns = (): (<T>(key: string, work: () => Promise<T>) => Promise<T>) => {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    last.set(key, settled);
    void settled.then(() => (last.get(key) === settled ? last.delete(key) : false));
    return mine;
  };
};
