// Everything that a tree says, looked at once: documents with what they held before, jobs with
// their outcomes.
// In: SourceTree, memo. Out: Survey, which both `asks` and `compile` are read off.
// Not here: the DesiredState itself (compile.ts), one job (job.ts), whether an empty tree is meant
// (empty.ts).

import type { DesiredJob } from '../../schema/desired.ts';
import { pointerOf } from '../../schema/places.ts';
import { kindOf } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { SourceTree } from '../../schema/source.ts';
import { jobNames } from './draft.ts';
import { frameOf, valueOf, type Frame } from './frame.ts';
import type { JobOutcome } from './job.ts';
import { knownDifference, layoutAfter, layoutOf, placeOf, type Layout } from './layout.ts';
import { indexLedger, NO_RECORDS, type LedgerIndex } from './ledger-index.ts';
import { lookAtJobs, loudOnes } from './look.ts';
import type { CompileMemo } from './memo.ts';
import { problemAt, problemOf } from './problem.ts';
import { createReader, forgetOld, type Reader } from './read.ts';
import { removedJob } from './removed.ts';

export interface Survey {
  readonly index: LedgerIndex;
  readonly frame: Frame;
  readonly layout: Layout;
  /** In the order of the layout; null: the file says no job. */
  readonly jobs: readonly (DesiredJob | null)[];
  /** What is said of jobs besides, by those of which anything is. */
  readonly loud: readonly JobOutcome[];
  readonly removed: readonly DesiredJob[];
  readonly problems: readonly Problem[];
  readonly read: Reader;
}

export const surveyTree = (tree: SourceTree, memo: CompileMemo): Survey => {
  if (memo.last?.tree === tree) return memo.last.survey;
  const survey = surveyNow(tree, memo);
  memo.last = { tree, survey, desired: null };
  return survey;
};

const surveyNow = (tree: SourceTree, memo: CompileMemo): Survey => {
  const read = createReader(memo.reads);
  const index = indexOf(tree, memo);
  const { layout, changed } = layoutAfter(tree, memo.layout);
  const frame = frameOf({ tree, layout, changed, index, read }, memo);
  const looked = lookAtJobs({ tree, index, layout, changed, frame, read }, memo);
  memo.layout = layout;
  const survey: Survey = {
    index,
    frame,
    layout,
    jobs: looked.jobs,
    loud: loudOnes(looked),
    removed: removedJobs({ tree, index, frame, read }),
    problems: [
      ...layout.strays,
      ...frame.problems,
      ...unusedCounts(layout, { jobs: looked.jobs, tree, read }),
    ],
    read,
  };
  forgetOld(memo.reads);
  return survey;
};

const indexOf = (tree: SourceTree, memo: CompileMemo): LedgerIndex => {
  if (memo.ledger?.of !== tree.ledger) {
    const index = indexLedger(tree.ledger, memo.ledger?.index ?? null);
    memo.ledger = { of: tree.ledger, index };
  }
  return memo.ledger.index;
};

/** Jobs that the last synced commit had and HEAD has not. */
const removedJobs = (input: {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly frame: Frame;
  readonly read: Reader;
}): readonly DesiredJob[] => {
  const { tree, index, frame, read } = input;
  const { lastSynced } = tree;
  if (lastSynced === null) return [];
  const defaults = valueOf(frame.cluster)?.defaults ?? {};
  const different = knownDifference(tree, lastSynced.files, tree.files) ?? lastSynced.files.keys();
  const gone = [...different].filter(
    (path) => !tree.files.has(path) && lastSynced.files.has(path) && kindOf(path) === 'job',
  );
  return layoutOf(
    new Map(
      gone.flatMap((path) => {
        const file = lastSynced.files.get(path);
        return file === undefined ? [] : [[path, file] as const];
      }),
    ),
  ).jobs.flatMap(({ path, id }) => {
    const ledger = index.byJob.get(id) ?? NO_RECORDS;
    const settings = {
      cluster: frame.clusterSpec,
      defaults,
      protected: false,
      evidence: 'codes',
    } as const;
    return removedJob({ path, lastSynced, settings, ledger, read }) ?? [];
  });
};

/**
 * Rules 7: a count that a machine wrote counts only where the job gives the count to the machine.
 */
const unusedCounts = (
  layout: Layout,
  { jobs, tree, read }: { jobs: Survey['jobs']; tree: SourceTree; read: Reader },
): readonly Problem[] => {
  if (layout.paths.scale.length === 0) return [];
  return layout.paths.scale.flatMap((path) => {
    const { namespace, job } = jobNames(path);
    const file = tree.files.get(path);
    const document = file && read('scale', path, file);
    const spec = jobs[placeOf(layout.jobs, `${namespace}/${job}`)]?.spec;
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
