// What the last synced commit wanted of a job, and who took it away since (rules 8.1, 8.2).
// In: files of commits, histories. Out: counts of that commit, e-mail addresses. Not here: which
// copies live (reconciler/plan/guard), jobs that are gone as a whole (removed.ts).

import type { DesiredState, NamespaceSpec, SyncedGroup } from '../../schema/desired.ts';
import { compareText } from '../../schema/ids.ts';
import { kindOf } from '../../schema/paths.ts';
import type { Asks, Files, History, SourceFile, SourceTree } from '../../schema/source.ts';
import { writtenGroups } from '../../schema/written-job.ts';
import { namespaceSpec } from './cluster.ts';
import { jobNames } from './draft.ts';
import { knownDifference, type JobPath } from './layout.ts';
import type { Reader } from './read.ts';
import type { Survey } from './surveyed.ts';

/** A job's file and its scale file as they stood in the last synced commit. */
interface SyncedFiles {
  readonly job: SourceFile | undefined;
  readonly scale: SourceFile | undefined;
}

type Paths = Pick<JobPath, 'path' | 'scalePath'>;

/** What the last synced commit wanted of jobs at HEAD that are not as they were. */
export const syncedOf = (tree: SourceTree, read: Reader): DesiredState['synced'] => {
  const { lastSynced, files } = tree;
  if (lastSynced === null) return undefined;
  const ids = new Set<string>();
  for (const path of differing(tree, lastSynced.files)) {
    const kind = kindOf(path);
    if (kind === 'job') ids.add(path.slice('jobs/'.length, -'.yaml'.length));
    if (kind === 'scale') ids.add(path.slice('scale/'.length, -'.yaml'.length));
  }
  const found = [...ids].flatMap((id) => {
    const paths = pathsOf(id);
    if (!files.has(paths.path)) return [];
    return [[id, groupsIn(paths, filesIn(paths, lastSynced.files), read)] as const];
  });
  return found.length === 0 ? undefined : new Map(found);
};

const pathsOf = (id: string): Paths => ({
  path: `jobs/${id}.yaml`,
  scalePath: `scale/${id}.yaml`,
});

/** Paths whose content is not what it was in the last synced commit. */
const differing = (tree: SourceTree, then: Files): Iterable<string> =>
  knownDifference(tree, then, tree.files) ??
  [...new Set([...then.keys(), ...tree.files.keys()])].filter(
    (path) => then.get(path)?.blob !== tree.files.get(path)?.blob,
  );

/** A commit that ends the protection of a namespace does not let go of its slots by that alone. */
export const withProtection = (
  specs: readonly NamespaceSpec[],
  tree: SourceTree,
  read: Reader,
): readonly NamespaceSpec[] => {
  const { lastSynced } = tree;
  if (lastSynced === null) return specs;
  const names = [...differing(tree, lastSynced.files)].flatMap((path) => {
    const file = kindOf(path) === 'namespace' ? lastSynced.files.get(path) : undefined;
    const was = file !== undefined && read('namespace', path, file).value?.protected === true;
    return was ? [path.slice('namespaces/'.length, -'.yaml'.length)] : [];
  });
  if (names.length === 0) return specs;
  const there = new Set(specs.map(({ name }) => name));
  const gone = names.filter((name) => !there.has(name)).map((name) => namespaceSpec(name, null));
  return [...specs, ...gone]
    .map((spec) =>
      names.includes(spec.name) && !spec.protected
        ? { ...spec, wasProtected: true as const }
        : spec,
    )
    .toSorted((a, b) => compareText(a.name, b.name));
};

const blobsOf = ({ job, scale }: SyncedFiles): string => `${job?.blob} ${scale?.blob}`;

