// The source files of this repository, for the tests that read it.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

const SKIPPED = new Set(['node_modules', 'dist', '.git', 'coverage', 'generated']);

/** Paths relative to the root, with `/`, sorted. */
export const filesUnder = (folder: string): readonly string[] =>
  entriesOf(folder)
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (SKIPPED.has(entry.name)) return [];
      return entry.isDirectory() ? filesUnder(path) : [path];
    })
    .toSorted();

export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Files that an import of `from` names, relative to the root; packages as they are written. */
export const importsOf = (path: string): readonly string[] => {
  const text = read(path);
  const found = [
    ...text.matchAll(/^(?:import|export|\}) .*?from ['"](?<target>[^'"\n]+)['"]/gm),
    ...text.matchAll(/^import ['"](?<target>[^'"\n]+)['"]/gm),
    ...text.matchAll(/\bimport\(['"](?<target>[^'"\n]+)['"]\)/g),
  ];
  return found.flatMap(({ groups }) => {
    const target = groups?.['target'];
    if (target === undefined) return [];
    return [target.startsWith('.') ? relative('.', join(path, '..', target)) : target];
  });
};

const entriesOf = (folder: string) => {
  const path = join(ROOT, folder);
  return existsSync(path) ? readdirSync(path, { withFileTypes: true }) : [];
};
