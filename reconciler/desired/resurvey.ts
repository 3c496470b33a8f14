// The survey of a tree that is much like the one before it: only what changed is looked at.
// In: a tree, the last survey. Out: the survey that a full look would give, or null: look at everything.
// Not here: a full look (survey.ts), whether one job is the same (remember.ts).
//
// It holds where the ledger is the same, the same paths exist, and the files that differ are job files or files that
// jobs use. Then a job's outcome can differ only where its own files or its history do, where its version came with the
// commit that was or is HEAD, or where it is open: it waits for an answer, or asked who shares its files.

import type { DesiredJob } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import type { SourceTree } from '../../schema/source.ts';
import type { JobOutcome } from './job.ts';
import type { CompileMemo, LastSurvey, RememberedJob } from './memo.ts';
import { isClosed } from './remember.ts';
import { createCompileOne, createDocuments, infoOf, layoutOf, removedJobs } from './around.ts';
import type { Survey } from './survey.ts';

/** So many in a row, then a full look: only that forgets documents of commits long past. */
const QUICK_LIMIT = 256;

export const resurvey = (
  tree: SourceTree,
  last: LastSurvey,
  memo: CompileMemo,
): LastSurvey | null => {
  if (last.quick >= QUICK_LIMIT || tree.ledger !== last.tree.ledger) return null;
  if (last.around.layout.paths.scale.length > 0 || last.survey.asked.length > 0) return null;
  const files = changedFiles(last.tree.files, tree.files);
  const histories = changedFiles(last.tree.histories, tree.histories, { sameKeys: false });
  if (files === null || histories === null) return null;
  const places = new Set(last.open);
  for (const place of last.byCommit.get(last.tree.head.oid) ?? []) places.add(place);
  for (const place of last.byCommit.get(tree.head.oid) ?? []) places.add(place);
  for (const path of [...files, ...histories]) {
    const place = last.places.get(path);
    if (place !== undefined) places.add(place);
    else if (infoOf(path, memo).identity !== null) return null;
    else for (const user of usersOf(path, last)) places.add(user);
  }
  return withPlaces(tree, { last, places }, memo);
};

/** Keys whose values differ; null where the keys themselves do. */
const changedFiles = <Value>(
  before: ReadonlyMap<string, Value>,
  now: ReadonlyMap<string, Value>,
  { sameKeys } = { sameKeys: true },
): readonly string[] | null => {
  if (before === now) return [];
  if (!sameKeys) {
    const keys = new Set([...before.keys(), ...now.keys()]);
    return [...keys].filter((key) => before.get(key) !== now.get(key));
  }
  if (before.size !== now.size) return null;
  const changed: string[] = [];
  const old = before.entries();
  for (const [path, file] of now) {
    const next = old.next();
    if (next.done === true || next.value[0] !== path) return null;
    if (next.value[1] !== file) changed.push(path);
  }
  return changed;
};

const usersOf = (path: string, { survey }: LastSurvey): readonly number[] =>
  survey.outcomes.flatMap(({ sources }, place) => (sources.includes(path) ? [place] : []));

interface Changes {
  readonly last: LastSurvey;
  readonly places: ReadonlySet<number>;
}

const withPlaces = (tree: SourceTree, { last, places }: Changes, memo: CompileMemo): LastSurvey => {
  const { survey } = last;
  const documents = createDocuments(tree, last.around.read);
  const around = { ...last.around, documents };
  const compileOne = createCompileOne(tree, around, memo);
  const outcomes = [...survey.outcomes];
  const replaced: Replaced[] = [];
  for (const place of places) {
    const path = survey.jobPaths[place];
    if (path === undefined) continue;
    const result = compileOne(path);
    memo.jobs.set(path, result);
    replaced.push({ before: outcomes[place]?.job ?? null, now: result.outcome.job });
    outcomes[place] = result.outcome;
    note(last, place, result);
  }
  const loud = [...last.loud].toSorted((a, b) => a - b).flatMap((place) => outcomes[place] ?? []);
  const syncedJobPaths = syncedPaths(tree, last, memo);
  const { jobPaths } = survey;
  const removed = removedJobs({ tree, ...around, jobPaths, syncedJobPaths });
  return {
    ...last,
    tree,
    survey: {
      ...survey,
      outcomes,
      loud,
      jobs: jobsWith(survey, outcomes, replaced),
      removed,
      syncedJobPaths,
    },
    around,
    quick: last.quick + 1,
  };
};

interface Replaced {
  readonly before: DesiredJob | null;
  readonly now: DesiredJob | null;
}

/** The same jobs with some replaced; all anew where one came or went. */
const jobsWith = (
  { jobs }: Survey,
  outcomes: readonly JobOutcome[],
  replaced: readonly Replaced[],
): readonly DesiredJob[] => {
  const others = replaced.filter(({ before, now }) => before !== now);
  if (others.length === 0) return jobs;
  const places = others.map(({ before, now }) =>
    before === null || now === null || before.id !== now.id ? -1 : placeOf(jobs, now.id),
  );
  if (places.includes(-1)) {
    return outcomes.flatMap(({ job }) => job ?? []).toSorted((a, b) => compareText(a.id, b.id));
  }
  const all = [...jobs];
  for (const [i, { now }] of others.entries()) if (now !== null) all[places[i] ?? -1] = now;
  return all;
};

/** Where the job stands among jobs sorted by id; -1: nowhere. */
const placeOf = (jobs: readonly DesiredJob[], id: string): number => {
  let [low, high] = [0, jobs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareText(jobs[middle]?.id ?? '', id) < 0) low = middle + 1;
    else high = middle;
  }
  return jobs[low]?.id === id ? low : -1;
};

/** It has problems, owes records or asks for something. */
export const isLoud = (outcome: JobOutcome): boolean =>
  outcome.pending ||
  outcome.problems.length > 0 ||
  outcome.owed.length > 0 ||
  outcome.digests.length > 0 ||
  outcome.histories.length > 0;

/** Mostly the files of HEAD, or of the commit before: then they need not be sorted again. */
const syncedPaths = (
  { lastSynced }: SourceTree,
  { tree, survey }: LastSurvey,
  memo: CompileMemo,
): Survey['syncedJobPaths'] => {
  if (lastSynced === null) return [];
  if (lastSynced.files === tree.files) return survey.jobPaths;
  if (lastSynced.files === tree.lastSynced?.files) return survey.syncedJobPaths;
  return layoutOf(lastSynced.files, memo).paths.job;
};

/** What the next survey needs to know of this one. */
export const lastOf = (
  full: Pick<LastSurvey, 'tree' | 'survey' | 'around'>,
  memo: CompileMemo,
): LastSurvey => {
  const places = new Map(full.survey.jobPaths.map((path, place) => [path, place]));
  const sets = { open: new Set<number>(), loud: new Set<number>() };
  const last: LastSurvey = { ...full, ...sets, places, byCommit: new Map(), quick: 0 };
  for (const [path, place] of places) {
    const job = memo.jobs.get(path);
    if (job !== undefined) note(last, place, job);
  }
  return last;
};

const note = (
  { byCommit, open, loud }: Pick<LastSurvey, 'byCommit' | 'open' | 'loud'>,
  place: number,
  job: RememberedJob,
): void => {
  if (isClosed(job)) open.delete(place);
  else open.add(place);
  if (isLoud(job.outcome)) loud.add(place);
  else loud.delete(place);
  const commit = job.outcome.job?.commit.oid;
  if (commit === undefined) return;
  const places = byCommit.get(commit) ?? new Set();
  byCommit.set(commit, places.add(place));
};
