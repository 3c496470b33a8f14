// A file that other programs read while it is replaced, and the catalogue that the runner keeps.
// In: a path and texts. Out: the file whole, either the old one or the new, and only when it is
// another. Not here: what stands in it (decide/service-files.ts), when it is written (discovery.ts).

import { readFile } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { checkCatalogue } from '../../schema/check-catalogue.ts';
import type { Catalogue } from '../../schema/services.ts';

export interface KeptFile {
  /** True: it was another text. Throws what the file system says; then the next one is written. */
  readonly write: (text: string) => Promise<boolean>;
}

/** Load balancers run as users of their own. */
const SHARED_MODE = 0o644;
const OWN_MODE = 0o600;

/** An existing file with the same text is left alone, so that nobody reloads for nothing. */
export const createSharedFile = (path: string): KeptFile => {
  let written: string | null = null;
  return {
    write: async (text) => {
      written ??= await readFile(path, 'utf8').catch(() => null);
      if (text === written) return false;
      written = null;
      // Not waited for until it is on the disk: after a power cut it is written anew.
      await writeFileAtomic(path, text, { mode: SHARED_MODE, fsync: false });
      written = text;
      return true;
    },
  };
};

/** null: none was kept, or what was kept is damaged; the next session brings one. */
export const readCatalogue = async (path: string): Promise<Catalogue | null> => {
  try {
    const checked = checkCatalogue(JSON.parse(await readFile(path, 'utf8')));
    return checked.ok ? checked.value : null;
  } catch {
    return null;
  }
};

/** Written by this program alone: whole or not at all. */
export const writeCatalogue = (path: string, catalogue: Catalogue): Promise<void> =>
  writeFileAtomic(path, JSON.stringify(catalogue), { mode: OWN_MODE, fsync: false });
