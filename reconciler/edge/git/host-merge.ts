// A merge that a host made when somebody pressed its button: what it brings in, and whether it holds
// just what its two parents give. A host signs whatever is asked of it, so its signature says no
// more than that; a conflict that was solved in the browser is somebody's unsigned work. In: a
// merge. Out: ids; yes or no. Only the cluster's directory is compared: no other file is acted on.
// Not here: who signed the commits (acceptance).

import { type Commit } from './format.ts';
import { layerOver, type Layered } from './layer.ts';
import { broughtIn } from './merge-base.ts';
import { mergeByGit } from './merge-by-git.ts';
import { mergeInMemory, type Merge } from './merge.ts';
import type { Store } from './store.ts';
import { isSameCluster } from './tree.ts';

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
      const ask = { base, head, directory };
      const isMade = async (result: Merge | null): Promise<boolean> => {
        if (result === null || result.kind === 'conflict' || result.kind === 'unrelated') {
          return false;
        }
        const given = result.kind === 'merged' ? result.commit : base;
        const { tree } = await merging.folders.commit(given);
        return isSameCluster(merging.folders, [tree, merge.tree], directory);
      };
      if (await isMade(await mergeInMemory(merging, ask))) return true;
      return isMade(await mergeByGit(merging, store.repository.commonDir, ask));
    },
  };
};
