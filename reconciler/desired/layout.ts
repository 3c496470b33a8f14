// Which file is what: the paths of a tree by kind, and what changed since the tree before.
// In: the files of a tree, and the layout before. Out: Layout. Two trees in a row mostly have the
// same paths, so they are compared side by side, in their common order, without looking anything
// up. Not here: what is in the files.

import type { DocumentKind } from '../../schema/documents.ts';
import { compareText } from '../../schema/ids.ts';
import { identityOf, strayFile } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceFile } from '../../schema/source.ts';

/** What the path of a job file says. */
export interface JobPath {
  readonly path: string;
  readonly id: string;
  readonly namespace: string;
  readonly scalePath: string;
}

/** Paths of one tree by what they are. */
export interface Layout {
  readonly files: Files;
  readonly paths: Readonly<Record<Exclude<DocumentKind, 'job'>, readonly string[]>>;
  /** Sorted by id. */
  readonly jobs: readonly JobPath[];
  /** Of jobs and of namespace files, sorted. */
  readonly namespaces: readonly string[];
  readonly scalePaths: ReadonlySet<string>;
  readonly strays: readonly Problem[];
}

export interface Difference {
  readonly layout: Layout;
  /** Paths whose content differs from the tree before; null: there was none with the same paths. */
  readonly changed: ReadonlySet<string> | null;
}

export const layoutAfter = (files: Files, before: Layout | null): Difference => {
  const changed = before === null ? null : changedPaths(files, before.files);
  if (before === null || changed === null) return { layout: layoutOf(files), changed: null };
  return { layout: { ...before, files }, changed };
};

/** null: the paths are not the same, or not in the same order. */
const changedPaths = (files: Files, before: Files): ReadonlySet<string> | null => {
  if (files.size !== before.size) return null;
  const changed = new Set<string>();
  const old = before.entries();
  for (const [path, file] of files) {
    const next = old.next();
    if (next.done === true || next.value[0] !== path) return null;
    if (!sameFile(file, next.value[1])) changed.add(path);
  }
  return changed;
};

const sameFile = (a: SourceFile, b: SourceFile): boolean =>
  a === b || (a.blob === b.blob && a.kind === b.kind);

export const layoutOf = (files: Files): Layout => {
  const paths: Record<Exclude<DocumentKind, 'job'>, string[]> = {
    cluster: [],
    namespace: [],
    node: [],
    scale: [],
  };
  const jobs: JobPath[] = [];
  const strays: Problem[] = [];
  const namespaces = new Set<string>();
  for (const path of files.keys()) {
    const identity = identityOf(path);
    if (identity === null) {
      const stray = strayFile(path);
      if (stray !== null) strays.push(stray);
      continue;
    }
    const { kind, namespace, name } = identity;
    if (kind === 'namespace') namespaces.add(name);
    if (kind !== 'job') {
      paths[kind].push(path);
      continue;
    }
    namespaces.add(namespace);
    const id = `${namespace}/${name}`;
    jobs.push({ path, id, namespace, scalePath: `scale/${id}.yaml` });
  }
  return {
    files,
    paths,
    jobs: jobs.toSorted((a, b) => compareText(a.id, b.id)),
    namespaces: [...namespaces].toSorted(compareText),
    scalePaths: new Set(paths.scale),
    strays,
  };
};
