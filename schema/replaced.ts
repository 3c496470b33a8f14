// A list like another one with a few values in the stead of others, and which those are: so that of
// ten thousand values the one that changed need not be searched for.
// In: a list and what stands where instead. Out: a new list; the places in which two lists differ,
// where that is known. Not here: lists of another length.

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
