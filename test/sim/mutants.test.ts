// Each break of mutants.ts is one of code that is there. Whether seeds show it: npm run sim:mutants.

import { expect, it } from 'vitest';

import { broken, MUTANTS } from './mutants.ts';

it.each(MUTANTS)('can be broken: $name', async (mutant) => {
  expect(await broken(mutant)).toContain(mutant.to);
});

it('names each break once', () => {
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});
