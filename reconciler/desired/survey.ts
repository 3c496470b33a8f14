// Everything that a tree says, looked at once: documents with what they held before, jobs with their outcomes.
// In: SourceTree, memo. Out: Survey, which both `asks` and `compile` are read off.
// Not here: the DesiredState itself (compile.ts), one job (job.ts), whether an empty tree is meant (empty.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { DocumentKind, Documents } from '../../schema/documents.ts';
import type { ClusterSpec, DesiredJob, ExpectedNode, NamespaceSpec } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { identityOf, strayFile } from '../../schema/paths.ts';
import { pointerOf } from '../../schema/places.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import {
  CLUSTER_PATH,
  clusterSpec,
  expectedNode,
  namespacePath,
  namespaceSpec,
  type Settings,
} from './cluster.ts';
import { jobNames, usedPaths } from './draft.ts';
import { heldDocument, type HeldDocument } from './held.ts';
import type { JobOutcome } from './job.ts';
import { indexLedger, NO_RECORDS, type LedgerIndex } from './ledger-index.ts';
import type { CompileMemo, PathInfo, RememberedJob } from './memo.ts';
import { problemAt, problemOf } from './problem.ts';
import { createReader, forgetOld, type Reader } from './read.ts';
import { outcomeOf } from './remember.ts';
import { removedJob } from './removed.ts';

/** Paths of one tree by what they are. */
interface Layout {
  readonly paths: Readonly<Record<DocumentKind, readonly string[]>>;
  readonly strays: readonly Problem[];
}

export interface Survey {
  readonly index: LedgerIndex;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly clusterSpec: ClusterSpec;
  readonly namespaces: readonly NamespaceSpec[];
  readonly nodes: readonly ExpectedNode[];
  readonly outcomes: readonly JobOutcome[];
  readonly removed: readonly DesiredJob[];
  /** Paths of job files at HEAD, and of those that the last synced commit had. */
  readonly jobPaths: readonly string[];
  readonly syncedJobPaths: readonly string[];
  readonly problems: readonly Problem[];
  /** Documents whose history has to be read before anything may be done. */
  readonly asked: readonly string[];
  readonly read: Reader;
}

export const surveyTree = (tree: SourceTree, memo: CompileMemo): Survey => {
  if (memo.last?.tree === tree) return memo.last.survey;
  const survey = surveyNow(tree, memo);
  memo.last = { tree, survey };
  return survey;
};

const surveyNow = (tree: SourceTree, memo: CompileMemo): Survey => {
  const read = createReader(memo.reads);
  const index = indexOf(tree, memo);
  const layout = layoutOf(tree.files, memo);
  const documents = createDocuments(tree, read);
  const cluster = documents.held('cluster', CLUSTER_PATH, { needed: true });
  const spec = specOf(cluster, index);
  const names = layout.paths.job.map((path) => jobNames(path).namespace);
  const named = layout.paths.namespace.map((path) => path.slice('namespaces/'.length, -5));
  const namespaces = new Map<string, HeldNamespace>();
  for (const name of [...new Set([...names, ...named])].toSorted(compareText)) {
    const held = documents.held('namespace', namespacePath(name), { needed: false });
    namespaces.set(name, { held, settings: settingsOf(name, [cluster, held, spec], memo) });
  }
  const nodes = layout.paths.node.flatMap((path) => {
    const value = valueOf(documents.held('node', path, { needed: false }));
    return value === null ? [] : [expectedNode(path.slice('nodes/'.length, -5), value)];
  });
  const outcomes = compileJobs({ tree, index, layout, namespaces, documents, read, spec }, memo);
  const syncedJobPaths = tree.lastSynced ? layoutOf(tree.lastSynced.files, memo).paths.job : [];
  const survey: Survey = {
    index,
    cluster,
    clusterSpec: spec,
    namespaces: [...namespaces].map(([name, { held }]) => namespaceSpec(name, valueOf(held))),
    nodes: nodes.toSorted((a, b) => compareText(a.name, b.name)),
    outcomes,
    removed: removedJobs({ tree, index, spec, syncedJobPaths, read, cluster }),
    jobPaths: layout.paths.job,
    syncedJobPaths,
    problems: [
      ...layout.strays,
      ...missingCluster(tree.files),
      ...documents.problems,
      ...unusedCounts(layout, { outcomes, tree, read }),
    ],
    asked: documents.asked,
    read,
  };
  forgetOld(memo.reads);
  return survey;
};

interface HeldNamespace {
  readonly held: HeldDocument<Documents['namespace']>;
  readonly settings: Settings;
}

const indexOf = (tree: SourceTree, memo: CompileMemo): LedgerIndex => {
  if (memo.ledger?.of !== tree.ledger) {
    memo.ledger = { of: tree.ledger, index: indexLedger(tree.ledger) };
  }
  return memo.ledger.index;
};

