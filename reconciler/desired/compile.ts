// What should be: a SourceTree into the DesiredState that plan works on (architecture, the values).
// In: SourceTree. Out: DesiredState, or what is still lacking (`asks`). Never fails as a whole:
// what is wrong with a file becomes a problem, and the rest goes on (rules 1.3). Pure; the memo
// changes how long it takes and nothing else.
// Not here: reading Git and registries (the loop), what follows (reconciler/plan).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { Problem } from '../../schema/problems.ts';
import { lookupKey, type Asks, type SourceTree } from '../../schema/source.ts';
import { CLUSTER_PATH, commitRef } from './cluster.ts';
import { answersOwed } from './answers.ts';
import type { LedgerIndex } from './ledger-index.ts';
import { emptinessOf, type Emptiness } from './empty.ts';
import { createMemo, type CompileMemo } from './memo.ts';
import { problemOf } from './problem.ts';
import { surveyTree } from './survey.ts';
import type { Survey } from './surveyed.ts';
import { removerAsks, removersOf, syncedOf, withProtection } from './synced.ts';

export { likelyHistories } from './survey.ts';

/** Works out the desired state. Total: throws only on a bug of ours. */
export const compile = (tree: SourceTree, memo: CompileMemo = createMemo()): DesiredState => {
  const survey = surveyTree(tree, memo);
  const known = memo.last?.desired ?? null;
  if (known !== null) return known;
  const desired = desiredOf(tree, survey);
  memo.last = { tree, survey, desired };
  return desired;
};

const desiredOf = (tree: SourceTree, survey: Survey): DesiredState => {
  const { index, frame, layout } = survey;
  const emptiness = emptinessOf(tree, survey);
  const expired = new Set(tree.expired);
  const then = syncedOf(tree, survey.read);
  const removers = removersOf(tree, survey, then);
  const lastSynced = syncedCommit(tree, index);
  const overdue = index.approvals
    .filter(({ id }) => expired.has(id))
    .map((approval) => ({ ...approval, used: true }));
  return {
    cluster: frame.clusterSpec,
    branch: tree.branch,
    commit: commitRef(tree.head),
    ...(tree.refused === undefined ? {} : { refused: tree.refused }),
    ...(tree.foreign === undefined ? {} : { foreign: tree.foreign }),
    lastSynced,
    ...(lastSynced === null ? { settledMarks: marksOf(tree) } : {}),
    standing: standingOf(tree, survey, emptiness),
    namespaces: withProtection(frame.namespaceSpecs, tree, survey.read),
    nodes: frame.nodes,
    jobs: jobsOf(survey, emptiness),
    volumes: index.volumes,
    endedVolumes: index.endedVolumes,
    ...(then === undefined ? {} : { synced: then }),
    ...(removers === undefined ? {} : { removers }),
    approvals: index.approvals.filter(({ id }) => !expired.has(id)),
    ...(index.usedSlots.length === 0 ? {} : { usedSlots: index.usedSlots }),
    problems: problemsOf(survey, emptiness),
    ...(tree.held === undefined ? {} : { heldFiles: tree.held }),
    ...(tree.unproven === undefined ? {} : { unprovenFiles: tree.unproven }),
    ...(survey.unknown.length === 0 ? {} : { unknownJobs: survey.unknown }),
    acceptable: acceptableOf(tree, index),
    scaleFiles: layout.paths.scale,
    openScaleFiles: survey.openScaleFiles,
    owed: [
      ...gathered(survey, ({ owed }) => owed),
      ...overdue,
      ...answersOwed(tree, survey),
      ...(tree.owed ?? []),
    ],
  };
};

/** What compile still lacks: digests and histories, sorted. Empty lists: nothing. */
export const asks = (tree: SourceTree, memo: CompileMemo = createMemo()): Asks => {
  const survey = surveyTree(tree, memo);
  const emptiness = emptinessOf(tree, survey);
  const wanted = new Map<string, Set<string>>();
  for (const { path, with: others } of [
    ...survey.frame.asked.map((path) => ({ path, with: [] })),
    ...gathered(survey, ({ histories }) => histories),
    ...survey.lacking,
    ...(emptiness.kind === 'asks' ? emptiness.histories : []),
    ...removerAsks(tree, survey),
  ]) {
    wanted.set(path, new Set([...(wanted.get(path) ?? []), ...others]));
  }
  const whole = new Set(gathered(survey, (outcome) => outcome.changes));
  const changes = [...whole].toSorted(compareText);
  return {
    digests: gathered(survey, ({ digests }) => digests).toSorted((a, b) =>
      compareText(lookupKey(a), lookupKey(b)),
    ),
    histories: [...wanted]
      .map(([path, others]) => ({ path, with: [...others].toSorted(compareText) }))
      .toSorted((a, b) => compareText(a.path, b.path)),
    ...(changes.length === 0 ? {} : { changes }),
  };
};