/** Empty: it was not there, or stopped. null: its file was not valid. */
const groupsIn = (
  { path, scalePath }: Paths,
  { job: file, scale: scaleFile }: SyncedFiles,
  read: Reader,
): readonly SyncedGroup[] | null => {
  if (file === undefined) return [];
  const job = read('job', path, file).value;
  if (job === null) return null;
  if (job.stopped === true) return [];
  const scale = (scaleFile && read('scale', scalePath, scaleFile).value) ?? {};
  return writtenGroups(job, jobNames(path).job).map(({ name, group: { count = 1 } }) =>
    typeof count === 'number'
      ? { name, min: count, max: count, value: count }
      : { name, ...count, value: scale[name] ?? null },
  );
};

/** Jobs whose removals are looked into; a commit that takes more is judged by HEAD's author. */
const MAX_JOBS = 200;

interface Losing extends Paths {
  readonly id: string;
  readonly was: readonly SyncedGroup[];
}

/** Jobs that people took slots from since the last synced commit, where that has to be known. */
const losing = (
  { files, lastSynced }: SourceTree,
  { frame, removed, read }: Survey,
  synced: DesiredState['synced'],
): readonly Losing[] => {
  if (lastSynced === null || frame.clusterSpec.ownApproval) return [];
  const ids = [...removed.map(({ id }) => id), ...(synced?.keys() ?? [])];
  return ids
    .flatMap((id) => {
      const paths = pathsOf(id);
      const then = groupsIn(paths, filesIn(paths, lastSynced.files), read) ?? [];
      const now = groupsIn(paths, filesIn(paths, files), read);
      return now !== null && falls(then, now) ? [{ id, ...paths, was: then }] : [];
    })
    .toSorted((a, b) => compareText(a.id, b.id))
    .slice(0, MAX_JOBS);
};

const filesIn = ({ path, scalePath }: Paths, files: Files): SyncedFiles => ({
  job: files.get(path),
  scale: files.get(scalePath),
});

/** What a machine does inside its bounds takes nothing away, so its value is left out. */
const falls = (then: readonly SyncedGroup[], now: readonly SyncedGroup[]): boolean =>
  then.some((was) => {
    const is = now.find(({ name }) => name === was.name);
    if (is === undefined) return was.max > 0;
    const [low, high] = [was.value ?? was.min, was.value ?? was.max];
    return clamp(low, is) < clamp(low, was) || clamp(high, is) < clamp(high, was);
  });

const clamp = (value: number, { min, max }: SyncedGroup): number =>
  Math.min(max, Math.max(min, value));

/** Histories that are still lacking. */
export const removerAsks = (tree: SourceTree, survey: Survey): Asks['histories'] =>
  losing(tree, survey, syncedOf(tree, survey.read))
    .filter(({ path }) => !tree.histories.has(path))
    .map(({ path, scalePath }) => ({ path, with: [scalePath] }));

/** Job → who took slots away from it; jobs of which nobody can say are left out. */
export const removersOf = (
  tree: SourceTree,
  survey: Survey,
  synced: DesiredState['synced'],
): DesiredState['removers'] => {
  const found = losing(tree, survey, synced).flatMap((job) => {
    const history = tree.histories.get(job.path);
    const emails = history === undefined ? [] : emailsIn(tree, { job, history, read: survey.read });
    return emails.length === 0 ? [] : [[job.id, emails] as const];
  });
  return found.length === 0 ? undefined : new Map(found);
};

/** From the newest commit that says what the synced one said: each that takes something away. */
const emailsIn = (
  { lastSynced }: SourceTree,
  { job, history, read }: { job: Losing; history: History; read: Reader },
): readonly string[] => {
  const same = blobsOf(filesIn(job, lastSynced?.files ?? new Map()));
  const from = history.entries.findIndex(({ files }) => blobsOf(filesIn(job, files)) === same);
  const since = from < 0 ? history.entries : history.entries.slice(0, from);
  const emails = new Set<string>();
  let before = job.was;
  for (const { commit, files } of since.toReversed()) {
    const now = groupsIn(job, filesIn(job, files), read);
    if (now === null) continue;
    if (falls(before, now)) emails.add(commit.author.email);
    before = now;
  }
  return [...emails].toSorted(compareText);
};
