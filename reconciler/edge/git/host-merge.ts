// A merge that a host made when somebody pressed its button: what it brings in, and whether it holds
// just what its two parents give. A host signs whatever is asked of it, so its signature says no
// more than that; a conflict that was solved in the browser is somebody's unsigned work. In: a
// merge. Out: ids; yes or no. Only the cluster's directory is compared: no other file is acted on.
// Not here: who signed the commits (acceptance).

import { type Commit } from './format.ts';
import { layerOver, type Layered } from './layer.ts';
import { broughtIn } from './merge-base.ts';
import { mergeInMemory } from './merge.ts';
import type { Store } from './store.ts';
import { enter, matters } from './tree.ts';

export interface HostMerges {
  /** Commits of the second parent that the first does not contain, newest first. */
  readonly broughtIn: (merge: Commit) => Promise<readonly string[]>;
  readonly isExact: (merge: Commit) => Promise<boolean>;
}

export const createHostMerges = (store: Store, directory: string): HostMerges => {
  let layered: Layered | null = null;
  const layer = (): Layered =>
    (layered ??= layerOver(store, { directory, known: () => undefined }));
  return {
    broughtIn: async ({ parents: [ours, theirs] }) =>
      ours === undefined || theirs === undefined ? [] : broughtIn(store.folders, [ours, theirs]),
    isExact: async (merge) => {
      const [base, head] = merge.parents;
      if (base === undefined || head === undefined) return false;
      const { merging } = layer();
      const result = await mergeInMemory(merging, { base, head, directory });
      if (result.kind === 'conflict' || result.kind === 'unrelated') return false;
      const given = result.kind === 'merged' ? result.commit : base;
      const { tree } = await merging.folders.commit(given);
      const [made, found] = await Promise.all(
        [tree, merge.tree].map(async (oid) =>
          partsOf(await enter(merging.folders, oid, directory)),
        ),
      );
      return made === found;
    },
  };
};

const partsOf = (entries: Awaited<ReturnType<typeof enter>>): string =>
  entries
    .filter(matters)
    .map(({ mode, name, oid }) => `${mode} ${name} ${oid}`)
    .join('\n');
