// A repository with objects added in memory: merges are made there, and read like any commit.
// In: a store. Out: a store that reads both, and the way to add. Nothing is written to disk. Not
// here: merging (merge).

import { createFolders, type KnownTexts } from './folders.ts';
import { FILE_BYTES, MERGE_MEMORY_BYTES } from './limits.ts';
import { createLine } from './line.ts';
import type { MergeStore } from './merge.ts';
import type { NewObject } from './objects.ts';
import { objectId } from './objects.ts';
import { createMemory } from './remember.ts';
import type { Store } from './store.ts';
import { createReadFiles } from './tree.ts';

export interface Layered {
  readonly store: Store;
  readonly merging: MergeStore;
}

interface LayerOptions {
  readonly directory: string;
  /** Texts that need no reading. */
  readonly known: KnownTexts;
}

export const layerOver = (below: Store, { directory, known }: LayerOptions): Layered => {
  const memory = createMemory<NewObject>(MERGE_MEMORY_BYTES);
  const objects: Store['objects'] = {
    ...below.objects,
    read: async (oid, maxBytes) => {
      const made = memory.get(oid);
      if (made === undefined) return below.objects.read(oid, maxBytes);
      const { type, data } = made;
      return { type, size: data.length, data: data.length > maxBytes ? null : data };
    },
  };
  const folders = createFolders(objects, { fileBytes: FILE_BYTES, known });
  const files = createReadFiles(folders, directory);
  const line = createLine(folders, directory);
  const add = (object: NewObject): string => {
    const oid = objectId(object);
    memory.set(oid, object, object.data.length);
    return oid;
  };
  return { store: { ...below, objects, folders, files, line }, merging: { folders, add } };
};
