// Made-up numbers that can be had again. In: a seed. Out: numbers from 0 to 1, the same for the same
// seed.

/** Marsaglia's xorshift32. */
export const numbersFrom = (seed: number): (() => number) => {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
};
