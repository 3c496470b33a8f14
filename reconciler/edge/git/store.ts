// One repository on this machine, opened: its objects, and what is remembered of them.
// In: where it is. Out: readers of files, ledger and history.
// Not here: which commit is meant (source).

import { spawnSync } from 'node:child_process';
import { createBatch } from './batch.ts';
import type { Folders, KnownTexts } from './folders.ts';
import { createFolders } from './folders.ts';
import { FILE_BYTES, LEDGER_FILE_BYTES } from './limits.ts';
import type { Line } from './line.ts';
import { createLine } from './line.ts';
import type { Objects } from './objects.ts';
import { createObjects } from './objects.ts';
import type { Repository } from './refs.ts';
import type { ReadFiles } from './tree.ts';
import { createReadFiles } from './tree.ts';

export interface Store {
  readonly repository: Repository;
  readonly objects: Objects;
  readonly folders: Folders;
  /** The same, with the ledger's larger limit of a file. */
  readonly ledgerFolders: Folders;
  readonly files: ReadFiles;
  readonly line: Line;
}

export interface StoreOptions {
  readonly directory: string;
  readonly known: KnownTexts;
}

export const createStore = (repository: Repository, { directory, known }: StoreOptions): Store => {
  const { commonDir, owner } = repository;
  const batch = hasGit() ? createBatch(commonDir) : null;
  const objects = createObjects({ commonDir, owner, batch });
  const folders = createFolders(objects, { fileBytes: FILE_BYTES, known });
  return {
    repository,
    objects,
    folders,
    ledgerFolders: createFolders(objects, { fileBytes: LEDGER_FILE_BYTES, known }),
    files: createReadFiles(folders, directory),
    line: createLine(folders, directory),
  };
};

let found: boolean | null = null;

/** Whether the system has a git; asked once. */
export const hasGit = (): boolean => {
  found ??= spawnSync('git', ['--version'], { stdio: 'ignore' }).status === 0;
  return found;
};
