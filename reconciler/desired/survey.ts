// Everything that a tree says, looked at once: documents with what they held before, jobs with
// their outcomes.
// In: SourceTree, memo. Out: Survey, which both `asks` and `compile` are read off.
// Not here: the DesiredState itself (compile.ts), one job (job.ts), whether an empty tree is meant
// (empty.ts).

import { kindOf } from '../../schema/paths.ts';
import type { Asks, SourceTree } from '../../schema/source.ts';
import { lookAtCounts } from './counts.ts';
import { jobNames, usedPaths } from './draft.ts';
import { frameOf, valueOf } from './frame.ts';
import { neededPaths } from './histories.ts';
import { knownDifference, layoutAfter, layoutOf } from './layout.ts';
import { indexAfter, recordsOf, type Indexed, type LedgerIndex } from './ledger-index.ts';
import { brokenPaths, lookAtJobs, loudOnes } from './look.ts';
import type { CompileMemo } from './memo.ts';
import { createReader, forgetOld, type Reader } from './read.ts';
import { removedJob, type Removed } from './removed.ts';
import { signerProblems } from './signers.ts';
import type { Frame, LookedAt, Survey } from './surveyed.ts';

export const surveyTree = (tree: SourceTree, memo: CompileMemo): Survey => {
  if (memo.last?.tree === tree) return memo.last.survey;
  const survey = surveyNow(tree, memo);
  memo.last = { tree, survey, desired: null };
  return survey;
};

/** More files than this in one commit are no edit by hand: then compile says what it lacks. */
const LIKELY = 8;

/**
 * Histories that compile is about to ask for: those of job files that are new since the tree that
 * it saw last. With them it looks at these jobs once.
 */
export const likelyHistories = (tree: SourceTree, memo: CompileMemo): Asks['histories'] => {
  const changed = memo.layout && knownDifference(tree, memo.layout.files, tree.files);
  if (changed === null || changed.size > LIKELY) return [];
  const read = createReader(memo.reads);
  return [...changed].flatMap((path) => {
    const file = tree.files.get(path);
    if (file === undefined || tree.histories.has(path) || kindOf(path) !== 'job') return [];
    // Whose history is needed with its count is asked by compile (synced.ts).
    const { namespace, job } = jobNames(path);
    const scalePath = `scale/${namespace}/${job}.yaml`;
    if (tree.files.has(scalePath) || tree.lastSynced?.files.has(scalePath) === true) return [];
    const used = usedPaths(read('job', path, file), job);
    return neededPaths({ path, files: tree.files, history: undefined, read }, used);
  });
};

const surveyNow = (tree: SourceTree, memo: CompileMemo): Survey => {
  const read = createReader(memo.reads);
  const indexed = indexedAfter(tree, memo);
  const { index } = indexed;
  const { layout, changed } = layoutAfter(tree, memo.layout);
  const frame = frameOf({ tree, layout, changed, index, read }, memo);
  const looked = lookAtJobs({ tree, indexed, layout, changed, frame, read }, memo);
  memo.layout = layout;
  const counts = lookAtCounts(layout, { jobs: looked.jobs, files: tree.files, read });
  const removed = removedJobs({ tree, index, frame, looked, read });
  const survey: Survey = {
    index,
    frame,
    layout,
    jobs: looked.jobs,
    loud: loudOnes(looked),
    removed: removed.flatMap(({ job }) => job ?? []),
    lacking: removed.flatMap(({ job, histories }) => (job === null ? histories : [])),
    unknown: removed.flatMap(({ id, job }) => (job === null ? [id] : [])),
    problems: [
      ...layout.strays,
      ...frame.problems,
      ...counts.problems,
      ...signerProblems(frame.clusterSpec, tree.files),
    ],
    openScaleFiles: counts.open,
    read,
  };
  forgetOld(memo.reads);
  return survey;
};

const indexedAfter = ({ ledger }: SourceTree, memo: CompileMemo): Indexed => {
  if (memo.ledger?.of !== ledger) memo.ledger = indexAfter(ledger, memo.ledger);
  return memo.ledger;
};

/**
 * Jobs that the last synced commit had and HEAD has not; and those that were gone in between and
 * came back broken: until the removal was synced, their content there is the last valid one (1.3).
 */
const removedJobs = (input: {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly frame: Frame;
  readonly looked: LookedAt;
  readonly read: Reader;
}): readonly (Removed & { readonly id: string })[] => {
  const { tree, index, frame, looked, read } = input;
  const { lastSynced } = tree;
  if (lastSynced === null) return [];
  const defaults = valueOf(frame.cluster)?.defaults ?? {};
  const different = knownDifference(tree, lastSynced.files, tree.files) ?? lastSynced.files.keys();
  const gone = [...different].filter(
    (path) => !tree.files.has(path) && lastSynced.files.has(path) && kindOf(path) === 'job',
  );
  return layoutOf(
    new Map(
      [...gone, ...brokenPaths(looked)].flatMap((path) => {
        const file = lastSynced.files.get(path);
        return file === undefined ? [] : [[path, file] as const];
      }),
    ),
  ).jobs.map(({ path, id }) => {
    const ledger = recordsOf(index, id);
    const settings = {
      cluster: frame.clusterSpec,
      defaults,
      protected: false,
      evidence: 'codes',
    } as const;
    const history = tree.histories.get(path);
    const { job, histories } = removedJob({ path, lastSynced, settings, ledger, read, history });
    if (job === null || !tree.files.has(path)) return { id, job, histories };
    const why = `${path} is not valid at HEAD; its content in the last synced commit is kept`;
    return { id, job: { ...job, standing: { kind: 'held', why } as const }, histories };
  });
};
