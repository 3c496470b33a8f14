// Whether two values of JSON are the same.
// In: what JSON.parse returned, or values that could have been written as JSON. Out: yes or no.
// Not here: names of values by what is in them (hash.ts).

/** Fields may stand in any order; lists are the same in the same order. */
export const isSameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (!isComposed(a) || !isComposed(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSameJson(a[name], b[name]))
  );
};

const isComposed = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
