// What jobs are compiled under, and the means to compile one of them: what a full survey and a quick one share.
// In: a tree, the memo. Out: paths by kind, documents, jobs. Not here: which of them are looked at (survey.ts,
// resurvey.ts), one job's content (job.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { DocumentKind, Documents } from '../../schema/documents.ts';
import type { ClusterSpec, DesiredJob } from '../../schema/desired.ts';
import { identityOf, strayFile } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import { namespacePath, type Settings } from './cluster.ts';
import { jobNames, usedPaths } from './draft.ts';
import { heldDocument, type HeldDocument } from './held.ts';
import { NO_RECORDS, type LedgerIndex } from './ledger-index.ts';
import type { CompileMemo, PathInfo, RememberedJob } from './memo.ts';
import type { Reader } from './read.ts';
import { outcomeOf } from './remember.ts';
import { removedJob } from './removed.ts';

/** Paths of one tree by what they are. */
export interface Layout {
  readonly paths: Readonly<Record<DocumentKind, readonly string[]>>;
  readonly strays: readonly Problem[];
}

export interface HeldNamespace {
  readonly held: HeldDocument<Documents['namespace']>;
  readonly settings: Settings;
}

/** What jobs are compiled under: of a tree, all but its job files and what they use. */
export interface JobsAround {
  readonly index: LedgerIndex;
  readonly layout: Layout;
  readonly namespaces: ReadonlyMap<string, HeldNamespace>;
  readonly documents: ReturnType<typeof createDocuments>;
  readonly read: Reader;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly spec: ClusterSpec;
}

const NO_COUNTS = {};

/** Compiles one job of the tree, or finds that it is the one remembered. */
export const createCompileOne = (
  tree: SourceTree,
  { index, layout, namespaces, documents, read }: JobsAround,
  memo: CompileMemo,
): ((path: string) => RememberedJob) => {
  const users = lazily(() => usersOf(layout.paths.job, { tree, read, memo }));
  const sharedBy = (path: string) => (source: string) =>
    users()
      .get(source)
      ?.find((other) => other !== path) ?? null;
  return (path) => {
    const { namespace, job } = jobNames(path);
    const found = namespaces.get(namespace);
    if (found === undefined) throw new Error(`namespace ${namespace} was not looked at`);
    const scale = documents.held('scale', `scale/${namespace}/${job}.yaml`, { needed: false });
    return outcomeOf(
      {
        path,
        namespace,
        files: tree.files,
        head: tree.head,
        settings: found.settings,
        namespaceHeld: heldBecause(namespace, found.held),
        scale: valueOf(scale) ?? NO_COUNTS,
        ledger: index.byJob.get(`${namespace}/${job}`) ?? NO_RECORDS,
        history: tree.histories.get(path),
        lookups: tree.lookups,
        read,
        sharedBy: sharedBy(path),
      },
      memo.jobs.get(path),
    );
  };
};

/** A namespace whose file never was valid: whether it is protected is not known, so nothing new is done in it. */
const heldBecause = (name: string, held: HeldNamespace['held']): string | null =>
  held.kind === 'never-valid' ? `${namespacePath(name)} is not valid` : null;

const lazily = <T extends object>(make: () => T): (() => T) => {
  let made: T | null = null;
  return () => (made ??= make());
};

/** Path in the repository → job files at HEAD that use it. */
const usersOf = (
  jobPaths: readonly string[],
  { tree, read, memo }: { tree: SourceTree; read: Reader; memo: CompileMemo },
): ReadonlyMap<string, readonly string[]> => {
  const users = new Map<string, string[]>();
  for (const path of jobPaths) {
    const file = tree.files.get(path);
    if (file === undefined) continue;
    const document = read('job', path, file);
    const known = memo.uses.get(document);
    const used = known ?? usedPaths(document, jobNames(path).job);
    if (known === undefined) memo.uses.set(document, used);
    for (const source of used) {
      const list = users.get(source);
      if (list === undefined) users.set(source, [path]);
      else list.push(path);
    }
  }
  return users;
};

export const removedJobs = (input: {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly spec: ClusterSpec;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly jobPaths: readonly string[];
  readonly syncedJobPaths: readonly string[];
  readonly read: Reader;
}): readonly DesiredJob[] => {
  const { tree, index, spec, syncedJobPaths, read, cluster } = input;
  const { lastSynced } = tree;
  if (lastSynced === null) return [];
  const defaults = valueOf(cluster)?.defaults ?? {};
  if (syncedJobPaths === input.jobPaths) return [];
  return syncedJobPaths.flatMap((path) => {
    if (tree.files.has(path)) return [];
    const { namespace, job } = jobNames(path);
    const ledger = index.byJob.get(`${namespace}/${job}`) ?? NO_RECORDS;
    const settings = { cluster: spec, defaults, protected: false };
    return removedJob({ path, lastSynced, settings, ledger, read }) ?? [];
  });
};

export const layoutOf = (files: Files, memo: CompileMemo): Layout => {
  const paths: Record<DocumentKind, string[]> = {
    cluster: [],
    namespace: [],
    node: [],
    job: [],
    scale: [],
  };
  const strays: Problem[] = [];
  for (const path of files.keys()) {
    const info = infoOf(path, memo);
    if (info.stray !== null) strays.push(info.stray);
    if (info.identity !== null) paths[info.identity.kind].push(path);
  }
  return { paths, strays };
};

export const infoOf = (path: string, memo: CompileMemo): PathInfo => {
  const known = memo.paths.get(path);
  if (known !== undefined) return known;
  const info = { identity: identityOf(path), stray: strayFile(path) };
  memo.paths.set(path, info);
  return info;
};

/** Reads held documents and notes what is wrong with them and what has to be asked. */
export const createDocuments = (tree: SourceTree, read: Reader) => {
  const problems: Problem[] = [];
  const asked: string[] = [];
  const held = <K extends DocumentKind>(
    kind: K,
    path: string,
    { needed }: { readonly needed: boolean },
  ): HeldDocument<Documents[K]> => {
    const { files, histories } = tree;
    const found = heldDocument([kind, path], { files, histories, needed }, read);
    if (found.kind !== 'absent') problems.push(...found.problems);
    if (found.kind === 'asked') asked.push(path);
    return found;
  };
  return { held, problems, asked };
};

export const valueOf = <T>(held: HeldDocument<T>): T | null =>
  held.kind === 'head' || held.kind === 'held' ? held.value : null;
