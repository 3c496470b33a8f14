// Everything that a tree says, looked at once: documents with what they held before, jobs with their outcomes.
// In: SourceTree, memo. Out: Survey, which both `asks` and `compile` are read off.
// Not here: the DesiredState itself (compile.ts), one job (job.ts), whether an empty tree is meant (empty.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { ClusterSpec, DesiredJob, NamespaceSpec, ExpectedNode } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { pointerOf } from '../../schema/places.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import {
  createCompileOne,
  createDocuments,
  layoutOf,
  removedJobs,
  valueOf,
  type HeldNamespace,
  type JobsAround,
  type Layout,
} from './around.ts';
import {
  CLUSTER_PATH,
  clusterSpec,
  expectedNode,
  namespacePath,
  namespaceSpec,
  type Settings,
} from './cluster.ts';
import { jobNames } from './draft.ts';
import type { HeldDocument } from './held.ts';
import type { JobOutcome } from './job.ts';
import { indexLedger, type LedgerIndex } from './ledger-index.ts';
import type { CompileMemo, LastSurvey, RememberedJob } from './memo.ts';
import { problemAt, problemOf } from './problem.ts';
import { createReader, forgetOld, type Reader } from './read.ts';
import { isLoud, lastOf, resurvey } from './resurvey.ts';

export interface Survey {
  readonly index: LedgerIndex;
  readonly cluster: HeldDocument<ClusterFile>;
  readonly clusterSpec: ClusterSpec;
  readonly namespaces: readonly NamespaceSpec[];
  readonly nodes: readonly ExpectedNode[];
  /** In the order of `jobPaths`. */
  readonly outcomes: readonly JobOutcome[];
  /** Those of them that have problems, owe records or ask for something. */
  readonly loud: readonly JobOutcome[];
  /** Jobs of the outcomes, sorted by id. */
  readonly jobs: readonly DesiredJob[];
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
  const last = (memo.last && resurvey(tree, memo.last, memo)) ?? surveyNow(tree, memo);
  memo.last = last;
  return last.survey;
};

const surveyNow = (tree: SourceTree, memo: CompileMemo): LastSurvey => {
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
  const around: JobsAround = { index, layout, namespaces, documents, read, cluster, spec };
  const outcomes = compileJobs(tree, around, memo);
  const syncedJobPaths = tree.lastSynced ? layoutOf(tree.lastSynced.files, memo).paths.job : [];
  const survey: Survey = {
    index,
    cluster,
    clusterSpec: spec,
    namespaces: [...namespaces].map(([name, { held }]) => namespaceSpec(name, valueOf(held))),
    nodes: nodes.toSorted((a, b) => compareText(a.name, b.name)),
    outcomes,
    loud: outcomes.filter(isLoud),
    jobs: outcomes.flatMap(({ job }) => job ?? []).toSorted((a, b) => compareText(a.id, b.id)),
    removed: removedJobs({
      tree,
      index,
      spec,
      jobPaths: layout.paths.job,
      syncedJobPaths,
      read,
      cluster,
    }),
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
  return lastOf({ tree, survey, around }, memo);
};

const indexOf = (tree: SourceTree, memo: CompileMemo): LedgerIndex => {
  if (memo.ledger?.of !== tree.ledger) {
    memo.ledger = { of: tree.ledger, index: indexLedger(tree.ledger) };
  }
  return memo.ledger.index;
};

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

const compileJobs = (
  tree: SourceTree,
  around: JobsAround,
  memo: CompileMemo,
): readonly JobOutcome[] => {
  const remembered = new Map<string, RememberedJob>();
  const compileOne = createCompileOne(tree, around, memo);
  const outcomes = around.layout.paths.job.map((path) => {
    const result = compileOne(path);
    remembered.set(path, result);
    return result.outcome;
  });
  memo.jobs = remembered;
  return outcomes;
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
