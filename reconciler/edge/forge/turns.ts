// Work on one thing after the other: two writers of one check would make two.
// In: a name and work. Out: the work's result, begun when the last of that name has ended. Not here:
// what is done.

export type InTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export const createTurns = (): InTurn => {
  const last = new Map<string, Promise<unknown>>();
  return (name, work) => {
    const mine = (last.get(name) ?? Promise.resolve()).then(work, work);
    const ended = mine
      .catch(() => undefined)
      .finally(() => {
        if (last.get(name) === ended) last.delete(name);
      });
    last.set(name, ended);
    return mine;
  };
};
