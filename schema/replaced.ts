// A list like another one with a few values in the stead of others, and which those are: so that of
// ten thousand values the one that changed need not be searched for.
// In: a list and what stands where instead; two lists. Out: a new list; the places in which two lists
// differ, where that is known; what stands in one alone. Not here: what follows from that.

/** Which list a list was made of. Lists are known by a mark, so that none is kept for another. */
interface Origin {
  readonly from: object;
  readonly places: readonly number[];
}

const origins = new WeakMap<readonly unknown[], Origin>();
const marks = new WeakMap<readonly unknown[], object>();

/** The list itself where nothing is replaced. Places are those of the list. */
export const withReplaced = <Value>(
  list: readonly Value[],
  values: ReadonlyMap<number, Value>,
): readonly Value[] => {
  if (values.size === 0) return list;
  const made = [...list];
  for (const [place, value] of values) made[place] = value;
  const from = marks.get(list) ?? {};
  marks.set(list, from);
  origins.set(made, { from, places: [...values.keys()] });
  return made;
};

/** Where the lists may differ; null: it would take a look at each value. */
export const replacedIn = (
  before: readonly unknown[],
  now: readonly unknown[],
): readonly number[] | null => {
  if (before === now) return [];
  const origin = origins.get(now);
  return origin !== undefined && origin.from === marks.get(before) ? origin.places : null;
};

export interface Differing<Value> {
  readonly old: readonly Value[];
  readonly news: readonly Value[];
}

/**
 * What may stand in one of two lists alone, in their order, compared by identity: what is known to
 * be replaced, or all that lies between the ends that both lists have in common.
 */
export const differingIn = <Value>(
  before: readonly Value[],
  now: readonly Value[],
): Differing<Value> => {
  const places = replacedIn(before, now);
  if (places !== null) {
    const at = (list: readonly Value[]): readonly Value[] =>
      places.flatMap((place) => list.slice(place, place + 1));
    return { old: at(before), news: at(now) };
  }
  const shorter = Math.min(before.length, now.length);
  let start = 0;
  while (start < shorter && before[start] === now[start]) start += 1;
  let tail = 0;
  while (
    tail < shorter - start &&
    before[before.length - 1 - tail] === now[now.length - 1 - tail]
  ) {
    tail += 1;
  }
  return {
    old: before.slice(start, before.length - tail),
    news: now.slice(start, now.length - tail),
  };
};
