// SourceTrees from plain objects: a story of commits, looked at from its newest one.
// In: commits as maps of path → text. Out: SourceTree, and the answers that a loop would give to
// asks.
// Blob and commit ids are hashes of their content, so equal stories have equal ids.
// Not here: real Git (test/contract), live state.

import { asks, compile } from '../../reconciler/desired/compile.ts';
import { createMemo, type CompileMemo } from '../../reconciler/desired/memo.ts';
import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { hashOf, sha256 } from '../../schema/hash.ts';
import { compareText } from '../../schema/ids.ts';
import type { Ledger, LedgerRecord } from '../../schema/ledger.ts';
import {
  lookupKey,
  type Asks,
  type CommitChange,
  type CommitInfo,
  type DigestAsk,
  type Files,
  type History,
  type HistoryEntry,
  type LookupAnswer,
  type SourceFile,
  type SourceTree,
  type Touched,
} from '../../schema/source.ts';

/** Path → text, a refused file, or null: the file goes. */
export type Change = { readonly [path: string]: string | SourceFile | null };

export interface CommitInit {
  readonly files: Change;
  readonly message?: string;
  readonly author?: { readonly name: string; readonly email: string };
  readonly trailers?: CommitInfo['trailers'];
}

export interface Snapshot {
  readonly commit: CommitInfo;
  readonly files: Files;
}

/** Oldest first. */
export type Story = readonly Snapshot[];

const AUTHOR = { name: 'Ada', email: 'ada@example.org' };
/** The first second of 2026. */
const FIRST_SECOND = 1_767_225_600;

export const textFile = (text: string): SourceFile => ({
  kind: 'text',
  blob: sha256(`blob ${text}`).slice(0, 40),
  text,
});

/** Commits one after the other; each changes the files of the one before. */
export const story = (...commits: readonly (CommitInit | Change)[]): Story => {
  const snapshots: Snapshot[] = [];
  for (const [index, given] of commits.entries()) {
    const init = isCommit(given) ? given : { files: given };
    const before = snapshots.at(-1);
    const files = changed(before?.files ?? new Map(), init.files);
    const parent = before?.commit.oid ?? null;
    const message = init.message ?? `Commit ${index + 1}\n`;
    const blobs = [...files].map(([path, file]) => [path, file.blob]);
    const commit = {
      oid: hashOf([parent, blobs, message, index]).slice(0, 40),
      parent,
      author: init.author ?? AUTHOR,
      authoredAt: FIRST_SECOND + index * 60,
      message,
      trailers: init.trailers ?? [],
    };
    snapshots.push({ commit, files });
  }
  return snapshots;
};

const isCommit = (given: CommitInit | Change): given is CommitInit =>
  'files' in given && typeof given.files === 'object' && given.files !== null;

const changed = (before: Files, change: Change): Files => {
  const files = new Map(before);
  for (const [path, content] of Object.entries(change)) {
    if (content === null) files.delete(path);
    else files.set(path, typeof content === 'string' ? textFile(content) : content);
  }
  return new Map([...files].toSorted(([a], [b]) => compareText(a, b)));
};

export interface TreeInit {
  readonly ledger?: Ledger;
  readonly lookups?: ReadonlyMap<string, LookupAnswer>;
  /** Index into the story; absent: nothing was synced. */
  readonly lastSynced?: number;
  readonly branch?: string;
  readonly directory?: string;
  readonly local?: boolean;
  /** Absent: what changed since `lastSynced`, and nobody looked where that is not given. */
  readonly touched?: SourceTree['touched'];
}

/** The tree at the newest commit, without histories. */
export const treeOf = (commits: Story, init: TreeInit = {}): SourceTree => {
  const head = commits.at(-1);
  if (head === undefined) throw new Error('a story has at least one commit');
  const synced = init.lastSynced === undefined ? undefined : commits[init.lastSynced];
  const since = commits.slice((init.lastSynced ?? -1) + 1).map(({ commit }) => commit);
  const { lastSynced: from } = init;
  const touched = init.touched ?? (from === undefined ? undefined : touchedBetween(commits, from));
  return {
    branch: init.branch ?? 'main',
    directory: init.directory ?? '',
    head: head.commit,
    unsynced: since.toReversed(),
    ...(touched === undefined ? {} : { touched }),
    local: init.local ?? true,
    files: head.files,
    ledger: init.ledger ?? [],
    histories: new Map(),
    lastSynced:
      synced === undefined || synced === head
        ? null
        : { commit: synced.commit.oid, files: synced.files },
    lookups: init.lookups ?? new Map(),
  };
};

/**
 * What changed on the line of the story since the synced commit; of one that was thrown away, since
 * the last that both lines have, and on its own line.
 */
export const touchedBetween = (commits: Story, meet: number, thrownAway: Story = []): Touched => {
  const base = commits[meet];
  const lines = [commits.slice(meet + 1), thrownAway];
  const changes = lines.flatMap((line) =>
    line.map((one, at) => ({
      files: one.files,
      paths: (
        changedFiles({
          before: (at === 0 ? base : line[at - 1])?.files,
          after: one.files,
          head: undefined,
        }) ?? []
      ).map(({ path }) => path),
    })),
  );
  const isSettings = (path: string): boolean => /^(cluster\.yaml|namespaces\/.*)$/.test(path);
  const paths = [...new Set(changes.flatMap((change) => change.paths))];
  const states = changes.filter((change) => change.paths.some(isSettings));
  return {
    paths,
    settings:
      states.length === 0
        ? []
        : [base?.files ?? new Map<string, SourceFile>(), ...states.map(({ files }) => files)].map(
            (files) => new Map([...files].filter(([path]) => isSettings(path))),
          ),
  };
};