const layoutOf = (files: Files, memo: CompileMemo): Layout => {
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

const infoOf = (path: string, memo: CompileMemo): PathInfo => {
  const known = memo.paths.get(path);
  if (known !== undefined) return known;
  const info = { identity: identityOf(path), stray: strayFile(path) };
  memo.paths.set(path, info);
  return info;
};

/** Reads held documents and notes what is wrong with them and what has to be asked. */
const createDocuments = (tree: SourceTree, read: Reader) => {
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

const valueOf = <T>(held: HeldDocument<T>): T | null =>
  held.kind === 'head' || held.kind === 'held' ? held.value : null;

/** Without any valid cluster.yaml nothing is done; its name, which ids are made of, is the ledger's. */
const specOf = (cluster: HeldDocument<ClusterFile>, index: LedgerIndex): ClusterSpec =>
  clusterSpec(valueOf(cluster) ?? { name: index.cluster?.cluster ?? '' });

const missingCluster = (files: Files): readonly Problem[] =>
  files.has(CLUSTER_PATH)
    ? []
    : [problemOf(CLUSTER_PATH, { code: 'cluster-missing', message: 'There is no cluster.yaml.' })];

const settingsOf = (
  name: string,
  [cluster, held, spec]: readonly [HeldDocument<ClusterFile>, HeldNamespace['held'], ClusterSpec],
  memo: CompileMemo,
): Settings => {
  const from = [valueOf(cluster), valueOf(held), spec.name];
  const known = memo.settings.get(name);
  if (known?.from.every((value, at) => value === from[at])) return known.settings;
  const settings = {
    cluster: spec,
    defaults: valueOf(cluster)?.defaults ?? {},
    protected: namespaceSpec(name, valueOf(held)).protected,
  };
  memo.settings.set(name, { from, settings });
  return settings;
};

interface JobsInput {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly layout: Layout;
  readonly namespaces: ReadonlyMap<string, HeldNamespace>;
  readonly documents: ReturnType<typeof createDocuments>;
  readonly read: Reader;
  readonly spec: ClusterSpec;
}

const NO_COUNTS = {};

const compileJobs = (input: JobsInput, memo: CompileMemo): readonly JobOutcome[] => {
  const { tree, index, layout, namespaces, documents, read } = input;
  const remembered = new Map<string, RememberedJob>();
  const users = lazily(() => usersOf(layout.paths.job, { tree, read, memo }));
  const outcomes = layout.paths.job.map((path) => {
    const { namespace, job } = jobNames(path);
    const found = namespaces.get(namespace);
    if (found === undefined) throw new Error(`namespace ${namespace} was not looked at`);
    const scale = documents.held('scale', `scale/${namespace}/${job}.yaml`, { needed: false });
    const result = outcomeOf(
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
        sharedBy: (source) =>
          users()
            .get(source)
            ?.find((other) => other !== path) ?? null,
      },
      memo.jobs.get(path),
    );
    remembered.set(path, result);
    return result.outcome;
  });
  memo.jobs = remembered;
  return outcomes;
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

const removedJobs = (input: {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly spec: ClusterSpec;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly syncedJobPaths: readonly string[];
  readonly read: Reader;
}): readonly DesiredJob[] => {
  const { tree, index, spec, syncedJobPaths, read, cluster } = input;
  const { lastSynced } = tree;
  if (lastSynced === null) return [];
  const defaults = valueOf(cluster)?.defaults ?? {};
  return syncedJobPaths.flatMap((path) => {
    if (tree.files.has(path)) return [];
    const { namespace, job } = jobNames(path);
    const ledger = index.byJob.get(`${namespace}/${job}`) ?? NO_RECORDS;
    const settings = { cluster: spec, defaults, protected: false };
    return removedJob({ path, lastSynced, settings, ledger, read }) ?? [];
  });
};

/** Rules 7: a count that a machine wrote counts only where the job gives the count to the machine. */
const unusedCounts = (
  layout: Layout,
  { outcomes, tree, read }: { outcomes: readonly JobOutcome[]; tree: SourceTree; read: Reader },
): readonly Problem[] => {
  if (layout.paths.scale.length === 0) return [];
  const jobs = new Map(outcomes.flatMap(({ job }) => (job === null ? [] : [[job.id, job.spec]])));
  return layout.paths.scale.flatMap((path) => {
    const { namespace, job } = jobNames(path);
    const file = tree.files.get(path);
    const document = file && read('scale', path, file);
    const spec = jobs.get(`${namespace}/${job}`);
    if (!document?.value) return [];
    if (!tree.files.has(`jobs/${namespace}/${job}.yaml`)) {
      const message = `There is no job \`${namespace}/${job}\`.`;
      return [problemOf(path, { code: 'scale-unused', message })];
    }
    if (spec === undefined) return [];
    return Object.keys(document.value).flatMap((name) => {
      const group = spec.groups.find((one) => one.name === name);
      if (group !== undefined && group.scale !== null) return [];
      const message =
        group === undefined
          ? `Job \`${spec.id}\` has no group \`${name}\`.`
          : `The count of group \`${name}\` stands in the job file, so this one is not read.`;
      return [problemAt(document, pointerOf([name]), { code: 'scale-unused', message })];
    });
  });
};
