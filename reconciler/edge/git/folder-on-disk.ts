// The files of a cluster's directory as they stand on disk, uncommitted edits included: for
// previews and validate.
// In: a folder. Out: Files, as a commit of them would hold. What git ignores is left out where the
// folder is in a repository. Not here: reading commits (source), meaning (compile).

import { execFile } from 'node:child_process';
import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Files, SourceFile } from '../../../schema/source.ts';
import type { FileRow } from './folders.ts';
import { fileOf } from './folders.ts';
import { byPath } from './format.ts';
import { broken } from './failure.ts';
import { COMMAND_OUTPUT_BYTES, FILE_BYTES, FILES, TREE_DEPTH } from './limits.ts';
import { objectId } from './objects.ts';
import { matters } from './tree.ts';

/** @throws GitFailure when the folder holds too much */
export const readFolder = async (folder: string): Promise<Files> => {
  const names = (await gitNames(folder)) ?? (await namesBelow(folder, '', 0));
  const wanted = names.filter((name) => matters({ name: name.split('/')[0] ?? '' }));
  if (wanted.length > FILES) {
    throw broken(`${folder} holds ${wanted.length} files; the limit is ${FILES}`);
  }
  const rows: FileRow[] = [];
  for (const name of wanted) {
    const file = await readOne(path.join(folder, name));
    if (file !== null) rows.push([name, file]);
  }
  return new Map(rows.toSorted(byPath));
};

/** Tracked and new files, without those that git ignores; null: not in a repository, or no git. */
const gitNames = async (folder: string): Promise<readonly string[] | null> => {
  const args = ['-C', folder, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  try {
    const { stdout } = await promisify(execFile)('git', args, { maxBuffer: COMMAND_OUTPUT_BYTES });
    return [...new Set(stdout.split('\0').filter((name) => name !== ''))];
  } catch {
    return null;
  }
};

const namesBelow = async (
  folder: string,
  prefix: string,
  depth: number,
): Promise<readonly string[]> => {
  if (depth > TREE_DEPTH) return [];
  const entries = await readdir(path.join(folder, prefix), { withFileTypes: true });
  const lists = await Promise.all(
    entries.map(async (entry): Promise<readonly string[]> => {
      const name = `${prefix}${entry.name}`;
      if (depth === 0 && !matters(entry)) return [];
      return entry.isDirectory() ? namesBelow(folder, `${name}/`, depth + 1) : [name];
    }),
  );
  return lists.flat();
};

/** null: it is gone from disk, though git still lists it. */
const readOne = async (file: string): Promise<SourceFile | null> => {
  const found = await lstat(file).catch(() => null);
  if (found === null) return null;
  const refused = (
    why: 'symlink' | 'submodule' | 'too-large',
    size: number | null,
  ): SourceFile => ({
    kind: 'refused',
    blob: objectId({ type: 'blob', data: Buffer.from(file) }),
    why,
    size,
  });
  if (found.isSymbolicLink()) return refused('symlink', null);
  if (!found.isFile()) return refused('submodule', null);
  if (found.size > FILE_BYTES) return refused('too-large', found.size);
  const data = await readFile(file);
  return fileOf(objectId({ type: 'blob', data }), data);
};
