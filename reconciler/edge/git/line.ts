// The first-parent line of the branch, and at which of its commits which paths changed (rules 1.1,
// 12.4). In: commits. Out: histories, lists of commits. Each commit is compared with its parent
// once, changed folders only, and the answer is kept by path: a new commit costs one comparison.
// Not here: what a version is (compile).

import { compareText } from '../../../schema/ids.ts';
import type {
  CommitChange,
  CommitInfo,
  Files,
  History,
  HistoryEntry,
  SourceFile,
} from '../../../schema/source.ts';
import { entryAt } from './entry.ts';
import type { Folders } from './folders.ts';
import type { Commit, TreeEntry } from './format.ts';
import { FOLDER, within } from './format.ts';
import { CHANGE_FILES, HISTORY_COMMITS, HISTORY_ENTRIES, HISTORY_TREE_BYTES } from './limits.ts';
import type { Compare, Step } from './step.ts';
import { createCompare } from './step.ts';
import { createTouched, type TouchedBetween } from './touched.ts';

export interface HistoryAsk {
  readonly path: string;
  readonly with: readonly string[];
}

export interface Line {
  /** All that was walked, oldest first; do not change it. */
  readonly walked: () => readonly Step[];
  /** What another line has walked over the same commits, in parts, oldest first; before any walk. */
  readonly adopt: (steps: readonly Step[]) => void;
  /**
   * Walks ahead of anybody's asking, and reads what the newest versions before HEAD's were: the
   * first walk over a long history takes seconds.
   */
  readonly warm: (head: string) => Promise<void>;
  readonly histories: (
    head: string,
    asks: readonly HistoryAsk[],
  ) => Promise<ReadonlyMap<string, History>>;
  /** What commits on the line changed; one that is not on it, or too large, has no files. */
  readonly changes: (
    head: string,
    commits: readonly string[],
  ) => Promise<ReadonlyMap<string, CommitChange>>;
  /** What changed from one commit to the other, over where their lines meet. */
  readonly touched: TouchedBetween;
  /** Newest first, at most `limit`; with a path, only those that change it. */
  readonly commits: (
    head: string,
    limit: number,
    path: string | null,
  ) => Promise<readonly CommitInfo[]>;
}

export const createLine = (folders: Folders, directory: string): Line => {
  const compare = createCompare(folders, directory);
  const { walkTo, upTo, ...handed } = createWalk(folders, compare);
  return {
    ...handed,
    warm: async (head) => {
      await walkTo(head);
      await readOlder(folders, upTo(head));
    },
    histories: async (head, asks) => {
      if (asks.length > 0) await walkTo(head);
      const walked = upTo(head);
      const found = await Promise.all(
        asks.map(
          async (ask) => [ask.path, await historyOf({ folders, directory, walked, ask })] as const,
        ),
      );
      return new Map(found);
    },
    changes: async (head, commits) => {
      if (commits.length > 0) await walkTo(head);
      return changesOf({ folders, directory, head }, upTo(head), commits);
    },
    touched: createTouched({ folders, directory, compare }),
    commits: async (head, limit, path) => {
      if (path === null) return plainCommits(folders, head, limit);
      await walkTo(head);
      const walked = upTo(head);
      return placesOf(walked, [within(directory, path)])
        .slice(0, limit)
        .flatMap((place) => walked.steps[place]?.commit ?? []);
    },
  };
};