/**
 * The newest `synced` record. Where its commit is gone from the repository nobody can say what was
 * wanted, as if none was synced: removals wait (rules 8.3).
 */
const syncedCommit = ({ head, lastSynced }: SourceTree, { synced }: LedgerIndex): string | null =>
  synced === head.oid ? synced : (lastSynced?.commit ?? null);

/**
 * Rules 10.3: what a runner may have accepted before; null: a local repository, which may go back.
 */
const acceptableOf = (
  { local, head, contained }: SourceTree,
  { resumed }: LedgerIndex,
): readonly string[] | null => (local ? null : [head.oid, ...(contained ?? []), ...resumed]);

/** Nothing that HEAD takes away by being empty is removed before it is known to be meant. */
const jobsOf = (survey: Survey, emptiness: Emptiness): readonly DesiredJob[] => {
  // A list without gaps is handed on: whoever knows the one before sees where it differs.
  const jobs = isWhole(survey.jobs) ? survey.jobs : survey.jobs.filter((job) => job !== null);
  if (survey.removed.length === 0) return jobs;
  const why = emptiness.kind === 'refused' ? emptiness.why : 'no job is left at HEAD';
  const standing = { kind: 'held', why } as const;
  const removed =
    emptiness.kind === 'ok' ? survey.removed : survey.removed.map((job) => ({ ...job, standing }));
  return [...jobs, ...removed].toSorted((a, b) => compareText(a.id, b.id));
};

const isWhole = (jobs: Survey['jobs']): jobs is readonly DesiredJob[] => !jobs.includes(null);

/** All outcomes' parts of one kind. */
const gathered = <T>(
  { loud }: Survey,
  part: (outcome: Survey['loud'][number]) => readonly T[],
): readonly T[] => loud.flatMap((outcome) => part(outcome));

/** Ordered: the first that holds. */
const standingOf = (
  tree: SourceTree,
  survey: Survey,
  emptiness: Emptiness,
): DesiredState['standing'] => {
  const stopped = (why: string): DesiredState['standing'] => ({ kind: 'stopped', why });
  const { cluster: known } = survey.index;
  // Rules 1.1: the ledger belongs to one branch and one directory.
  if (known !== null && (known.branch !== tree.branch || known.directory !== tree.directory)) {
    return stopped(
      `the ledger is that of branch ${known.branch}, directory ${known.directory || '/'}; ` +
        `start the reconciler with these, or give this cluster another name`,
    );
  }
  if (survey.frame.cluster.kind === 'never-valid') {
    return stopped('cluster.yaml is missing or not valid, and never was; write it, then commit');
  }
  const pending =
    survey.frame.asked[0] ??
    survey.loud.find((one) => one.pending)?.histories[0]?.path ??
    survey.lacking.find(({ path }) => !tree.histories.has(path))?.path;
  if (pending !== undefined) return stopped(`the history of ${pending} is not read yet`);
  if (emptiness.kind === 'asks') return stopped(`the history of ${CLUSTER_PATH} is not read yet`);
  return emptiness.kind === 'refused' ? stopped(emptiness.why) : { kind: 'ok' };
};

const problemsOf = (survey: Survey, emptiness: Emptiness): readonly Problem[] => {
  const empty =
    emptiness.kind === 'refused' && emptiness.isEmpty
      ? [problemOf(CLUSTER_PATH, { code: 'tree-empty', message: 'No job is left at HEAD.' })]
      : [];
  const all = [...survey.problems, ...gathered(survey, ({ problems }) => problems), ...empty];
  const byKey = new Map(all.map((problem) => [keyOf(problem), problem]));
  return [...byKey].toSorted(([a], [b]) => compareText(a, b)).map(([, problem]) => problem);
};

/** File, then line, then column: numbers padded so that texts sort as numbers do. */
const keyOf = ({ file, line, column, code, message }: Problem): string =>
  [file, String(line).padStart(8, '0'), String(column).padStart(8, '0'), code, message].join('\n');

const marksOf = ({ ledger }: SourceTree): readonly string[] =>
  ledger.flatMap((record) =>
    record.kind === 'settled' ? [`${record.job} ${record.specHash}`] : [],
  );
