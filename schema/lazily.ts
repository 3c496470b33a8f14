// A value that is worked out when it is first asked for, and once.
// In: how to work it out. Out: the way to ask. Not here: what may be put off (whoever calls it).

export const lazily = <Value>(make: () => Value): (() => Value) => {
  let made: { readonly value: Value } | null = null;
  return () => (made ??= { value: make() }).value;
};
