// One path of a commit, looked up folder by folder.
// In: a tree and a path in the repository. Out: the entry there. Not here: reading what it names
// (folders.ts).

import type { Folders } from './folders.ts';
import type { TreeEntry } from './format.ts';
import { FOLDER } from './format.ts';

/** The entry at a path; null where there is none. */
export const entryAt = async (
  folders: Folders,
  tree: string,
  path: string,
): Promise<TreeEntry | null> => {
  const parts = path.split('/');
  let at = tree;
  for (const [depth, part] of parts.entries()) {
    const entry = (await folders.tree(at)).find((one) => one.name === part);
    if (entry === undefined) return null;
    if (depth === parts.length - 1) return entry;
    if (entry.mode !== FOLDER) return null;
    at = entry.oid;
  }
  return null;
};
