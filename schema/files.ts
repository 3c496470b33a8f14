// Files with a few of them changed, without a copy of all the others.
// In: files, and what is different. Out: Files that read alike. Not here: where they come from.

import { compareText } from './ids.ts';
import type { Files, SourceFile } from './source.ts';

/** Path → the file that stands there instead; null: none does. */
export type FileEdits = ReadonlyMap<string, SourceFile | null>;

/** One file is looked up; whoever walks through all of them has them put together once. */
export const withFiles = (base: Files, edits: FileEdits): Files => {
  let whole: Files | null = null;
  const all = (): Files => (whole ??= joined(base, edits));
  const get = (path: string): SourceFile | undefined => {
    const edit = edits.get(path);
    return edit === undefined ? base.get(path) : (edit ?? undefined);
  };
  const files: Files = {
    get size() {
      return all().size;
    },
    get,
    has: (path) => get(path) !== undefined,
    keys: () => all().keys(),
    values: () => all().values(),
    entries: () => all().entries(),
    forEach: (visit) => {
      for (const [path, file] of all()) visit(file, path, files);
    },
    [Symbol.iterator]: () => all()[Symbol.iterator](),
  };
  return files;
};

/** In the order of paths, which stays what it was where no path comes. */
const joined = (base: Files, edits: FileEdits): Files => {
  const files = new Map(base);
  let isSorted = true;
  for (const [path, file] of edits) {
    if (file === null) files.delete(path);
    else {
      isSorted = isSorted && base.has(path);
      files.set(path, file);
    }
  }
  return isSorted ? files : new Map([...files].toSorted(([a], [b]) => compareText(a, b)));
};