/** The line as far as it was walked, and the walk to a newer commit. */
const createWalk = (folders: Folders, step: Compare) => {
  let state: WalkedLine = emptyLine();
  let walking: Promise<void> = Promise.resolve();

  const walk = async (head: string): Promise<void> => {
    if (state.steps.at(-1)?.commit.oid === head) return;
    const fresh: Commit[] = [];
    let next: string | null = head;
    while (next !== null && !state.places.has(next) && fresh.length < HISTORY_COMMITS) {
      const commit: Commit = await folders.commit(next);
      fresh.push(commit);
      next = commit.parent;
    }
    const steps: Step[] = [];
    const stopAt = folders.treeBytes() + HISTORY_TREE_BYTES;
    for (let at = 0; at < fresh.length && folders.treeBytes() < stopAt; at += COMPARED_AT_ONCE) {
      steps.push(...(await Promise.all(fresh.slice(at, at + COMPARED_AT_ONCE).map(step))));
    }
    const reached = steps.length === fresh.length && next !== null;
    const joint = reached ? (state.places.get(next ?? '') ?? -1) : -1;
    const keeps = joint === state.steps.length - 1 && joint < 2 * HISTORY_COMMITS;
    if (!keeps) state = lineOf(state.steps.slice(0, joint + 1).slice(-HISTORY_COMMITS));
    for (const one of steps.toReversed()) append(state, one);
  };

  /** One walk at a time; who asks meanwhile walks the little that is left. */
  const walkTo = (head: string): Promise<void> => {
    const mine = walking.then(() => walk(head));
    walking = mine.catch(() => undefined);
    return mine;
  };

  const upTo = (head: string): LineTo => ({ ...state, end: (state.places.get(head) ?? -1) + 1 });

  // A part that does not follow was asked for, and walked, before it came.
  const adopt = (steps: readonly Step[]): void => {
    const last = state.steps.at(-1)?.commit.oid ?? steps[0]?.commit.parent;
    for (const one of steps[0]?.commit.parent === last ? steps : []) append(state, one);
  };
  return { walkTo, upTo, walked: () => state.steps, adopt };
};

const readOlder = async (folders: Folders, { byPath }: WalkedLine): Promise<void> => {
  const older = [...byPath.values()].flatMap((changes) => changes.slice(-1 - OLDER, -1));
  const entries = older.flatMap(({ entry }) => entry ?? []).slice(-OLDER_FILES);
  for (let at = 0; at < entries.length; at += COMPARED_AT_ONCE) {
    await Promise.all(entries.slice(at, at + COMPARED_AT_ONCE).map(folders.file));
  }
};

/** Versions of a file before its newest that are read ahead: what a change is compared with. */
const OLDER = 2;
/** And of all files together: a part of what is remembered (REMEMBERED_FILES). */
const OLDER_FILES = 20_000;

/** Their trees are asked for together, so that `git cat-file` never waits for us. */
const COMPARED_AT_ONCE = 64;

/** Oldest first, so that a new commit is an append and places stay what they are. */
interface WalkedLine {
  readonly steps: Step[];
  /** Commit → its place in `steps`. */
  readonly places: Map<string, number>;
  /** Path → the commits that change it, ascending, with the file there from then on. */
  readonly byPath: Map<string, Change[]>;
}

interface Change {
  readonly place: number;
  readonly entry: TreeEntry | null;
}

const emptyLine = (): WalkedLine => ({ steps: [], places: new Map(), byPath: new Map() });

const lineOf = (steps: readonly Step[]): WalkedLine => {
  const line = emptyLine();
  for (const one of steps) append(line, one);
  return line;
};

const append = (line: WalkedLine, one: Step): void => {
  const place = line.steps.push(one) - 1;
  line.places.set(one.commit.oid, place);
  for (const [path, entry] of one.changed) {
    const changes = line.byPath.get(path);
    if (changes === undefined) line.byPath.set(path, [{ place, entry }]);
    else changes.push({ place, entry });
  }
};

/** A line up to one of its commits: `end` is the place behind it. */
interface LineTo extends WalkedLine {
  readonly end: number;
}

/** Places of the commits that change any of the paths, newest first. */
const placesOf = (line: LineTo, paths: readonly string[]): readonly number[] => {
  const changes = paths.flatMap((path) => line.byPath.get(path) ?? []);
  const places = new Set(changes.map(({ place }) => place));
  return [...places].filter((place) => place < line.end).toSorted((a, b) => b - a);
};

interface HistoryWork {
  readonly folders: Folders;
  readonly directory: string;
  readonly walked: LineTo;
  readonly ask: HistoryAsk;
}

