// Which file is what: the paths of a tree by kind, and what changed since the tree before.
// In: a tree, and the layout before. Out: Layout. Where the reader of the tree says how it differs,
// only that is looked at; else two trees with the same paths are compared side by side, in their
// common order. Not here: what is in the files.

import type { DocumentKind } from '../../schema/documents.ts';
import { compareText } from '../../schema/ids.ts';
import { identityOf, type Identity, isFolderPlace, strayFile } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceFile, SourceTree } from '../../schema/source.ts';
import { problemOf } from './problem.ts';

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
  /** Links and submodules that stand where documents lie in a folder: what is behind is not read. */
  readonly hiding: readonly string[];
  /** Files that are no documents although they lie among them, those of `hiding` included. */
  readonly strays: readonly Problem[];
}

export interface LayoutChange {
  readonly layout: Layout;
  /** Paths whose content differs from the tree before; null: nothing is known of it. */
  readonly changed: ReadonlySet<string> | null;
}

type Read = Pick<SourceTree, 'files' | 'differences'>;

export const layoutAfter = (tree: Read, before: Layout | null): LayoutChange => {
  const { files } = tree;
  if (before === null) return { layout: layoutOf(files), changed: null };
  if (before.files === files) return { layout: before, changed: NONE };
  const changed = knownDifference(tree, before.files, files) ?? changedPaths(files, before.files);
  const layout = changed === null ? null : adjusted(before, files, changed);
  return { layout: layout ?? layoutOf(files), changed };
};

const NONE: ReadonlySet<string> = new Set();

/** What the reader of the tree says of how these files differ; null: nothing. */
export const knownDifference = (
  { differences }: Pick<SourceTree, 'differences'>,
  a: Files,
  b: Files,
): ReadonlySet<string> | null =>
  differences?.find(({ from, to }) => (from === a && to === b) || (from === b && to === a))
    ?.paths ?? null;

/** More jobs than this that come or go at once are quicker sorted than put in one by one. */
const MOVED_AT_ONCE = 100;

/** The layout with jobs that came and went; null: something else did, so all is looked at anew. */
const adjusted = (before: Layout, files: Files, changed: ReadonlySet<string>): Layout | null => {
  if ([...changed].some((path) => isFolderPlace(path))) return null;
  const moved = [...changed].filter((path) => files.has(path) !== before.files.has(path));
  if (moved.length === 0) return { ...before, files };
  if (moved.length > MOVED_AT_ONCE) return null;
  const jobs = [...before.jobs];
  for (const path of moved) {
    const identity = identityOf(path);
    if (identity === null && strayFile(path) === null) continue;
    if (identity?.kind !== 'job') return null;
    const job = jobPathOf(path, identity);
    const at = placeOf(jobs, job.id);
    if (!files.has(path)) jobs.splice(at, 1);
    else if (before.namespaces.includes(job.namespace)) jobs.splice(at, 0, job);
    else return null;
  }
  const emptied = moved.some((path) => {
    const namespace = files.has(path) ? undefined : identityOf(path)?.namespace;
    return namespace !== undefined && !jobs.some((job) => job.namespace === namespace);
  });
  return emptied ? null : { ...before, files, jobs };
};

/** Where the job of this id stands among jobs that are sorted by id, or would stand. */
export const placeOf = (jobs: readonly JobPath[], id: string): number => {
  let [low, high] = [0, jobs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const job = jobs[middle];
    if (job !== undefined && compareText(job.id, id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
};

const jobPathOf = (path: string, { namespace, name }: Identity): JobPath => {
  const id = `${namespace}/${name}`;
  return { path, id, namespace, scalePath: `scale/${id}.yaml` };
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
  const hiding: string[] = [];
  const strays: Problem[] = [];
  const namespaces = new Set<string>();
  for (const [path, file] of files) {
    const identity = identityOf(path);
    if (identity === null) {
      const hides = hidingProblem(path, file);
      if (hides !== null) hiding.push(path);
      const stray = hides ?? strayFile(path);
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
    jobs.push(jobPathOf(path, identity));
  }
  return {
    files,
    paths,
    jobs: jobs.toSorted((a, b) => compareText(a.id, b.id)),
    namespaces: [...namespaces].toSorted(compareText),
    scalePaths: new Set(paths.scale),
    hiding,
    strays,
  };
};

const hidingProblem = (path: string, file: SourceFile): Problem | null => {
  const isLink = file.kind === 'refused' && file.why === 'symlink';
  const isModule = file.kind === 'refused' && file.why === 'submodule';
  if ((!isLink && !isModule) || !isFolderPlace(path)) return null;
  const message = `${path} is a ${isLink ? 'symbolic link' : 'submodule'}, not a folder.`;
  return problemOf(path, { code: 'folder-refused', message });
};
