// Which jobs of a tree have to be looked at, and what came of all of them: a tree that differs in
// one file from the tree before costs one job.
// In: a tree, its layout, frame and ledger, the memo. Out: all jobs in the order of their ids.
// Not here: whether a job that is looked at is the same (remember.ts), compiling
// it (job.ts).

import type { DesiredJob } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { lazily } from '../../schema/lazily.ts';
import { withReplaced } from '../../schema/replaced.ts';
import type { SourceTree } from '../../schema/source.ts';
import { jobNames, usedPaths } from './draft.ts';
import type { JobInput, JobOutcome } from './job-input.ts';
import { placeOf, type JobPath, type Layout } from './layout.ts';
import { recordsOf, type Indexed } from './ledger-index.ts';
import type { CompileMemo } from './memo.ts';
import type { Reader } from './read.ts';
import { rememberedJob } from './remember.ts';
import { touchesOf } from './touched.ts';
import type { Frame, LookedAt, Marked, RememberedJob } from './surveyed.ts';

export interface LookInput {
  readonly tree: SourceTree;
  readonly indexed: Indexed;
  readonly layout: Layout;
  /** Paths whose content is another one than in the tree before; null: not known. */
  readonly changed: ReadonlySet<string> | null;
  readonly frame: Frame;
  readonly read: Reader;
}

export const lookAtJobs = (input: LookInput, memo: CompileMemo): LookedAt => {
  const { layout, frame, indexed, changed } = input;
  const { index } = indexed;
  const before = memo.jobs;
  const marked: Marked = before?.marked ?? {
    restless: new Set(),
    usesFiles: new Set(),
    loud: new Set(),
  };
  const { remembered, jobs: known } = aligned(before, layout.jobs);
  const news = new Map<number, DesiredJob | null>();
  const inputOf = inputs(input, memo);
  for (const place of placesToLookAt(input, remembered, before)) {
    const path = layout.jobs[place];
    if (path === undefined) continue;
    const job = rememberedJob(inputOf(path), { before: remembered[place], changed });
    remembered[place] = job;
    if (known[place] !== job.outcome.job) news.set(place, job.outcome.job);
    mark(marked.restless, path.id, job.isRestless);
    mark(marked.usesFiles, path.id, !job.alone);
    mark(marked.loud, path.id, job.isLoud);
  }
  const jobs = withReplaced(known, news);
  memo.jobs = {
    paths: layout.jobs,
    remembered,
    jobs,
    marked,
    frame,
    index,
    touched: input.tree.touched,
  };
  return memo.jobs;
};

/** What the loud ones say, in the order of their ids. */
export const loudOnes = ({ marked, paths, remembered }: LookedAt): readonly JobOutcome[] =>
  [...marked.loud]
    .toSorted(compareText)
    .flatMap((id) => remembered[placeOf(paths, id)]?.outcome ?? []);

/** Files that say no job, and whose history gives none. */
export const brokenPaths = ({ marked, paths, remembered }: LookedAt): readonly string[] =>
  [...marked.loud].toSorted(compareText).flatMap((id) => {
    const place = placeOf(paths, id);
    const outcome = remembered[place]?.outcome;
    const path = paths[place]?.path;
    return outcome?.job === null && !outcome.pending && path !== undefined ? [path] : [];
  });

const mark = (marked: Set<string>, id: string, holds: boolean): void => {
  if (holds) marked.add(id);
  else marked.delete(id);
};

interface Lists {
  /** Kept up to date in place. */
  readonly remembered: (RememberedJob | undefined)[];
  readonly jobs: readonly (DesiredJob | null)[];
}

/** Lists for these paths, with what is remembered of them; both are sorted by id. */
const aligned = (before: LookedAt | null, wanted: readonly JobPath[]): Lists => {
  if (before === null) return { remembered: [], jobs: wanted.map(() => null) };
  const { paths, marked } = before;
  if (paths === wanted) return before;
  const remembered: Lists['remembered'] = [];
  const jobs: (DesiredJob | null)[] = [];
  let at = 0;
  for (const path of wanted) {
    for (let old = paths[at]; old !== undefined && old.id < path.id; old = paths[at]) {
      for (const ids of Object.values(marked)) ids.delete(old.id);
      at += 1;
    }
    const isKnown = paths[at]?.id === path.id;
    remembered.push(isKnown ? before.remembered[at] : undefined);
    jobs.push((isKnown && before.jobs[at]) || null);
    if (isKnown) at += 1;
  }
  for (const { id } of paths.slice(at)) for (const ids of Object.values(marked)) ids.delete(id);
  return { remembered, jobs };
};

