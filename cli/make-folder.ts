// Makes a folder that a person named, with the folders above it, from the top down.
// In: a path. Out: the folder, or an error that names the one that cannot be made. Node's own way to
// do that never ends where a folder cannot be made and the system says that it is not there, as in
// /proc.

import { access, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CommandError, fileTrouble } from './command-error.ts';

export const makeFolder = async (folder: string, mode = 0o777): Promise<void> => {
  if (await isThere(folder)) return;
  await makeFolder(dirname(folder), mode);
  await mkdir(folder, { mode }).catch((error: unknown) => {
    throw new CommandError(`${folder} cannot be made: ${fileTrouble(error)}`);
  });
};

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
