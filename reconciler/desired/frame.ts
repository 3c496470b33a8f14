// What stands around the jobs: cluster.yaml, namespaces, nodes, counts that machines wrote.
// In: a tree, its layout and ledger, the memo. Out: Frame, the same object as long as none of these
// files changed. Documents that are invalid keep their last valid content (held.ts).
// Not here: the jobs themselves (look.ts), what a document means (cluster.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { DocumentKind, Documents } from '../../schema/documents.ts';
import type { ClusterSpec } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { kindOf } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Files, SourceTree } from '../../schema/source.ts';
import {
  CLUSTER_PATH,
  clusterSpec,
  expectedNode,
  NO_DEFAULTS,
  namespacePath,
  namespaceSpec,
  type Settings,
} from './cluster.ts';
import { heldDocument, type HeldDocument } from './held.ts';
import type { LedgerIndex } from './ledger-index.ts';
import type { Layout } from './layout.ts';
import type { CompileMemo } from './memo.ts';
import { problemOf } from './problem.ts';
import type { Reader } from './read.ts';
import type { Frame, HeldNamespace, RememberedFrame } from './surveyed.ts';

export interface FrameInput {
  readonly tree: SourceTree;
  readonly layout: Layout;
  /** Paths whose content is not what the frame before was made of; null: not known. */
  readonly changed: ReadonlySet<string> | null;
  readonly index: LedgerIndex;
  readonly read: Reader;
}

export const frameOf = (input: FrameInput, memo: CompileMemo): Frame => {
  const { layout, index, changed } = input;
  const before = memo.frame;
  if (before !== null && changed !== null && isSame(before, input, changed)) return before.frame;
  const documents = createDocuments(input.tree, input.read);
  const cluster = documents.held('cluster', CLUSTER_PATH, { needed: true });
  const spec = specOf(cluster, index);
  const namespaces = new Map<string, HeldNamespace>();
  const namespaceSpecs = layout.namespaces.map((name) => {
    const held = documents.held('namespace', namespacePath(name), { needed: false });
    const settings = settingsOf(name, [cluster, held, spec], memo);
    namespaces.set(name, { settings, heldBecause: heldBecause(name, held) });
    return namespaceSpec(name, valueOf(held));
  });
  const nodes = layout.paths.node.flatMap((path) => {
    const value = valueOf(documents.held('node', path, { needed: false }));
    return value === null ? [] : [expectedNode(path.slice('nodes/'.length, -5), value)];
  });
  const scaled = layout.jobs.filter(({ scalePath }) => layout.scalePaths.has(scalePath));
  const counts = scaled.map(
    ({ path, scalePath }) =>
      [path, valueOf(documents.held('scale', scalePath, { needed: false }))] as const,
  );
  const frame: Frame = {
    cluster,
    clusterSpec: spec,
    namespaces,
    namespaceSpecs,
    nodes: nodes.toSorted((a, b) => compareText(a.name, b.name)),
    counts: new Map(counts),
    problems: [...missingCluster(input.tree.files), ...documents.problems],
    asked: documents.asked,
  };
  memo.frame = {
    frame,
    namespaces: layout.namespaces,
    jobs: layout.jobs,
    ledgerCluster: index.cluster,
    isPlain: documents.isPlain(),
  };
  return frame;
};

const isSame = (
  before: RememberedFrame,
  { layout, index }: FrameInput,
  changed: ReadonlySet<string>,
): boolean =>
  before.isPlain &&
  before.namespaces === layout.namespaces &&
  before.ledgerCluster === index.cluster &&
  (before.jobs === layout.jobs || layout.paths.scale.length === 0) &&
  [...changed].every((path) => {
    const kind = kindOf(path);
    return kind === null || kind === 'job';
  });

/** Reads held documents and notes what is wrong with them and what has to be asked. */
const createDocuments = (tree: SourceTree, read: Reader) => {
  const problems: Problem[] = [];
  const asked: string[] = [];
  let isPlain = true;
  const held = <K extends DocumentKind>(
    kind: K,
    path: string,
    { needed }: { readonly needed: boolean },
  ): HeldDocument<Documents[K]> => {
    const { files, histories } = tree;
    const found = heldDocument([kind, path], { files, histories, needed }, read);
    if (found.kind !== 'absent') problems.push(...found.problems);
    if (found.kind === 'asked') asked.push(path);
    if (found.kind !== 'absent' && found.kind !== 'head') isPlain = false;
    return found;
  };
  return { held, problems, asked, isPlain: () => isPlain };
};

export const valueOf = <T>(held: HeldDocument<T>): T | null =>
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

/**
 * A namespace whose file never was valid: whether it is protected is not known, so nothing new is
 * done in it.
 */
const heldBecause = (name: string, held: HeldDocument<Documents['namespace']>): string | null =>
  held.kind === 'never-valid' ? `${namespacePath(name)} is not valid` : null;

type SettingsFrom = readonly [
  HeldDocument<ClusterFile>,
  HeldDocument<Documents['namespace']>,
  ClusterSpec,
];

const settingsOf = (
  name: string,
  [cluster, held, spec]: SettingsFrom,
  memo: CompileMemo,
): Settings => {
  const from = [valueOf(cluster), valueOf(held), spec.name];
  const known = memo.settings.get(name);
  if (known?.from.every((value, at) => value === from[at])) return known.settings;
  const { protected: isProtected, evidence } = namespaceSpec(name, valueOf(held));
  const settings = {
    cluster: spec,
    defaults: valueOf(cluster)?.defaults ?? NO_DEFAULTS,
    protected: isProtected,
    evidence,
  };
  memo.settings.set(name, { from, settings });
  return settings;
};
