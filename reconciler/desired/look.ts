// Which jobs of a tree have to be looked at, and what came of all of them: a tree that differs in
// one file from the tree before costs one job.
// In: a tree, its layout, frame and ledger, the memo. Out: what is remembered of each job, in the
// order of their ids. Not here: whether a job that is looked at is the same (remember.ts), compiling
// it (job.ts).

import type { SourceTree } from '../../schema/source.ts';
import { jobNames, usedPaths } from './draft.ts';
import type { JobInput } from './job-input.ts';
import { placeOf, type JobPath, type Layout } from './layout.ts';
import { NO_RECORDS, type LedgerIndex } from './ledger-index.ts';
import type { CompileMemo } from './memo.ts';
import type { Reader } from './read.ts';
import { rememberedJob } from './remember.ts';
import type { Frame, LookedAt, RememberedJob } from './surveyed.ts';

export interface LookInput {
  readonly tree: SourceTree;
  readonly index: LedgerIndex;
  readonly layout: Layout;
  /** Paths whose content is another one than in the tree before; null: not known. */
  readonly changed: ReadonlySet<string> | null;
  readonly frame: Frame;
  readonly read: Reader;
}

export const lookAtJobs = (input: LookInput, memo: CompileMemo): readonly RememberedJob[] => {
  const { layout, frame, index } = input;
  const before = memo.jobs;
  const jobs: (RememberedJob | undefined)[] = before === null ? [] : aligned(before, layout.jobs);
  const inputOf = inputs(input, memo);
  for (const place of placesToLookAt(input, jobs, before)) {
    const path = layout.jobs[place];
    if (path === undefined) continue;
    jobs[place] = rememberedJob(inputOf(path), {
      before: jobs[place],
      changed: input.changed,
    });
  }
  const all = jobs.filter((job) => job !== undefined);
  memo.jobs = { paths: layout.jobs, jobs: all, frame, index };
  return all;
};

/** What is remembered of these paths, in their order; both are sorted by id. */
const aligned = (
  { paths, jobs }: LookedAt,
  wanted: readonly JobPath[],
): (RememberedJob | undefined)[] => {
  if (paths === wanted) return [...jobs];
  let at = 0;
  return wanted.map((path) => {
    while (paths[at] !== path && (paths[at]?.id ?? path.id) < path.id) at += 1;
    return paths[at]?.id === path.id ? jobs[at] : undefined;
  });
};

/**
 * Nothing that a job which is passed over was made of has changed: its file and those it uses, its
 * settings and count, its records. What is restless is looked at each time.
 */
const placesToLookAt = (
  { layout, frame, index, changed }: LookInput,
  jobs: readonly (RememberedJob | undefined)[],
  before: LookedAt | null,
): Iterable<number> => {
  if (before === null || changed === null) return layout.jobs.keys();
  const places = new Set<number>();
  let isOtherChange = false;
  for (const path of changed) {
    const place = placeOf(layout.jobs, path.slice('jobs/'.length, -'.yaml'.length));
    if (layout.jobs[place]?.path === path) places.add(place);
    else isOtherChange = true;
  }
  for (let place = 0; place < layout.jobs.length; place += 1) {
    const job = jobs[place];
    if (job === undefined || job.isRestless || (isOtherChange && !job.alone)) places.add(place);
  }
  if (before.frame !== frame) addTouchedByFrame(places, layout.jobs, [before.frame, frame]);
  if (before.index !== index) {
    for (const [place, { id }] of layout.jobs.entries()) {
      if ((index.byJob.get(id) ?? NO_RECORDS) !== jobs[place]?.ledger) places.add(place);
    }
  }
  return places;
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

const inputs = ({ tree, frame, index, layout, read }: LookInput, memo: CompileMemo) => {
  const { files, head, lookups, histories, changes } = tree;
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
      settings: found.settings,
      namespaceHeld: found.heldBecause,
      scale: frame.counts.get(path) ?? NO_COUNTS,
      ledger: index.byJob.get(id) ?? NO_RECORDS,
      history: histories.get(path),
    };
  };
};

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
