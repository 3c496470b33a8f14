// What an approval would let go, and a name for it: a button carries the name, so that a click tells
// which text it was pressed below, and lets nothing go that this text did not show (rules 8.2).
// In: slots and contents. Out: the name, and whether one set is within another. Not here: who may
// approve (reconciler/forge), the button (reconciler/render).

import { hashOf } from './hash.ts';

export interface Covered {
  /** That may go for good, `<job>/<group>[<index>]`. */
  readonly slots: readonly string[];
  /** That may change to these contents. */
  readonly files: readonly { readonly path: string; readonly blob: string | null }[];
}

/** Of the name; beside `approve-` it fills the 20 characters that GitHub has for a button's name. */
export const COVERS_LENGTH = 12;

const namesIn = ({ slots, files }: Covered): readonly string[] =>
  [...slots, ...files.map(({ path, blob }) => JSON.stringify([path, blob]))].toSorted();

/** Equal sets, equal names; 12 hexadecimal digits. */
export const coversOf = (covered: Covered): string =>
  hashOf(namesIn(covered)).slice(0, COVERS_LENGTH);

/** Nothing of it is beside what was shown. */
export const isWithin = (covered: Covered, shown: Covered): boolean => {
  const names = new Set(namesIn(shown));
  return namesIn(covered).every((name) => names.has(name));
};

/** What waits at the newest commit of the branch, and of which it is known who wrote it. */
export const waitingAt = (
  {
    heldFiles = [],
  }: { readonly heldFiles?: readonly (Covered['files'][number] & { readonly by: string })[] },
  { guarded }: { readonly guarded: readonly Pick<Covered, 'slots'>[] },
): Covered => ({
  slots: guarded.flatMap(({ slots }) => slots),
  files: heldFiles.filter(({ by }) => by !== ''),
});
