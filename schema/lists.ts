// Values put together by what they have in common.
// In: values, and how to get a key from one. Out: a list for each key, in the order of the values.
// Not here: order of keys (ids), groups of a job (spec).

/** Each key with its values; a reader looks at every value once, not once for each key. */
export const listsOf = <Value>(
  values: readonly Value[],
  keyOf: (value: Value) => string,
): ReadonlyMap<string, readonly Value[]> => {
  const lists = new Map<string, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [value]);
    else list.push(value);
  }
  return lists;
};
