// Of which jobs the ledger may not know by which commit their version came (rules 1.1): those that
// a commit since the last synced one touched, also where it says again what was said before.
// In: what was touched. Out: a question, by namespace and paths. Not here: finding out what was
// touched (reconciler/edge/git), what follows (job.ts).

import { canonical } from '../../schema/hash.ts';
import { kindOf } from '../../schema/paths.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import { clusterSpec, CLUSTER_PATH, namespacePath } from './cluster.ts';
import { knownDifference } from './layout.ts';
import type { Reader } from './read.ts';

/** Are a job of the namespace and these files of its untouched? */
export type Touches = (namespace: string, paths: readonly string[]) => boolean;

export const touchesOf = ({ touched }: Pick<SourceTree, 'touched'>, read: Reader): Touches => {
  if (touched === undefined) return () => false;
  if (touched === 'unknown') return () => true;
  const { settings } = touched;
  const paths = new Set(touched.paths);
  const known = new Map<string, boolean>();
  const settingsMoved = (namespace: string): boolean => {
    if (settings.length === 0) return false;
    const before = known.get(namespace);
    if (before !== undefined) return before;
    const moved = haveMoved(settings, namespace, read);
    known.set(namespace, moved);
    return moved;
  };
  return (namespace, mine) => settingsMoved(namespace) || mine.some((path) => paths.has(path));
};

/** The same with one more commit, which makes these files of those of the tree. */
export const touchedWith = (tree: SourceTree, files: Files): SourceTree['touched'] => {
  const { touched, files: before } = tree;
  if (touched === undefined || touched === 'unknown') return touched;
  const changed = [...(knownDifference(tree, before, files) ?? differing(before, files))];
  const paths = [...new Set([...touched.paths, ...changed])];
  if (!changed.some(isSettings)) return { ...touched, paths };
  // States that say of other paths how they stood cannot be set beside each other.
  if (touched.settings.length > 0) return 'unknown';
  return { paths, settings: [before, files].map((all) => settingsIn(all)) };
};

const differing = (a: Files, b: Files): readonly string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter(
    (path) => a.get(path)?.blob !== b.get(path)?.blob,
  );

const isSettings = (path: string): boolean => {
  const kind = kindOf(path);
  return kind === 'cluster' || kind === 'namespace';
};

const settingsIn = (files: Files): Files =>
  new Map([...files].filter(([path]) => isSettings(path)));

/** Files that were not valid in between kept what counted before them: then nothing is sure. */
const haveMoved = (settings: readonly Files[], namespace: string, read: Reader): boolean => {
  const [first, ...rest] = settings.map((files) => versionForming(files, namespace, read));
  return first === null || rest.some((one) => one !== first);
};

/** What of them has a say in a job's version, or in whether its file is valid; null: not valid. */
const versionForming = (files: Files, namespace: string, read: Reader): string | null => {
  const clusterFile = files.get(CLUSTER_PATH);
  const cluster = clusterFile && read('cluster', CLUSTER_PATH, clusterFile).value;
  const path = namespacePath(namespace);
  const namespaceFile = files.get(path);
  const written = namespaceFile && read('namespace', path, namespaceFile).value;
  if (cluster === null || written === null) return null;
  const spec = cluster && clusterSpec(cluster);
  const policy = spec && [spec.registries, spec.hostPaths, spec.lostAfterMs];
  return canonical([cluster?.defaults ?? null, policy ?? null, written?.protected === true]);
};
