// Everything that a tree says, looked at once: documents with what they held before, jobs with
// their outcomes.
// In: SourceTree, memo. Out: Survey, which both `asks` and `compile` are read off.
// Not here: the DesiredState itself (compile.ts), one job (job.ts), whether an empty tree is meant
// (empty.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { DocumentKind, Documents } from '../../schema/documents.ts';
import type { ClusterSpec, DesiredJob, ExpectedNode, NamespaceSpec } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
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
import type { JobInput, JobOutcome } from './job.ts';
import { indexLedger, NO_RECORDS, type LedgerIndex } from './ledger-index.ts';
import { layoutAfter, layoutOf, type JobPath, type Layout } from './layout.ts';
import type { CompileMemo } from './memo.ts';
import { problemAt, problemOf } from './problem.ts';
import { createReader, forgetOld, type Reader } from './read.ts';
import { rememberedJob } from './remember.ts';
import { removedJob } from './removed.ts';

export interface Survey {
  readonly index: LedgerIndex;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly clusterSpec: ClusterSpec;
  readonly namespaces: readonly NamespaceSpec[];
  readonly nodes: readonly ExpectedNode[];
  readonly outcomes: readonly JobOutcome[];
  readonly removed: readonly DesiredJob[];
  /** Paths of job files at HEAD, and of those that the last synced commit had. */
  readonly jobPaths: readonly JobPath[];
  readonly syncedJobPaths: readonly string[];
  /** Paths of scale files at HEAD. */
  readonly scalePaths: readonly string[];
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
  const known = memo.ledger;
  const index = indexOf(tree, memo);
  const { layout, changed } = layoutAfter(tree.files, memo.layout);
  memo.layout = layout;
  const fresh = { changed, ledger: known?.index !== index };
  const documents = createDocuments(tree, read);
  const cluster = documents.held('cluster', CLUSTER_PATH, { needed: true });
  const spec = specOf(cluster, index);
  const namespaces = new Map<string, HeldNamespace>();
  for (const name of layout.namespaces) {
    const held = documents.held('namespace', namespacePath(name), { needed: false });
    namespaces.set(name, { held, settings: settingsOf(name, [cluster, held, spec], memo) });
  }
  const nodes = layout.paths.node.flatMap((path) => {
    const value = valueOf(documents.held('node', path, { needed: false }));
    return value === null ? [] : [expectedNode(path.slice('nodes/'.length, -5), value)];
  });
  const outcomes = compileJobs({ tree, index, layout, fresh, namespaces, documents, read }, memo);
  const synced = tree.lastSynced ? layoutOf(tree.lastSynced.files).jobs : [];
  const survey: Survey = {
    index,
    cluster,
    clusterSpec: spec,
    namespaces: [...namespaces].map(([name, { held }]) => namespaceSpec(name, valueOf(held))),
    nodes: nodes.toSorted((a, b) => compareText(a.name, b.name)),
    outcomes,
    removed: removedJobs({ tree, index, spec, synced, read, cluster }),
    jobPaths: layout.jobs,
    syncedJobPaths: synced.map(({ path }) => path),
    scalePaths: layout.paths.scale,
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

/**
 * Without any valid cluster.yaml nothing is done; its name, which ids are made of, is the
 * ledger's.
 */
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
  const { protected: isProtected, evidence } = namespaceSpec(name, valueOf(held));
  const settings = {
    cluster: spec,
    defaults: valueOf(cluster)?.defaults ?? {},
    protected: isProtected,
    evidence,
  };
  memo.settings.set(name, { from, settings });
  return settings;
};

interface JobsInput {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly layout: Layout;
  readonly fresh: { readonly changed: ReadonlySet<string> | null; readonly ledger: boolean };
  readonly namespaces: ReadonlyMap<string, HeldNamespace>;
  readonly documents: ReturnType<typeof createDocuments>;
  readonly read: Reader;
}

const NO_COUNTS = {};

const compileJobs = (input: JobsInput, memo: CompileMemo): readonly JobOutcome[] => {
  const { tree, index, layout, fresh, namespaces, documents, read } = input;
  const { changed } = fresh;
  const { files, head, histories, lookups, changes } = tree;
  const users = lazily(() => usersOf(layout.jobs, { tree, read, memo }));
  const sharedBy: JobInput['sharedBy'] = (source, path) =>
    users()
      .get(source)
      ?.find((other) => other !== path) ?? null;
  const outcomes: JobOutcome[] = [];
  for (const { path, id, namespace, scalePath } of layout.jobs) {
    const found = namespaces.get(namespace);
    if (found === undefined) throw new Error(`namespace ${namespace} was not looked at`);
    const before = memo.jobs.get(path);
    const scale = layout.scalePaths.has(scalePath)
      ? valueOf(documents.held('scale', scalePath, { needed: false }))
      : null;
    const result = rememberedJob(
      {
        path,
        namespace,
        files,
        head,
        lookups,
        changes,
        read,
        sharedBy,
        settings: found.settings,
        namespaceHeld: heldBecause(namespace, found.held),
        scale: scale ?? NO_COUNTS,
        ledger: (!fresh.ledger && before?.ledger) || (index.byJob.get(id) ?? NO_RECORDS),
        history: histories.size === 0 ? undefined : histories.get(path),
      },
      { before, changed },
    );
    if (result !== before) memo.jobs.set(path, result);
    outcomes.push(result.outcome);
  }
  if (memo.jobs.size > layout.jobs.length) {
    for (const path of memo.jobs.keys()) if (!files.has(path)) memo.jobs.delete(path);
  }
  return outcomes;
};

/**
 * A namespace whose file never was valid: whether it is protected is not known, so nothing new is
 * done in it.
 */
const heldBecause = (name: string, held: HeldNamespace['held']): string | null =>
  held.kind === 'never-valid' ? `${namespacePath(name)} is not valid` : null;

const lazily = <T extends object>(make: () => T): (() => T) => {
  let made: T | null = null;
  return () => (made ??= make());
};

/** Path in the repository → job files at HEAD that use it. */
const usersOf = (
  jobs: readonly JobPath[],
  { tree, read, memo }: { tree: SourceTree; read: Reader; memo: CompileMemo },
): ReadonlyMap<string, readonly string[]> => {
  const users = new Map<string, string[]>();
  for (const { path } of jobs) {
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
  readonly synced: readonly JobPath[];
  readonly read: Reader;
}): readonly DesiredJob[] => {
  const { tree, index, spec, synced, read, cluster } = input;
  const { lastSynced } = tree;
  if (lastSynced === null) return [];
  const defaults = valueOf(cluster)?.defaults ?? {};
  return synced.flatMap(({ path, id }) => {
    if (tree.files.has(path)) return [];
    const ledger = index.byJob.get(id) ?? NO_RECORDS;
    const settings = { cluster: spec, defaults, protected: false, evidence: 'codes' } as const;
    return removedJob({ path, lastSynced, settings, ledger, read }) ?? [];
  });
};

/**
 * Rules 7: a count that a machine wrote counts only where the job gives the count to the machine.
 */
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