/** Rules 12.4: at most so many versions. */
const HISTORY_LIMIT = 50;

/** What a loop adds to a tree: the histories that were asked for. */
export const answerHistories = (commits: Story, tree: SourceTree, asked: Asks): SourceTree => ({
  ...tree,
  histories: new Map([
    ...tree.histories,
    ...asked.histories.map((ask): [string, History] => [ask.path, historyOf(commits, ask)]),
  ]),
  changes: new Map([
    ...(tree.changes ?? []),
    ...(asked.changes ?? []).map((oid) => [oid, changeOf(commits, oid)] as const),
  ]),
});

const changeOf = (commits: Story, oid: string): CommitChange => {
  const at = commits.findIndex(({ commit }) => commit.oid === oid);
  const before = commits[at - 1]?.files;
  const after = commits[at]?.files;
  return { commit: oid, files: changedFiles({ before, after, head: commits.at(-1)?.files }) };
};

/** What a commit changed, from the files before it, after it, and at HEAD. */
export const changedFiles = (files: {
  readonly before: Files | undefined;
  readonly after: Files | undefined;
  readonly head: Files | undefined;
}): CommitChange['files'] => {
  const paths = [files.before, files.after].flatMap((some) => [...(some?.keys() ?? [])]);
  return [...new Set(paths)].toSorted(compareText).flatMap((path) => {
    const before = files.before?.get(path) ?? null;
    const after = files.after?.get(path) ?? null;
    if (before?.blob === after?.blob) return [];
    return [{ path, before, after, head: files.head?.get(path) ?? null }];
  });
};

const historyOf = (commits: Story, ask: Asks['histories'][number]): History => {
  const paths = [...new Set([ask.path, ...ask.with])].toSorted(compareText);
  const entries: HistoryEntry[] = [];
  for (let at = commits.length - 1; at >= 0; at -= 1) {
    const [now, parent] = [commits[at], commits[at - 1]];
    if (now === undefined) continue;
    const differs = paths.some(
      (path) => now.files.get(path)?.blob !== parent?.files.get(path)?.blob,
    );
    if (differs) entries.push({ commit: now.commit, files: only(now.files, paths) });
  }
  const complete = entries.length <= HISTORY_LIMIT;
  return { path: ask.path, entries: entries.slice(0, HISTORY_LIMIT), complete };
};

const only = (files: Files, paths: readonly string[]): Files =>
  new Map(
    paths.flatMap((path) => {
      const file = files.get(path);
      return file === undefined ? [] : [[path, file] as const];
    }),
  );

/** A digest made of a word, in the form that registries give. */
export const digestOf = (word: string): string => `sha256:${sha256(word)}`;

export interface ReadyInit extends TreeInit {
  /** What the registry says of a reference; absent: a digest made of the reference. */
  readonly resolve?: (ask: DigestAsk) => LookupAnswer | null;
  readonly memo?: CompileMemo;
}

export interface Ready {
  readonly tree: SourceTree;
  readonly desired: DesiredState;
  readonly ledger: Ledger;
}

/** Rounds of asking, as the loop's, and one more for each look-up that goes through the ledger. */
const ROUNDS = 6;

/**
 * Compiles as a loop does: histories and digests are answered, owed records are written, until
 * nothing is lacking.
 */
export const ready = (commits: Story, init: ReadyInit = {}): Ready => {
  const memo = init.memo ?? createMemo();
  const resolve =
    init.resolve ??
    ((ask: DigestAsk): LookupAnswer => ({ kind: 'digest', digest: digestOf(ask.reference) }));
  let tree = treeOf(commits, init);
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = asks(tree, memo);
    const lookups = new Map(tree.lookups);
    for (const ask of asked.digests) {
      const answer = resolve(ask);
      if (answer !== null) lookups.set(lookupKey(ask), answer);
    }
    tree = { ...answerHistories(commits, tree, asked), lookups };
    const { owed } = compile(tree, memo);
    if (owed.length > 0) tree = { ...tree, ledger: [...tree.ledger, ...owed] };
  }
  return { tree, desired: compile(tree, memo), ledger: tree.ledger };
};

/** The job, or an error that fails the test. */
export const jobOf = (desired: DesiredState, id: string): DesiredJob => {
  const job = desired.jobs.find((one) => one.id === id);
  if (job === undefined) throw new Error(`there is no job ${id}; problems: ${shown(desired)}`);
  return job;
};

const shown = ({ problems }: DesiredState): string =>
  problems.map(({ file, line, code, message }) => `${file}:${line} ${code} ${message}`).join('\n');

/** The mark that the planner writes once the job's version has settled. */
export const settledMark = (job: DesiredJob): Extract<LedgerRecord, { kind: 'settled' }> => ({
  kind: 'settled',
  job: job.id,
  specHash: job.spec.specHash,
  deployment: job.deployment,
  commit: job.commit.oid,
  author: job.commit.author,
  email: job.commit.email,
  subject: job.commit.subject,
  ...(job.sameAs === undefined ? {} : { sameAs: job.sameAs }),
  digests: job.spec.groups.flatMap((group) =>
    group.tasks.flatMap(({ name, image }) =>
      image.digest === null
        ? []
        : [{ group: group.name, task: name, reference: image.reference, digest: image.digest }],
    ),
  ),
});

/** The mark that the planner writes once the job's deployment has failed. */
export const failedMark = (job: DesiredJob): Extract<LedgerRecord, { kind: 'failed' }> => ({
  kind: 'failed',
  job: job.id,
  specHash: job.spec.specHash,
  deployment: job.deployment,
  commit: job.commit.oid,
  evidence: { reason: 'it crashed', allocations: [] },
});