const historyOf = async ({ folders, directory, walked, ask }: HistoryWork): Promise<History> => {
  const paths = [...new Set([ask.path, ...ask.with])].toSorted();
  const all = placesOf(
    walked,
    paths.map((path) => within(directory, path)),
  );
  const taken = all.slice(0, HISTORY_ENTRIES);
  const reachesRoot = (walked.steps[0]?.commit.parent ?? null) === null;
  const entries = await Promise.all(
    taken.map(async (at): Promise<HistoryEntry | null> => {
      const commit = walked.steps[at]?.commit;
      if (commit === undefined) return null;
      const entryOf = (path: string): Promise<TreeEntry | null> => {
        const change = walked.byPath.get(path)?.findLast(({ place }) => place <= at);
        if (change !== undefined) return Promise.resolve(change.entry);
        return reachesRoot ? NO_ENTRY : entryAt(folders, commit.tree, path);
      };
      return { commit, files: await filesAt(folders, entryOf, { directory, paths }) };
    }),
  );
  return {
    path: ask.path,
    entries: entries.filter((entry) => entry !== null),
    complete: reachesRoot && taken.length === all.length,
  };
};

const NO_ENTRY: Promise<TreeEntry | null> = Promise.resolve(null);

const changesOf = async (
  work: ChangeWork,
  { places, steps }: WalkedLine,
  commits: readonly string[],
): Promise<ReadonlyMap<string, CommitChange>> => {
  const found = commits.map(async (commit) => {
    const place = places.get(commit);
    const one = place === undefined ? undefined : steps[place];
    return [
      commit,
      { commit, files: one === undefined ? null : await changeOf(work, one) },
    ] as const;
  });
  return new Map(await Promise.all(found));
};

interface ChangeWork {
  readonly folders: Folders;
  readonly directory: string;
  readonly head: string;
}

const changeOf = async (
  { folders, directory, head }: ChangeWork,
  { commit, changed }: Step,
): Promise<CommitChange['files']> => {
  const prefix = within(directory, '');
  const paths = changed
    .map(([path]) => path)
    .filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length))
    .toSorted(compareText);
  if (paths.length > CHANGE_FILES) return null;
  const at = async (oid: string | null) => {
    if (oid === null) return new Map<string, SourceFile>();
    const { tree } = await folders.commit(oid);
    return filesAt(folders, (path) => entryAt(folders, tree, path), { directory, paths });
  };
  const [before, after, now] = await Promise.all([commit.parent, commit.oid, head].map(at));
  return paths.map((path) => ({
    path,
    before: before?.get(path) ?? null,
    after: after?.get(path) ?? null,
    head: now?.get(path) ?? null,
  }));
};

const filesAt = async (
  folders: Folders,
  entryOf: (path: string) => Promise<TreeEntry | null>,
  where: { readonly directory: string; readonly paths: readonly string[] },
): Promise<Files> => {
  const files = new Map<string, SourceFile>();
  for (const path of where.paths) {
    const entry = await entryOf(within(where.directory, path));
    if (entry !== null && entry.mode !== FOLDER) files.set(path, await folders.file(entry));
  }
  return files;
};

const plainCommits = async (
  folders: Folders,
  head: string,
  limit: number,
): Promise<readonly CommitInfo[]> => {
  const found: CommitInfo[] = [];
  let next: string | null = head;
  while (next !== null && found.length < limit) {
    const commit: Commit = await folders.commit(next);
    found.push(commit);
    next = commit.parent;
  }
  return found;
};

/**
 * Whether `tip` contains `ancestor`, over all parents. `unknown` when the walk was cut at its
 * limit.
 */
export const contains = async (
  folders: Folders,
  [tip, ancestor]: readonly [string, string],
  limit: number,
): Promise<'yes' | 'no' | 'unknown'> => {
  const seen = new Set([tip]);
  let front = [tip];
  while (front.length > 0) {
    const next: string[] = [];
    for (const oid of front) {
      if (oid === ancestor) return 'yes';
      for (const parent of (await folders.commit(oid)).parents) {
        if (!seen.has(parent)) next.push(parent);
        seen.add(parent);
      }
    }
    if (seen.size > limit) return 'unknown';
    front = next;
  }
  return 'no';
};