/**
 * Nothing that a job which is passed over was made of has changed: its file and those it uses, its
 * settings and count, its records. What is restless is looked at each time.
 */
const placesToLookAt = (
  { tree, layout, frame, indexed, changed }: LookInput,
  remembered: Lists['remembered'],
  before: LookedAt | null,
): Iterable<number> => {
  const paths = layout.jobs;
  const touched = touchedPaths(tree.touched, before);
  if (before === null || changed === null || touched === null) return paths.keys();
  const places = new Set<number>();
  let isOtherChange = false;
  for (const path of [...changed, ...touched]) {
    const place = placeOf(paths, path.slice('jobs/'.length, -'.yaml'.length));
    if (paths[place]?.path === path) places.add(place);
    else isOtherChange = true;
  }
  const { restless, usesFiles } = before.marked;
  for (const id of restless) places.add(placeOf(paths, id));
  if (isOtherChange) for (const id of usesFiles) places.add(placeOf(paths, id));
  if (before.paths !== paths) {
    for (let place = 0; place < paths.length; place += 1) {
      if (remembered[place] === undefined) places.add(place);
    }
  }
  if (before.frame !== frame) addTouchedByFrame(places, paths, [before.frame, frame]);
  if (before.index !== indexed.index) {
    addTouchedByLedger(places, paths, { indexed, remembered, before });
  }
  return places;
};

/** Of a job that was touched before and is no more, something else counted than its records. */
const touchedPaths = (
  touched: SourceTree['touched'],
  before: LookedAt | null,
): Iterable<string> | null => {
  if (touched === undefined || touched === before?.touched) return [];
  return touched === 'unknown' || touched.settings.length > 0 ? null : touched.paths;
};

const addTouchedByLedger = (
  places: Set<number>,
  paths: readonly JobPath[],
  {
    indexed,
    remembered,
    before,
  }: Pick<LookInput, 'indexed'> & Pick<Lists, 'remembered'> & { readonly before: LookedAt },
): void => {
  const { index, since, changed } = indexed;
  if (changed !== null && since === before.index) {
    for (const id of changed) {
      const place = placeOf(paths, id);
      if (paths[place]?.id === id) places.add(place);
    }
    return;
  }
  for (const [place, { id }] of paths.entries()) {
    if (recordsOf(index, id) !== remembered[place]?.ledger) places.add(place);
  }
};

const addTouchedByFrame = (
  places: Set<number>,
  paths: readonly JobPath[],
  [before, now]: readonly [Frame, Frame],
): void => {
  const namespaces = new Set<string>();
  for (const [name, { settings, heldBecause }] of now.namespaces) {
    const old = before.namespaces.get(name);
    if (old?.settings !== settings || old.heldBecause !== heldBecause) namespaces.add(name);
  }
  const hasCounts = before.counts.size > 0 || now.counts.size > 0;
  for (const [place, { path, namespace }] of paths.entries()) {
    const isCounted = hasCounts && before.counts.get(path) !== now.counts.get(path);
    if (isCounted || namespaces.has(namespace)) places.add(place);
  }
};

const NO_COUNTS = {};

const inputs = ({ tree, frame, indexed, layout, read }: LookInput, memo: CompileMemo) => {
  const { index } = indexed;
  const { files, head, lookups, histories, changes } = tree;
  const touches = touchesOf(tree, read);
  const users = lazily(() => usersOf(layout.jobs, { tree, read, memo }));
  const sharedBy: JobInput['sharedBy'] = (source, path) =>
    users()
      .get(source)
      ?.find((other) => other !== path) ?? null;
  return ({ path, id, namespace }: JobPath): JobInput => {
    const found = frame.namespaces.get(namespace);
    if (found === undefined) throw new Error(`namespace ${namespace} was not looked at`);
    return {
      path,
      namespace,
      files,
      head,
      lookups,
      changes,
      read,
      sharedBy,
      touches: (paths) => touches(namespace, paths),
      settings: found.settings,
      namespaceHeld: found.heldBecause,
      scale: frame.counts.get(path) ?? NO_COUNTS,
      ledger: recordsOf(index, id),
      synced: index.synced,
      history: histories.get(path),
    };
  };
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
