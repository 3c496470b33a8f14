// The first-parent line of the branch, and at which of its commits which paths changed (rules 1.1, 12.4).
// In: commits. Out: histories, lists of commits. Each commit is compared with its parent once, changed folders only,
// and the answer is kept by path: a new commit costs one comparison. Not here: what a version is (compile).

import type {
  CommitInfo,
  Files,
  History,
  HistoryEntry,
  SourceFile,
} from '../../../schema/source.ts';
import type { Folders } from './folders.ts';
import type { Commit, TreeEntry } from './format.ts';
import { FOLDER, within } from './format.ts';
import { HISTORY_COMMITS, HISTORY_ENTRIES } from './limits.ts';

export interface HistoryAsk {
  readonly path: string;
  readonly with: readonly string[];
}

export interface Line {
  readonly histories: (
    head: string,
    asks: readonly HistoryAsk[],
  ) => Promise<ReadonlyMap<string, History>>;
  /** Newest first, at most `limit`; with a path, only those that change it. */
  readonly commits: (
    head: string,
    limit: number,
    path: string | null,
  ) => Promise<readonly CommitInfo[]>;
}

interface Step {
  readonly commit: Commit;
  /** Paths in the repository whose entry differs from the parent's. */
  readonly changed: readonly string[];
}

export const createLine = (folders: Folders, directory: string): Line => {
  const step = createStep(folders, directory);
  /** Newest first, from `steps[0]`; `byPath` holds numbers counted from the old end so that they stay true. */
  let state: WalkedLine = emptyLine();

  const walkTo = async (head: string): Promise<void> => {
    if (state.steps[0]?.commit.oid === head) return;
    const known = new Map(state.steps.map((one, at) => [one.commit.oid, at]));
    const fresh: Step[] = [];
    let next: string | null = head;
    while (next !== null && !known.has(next) && fresh.length < HISTORY_COMMITS) {
      const one: Step = await step(next);
      fresh.push(one);
      next = one.commit.parent;
    }
    const joint = next === null ? undefined : known.get(next);
    if (joint === undefined) state = lineOf(fresh);
    else if (joint === 0) state = extend(state, fresh);
    else state = lineOf([...fresh, ...state.steps.slice(joint)].slice(0, HISTORY_COMMITS));
  };

  return {
    histories: async (head, asks) => {
      if (asks.length > 0) await walkTo(head);
      const walked = state;
      const found = await Promise.all(
        asks.map(
          async (ask) => [ask.path, await historyOf({ folders, directory, walked, ask })] as const,
        ),
      );
      return new Map(found);
    },
    commits: async (head, limit, path) => {
      if (path === null) return plainCommits(folders, head, limit);
      await walkTo(head);
      return positions(state, [within(directory, path)])
        .slice(0, limit)
        .flatMap((at) => state.steps[at]?.commit ?? []);
    },
  };
};

interface WalkedLine {
  readonly steps: readonly Step[];
  /** Path → places counted from the old end, ascending. */
  readonly byPath: Map<string, number[]>;
}

const emptyLine = (): WalkedLine => ({ steps: [], byPath: new Map() });

const lineOf = (steps: readonly Step[]): WalkedLine => extend(emptyLine(), steps);

const extend = (line: WalkedLine, fresh: readonly Step[]): WalkedLine => {
  let place = line.steps.length;
  for (const one of fresh.toReversed()) {
    for (const path of one.changed) {
      const places = line.byPath.get(path);
      if (places === undefined) line.byPath.set(path, [place]);
      else places.push(place);
    }
    place += 1;
  }
  return { steps: [...fresh, ...line.steps], byPath: line.byPath };
};

/** Indexes into `steps` (newest first) of the commits that change any of the paths. */
const positions = (line: WalkedLine, paths: readonly string[]): readonly number[] => {
  const places = new Set(paths.flatMap((path) => line.byPath.get(path) ?? []));
  return [...places].map((place) => line.steps.length - 1 - place).toSorted((a, b) => a - b);
};

interface HistoryWork {
  readonly folders: Folders;
  readonly directory: string;
  readonly walked: WalkedLine;
  readonly ask: HistoryAsk;
}

const historyOf = async ({ folders, directory, walked, ask }: HistoryWork): Promise<History> => {
  const paths = [...new Set([ask.path, ...ask.with])].toSorted();
  const all = positions(
    walked,
    paths.map((path) => within(directory, path)),
  );
  const taken = all.slice(0, HISTORY_ENTRIES);
  const entries = await Promise.all(
    taken.map(async (at): Promise<HistoryEntry | null> => {
      const commit = walked.steps[at]?.commit;
      if (commit === undefined) return null;
      return { commit, files: await filesAt(folders, commit, { directory, paths }) };
    }),
  );
  const reachesRoot = (walked.steps.at(-1)?.commit.parent ?? null) === null;
  return {
    path: ask.path,
    entries: entries.filter((entry) => entry !== null),
    complete: reachesRoot && taken.length === all.length,
  };
};

const filesAt = async (
  folders: Folders,
  commit: Commit,
  where: { readonly directory: string; readonly paths: readonly string[] },
): Promise<Files> => {
  const files = new Map<string, SourceFile>();
  for (const path of where.paths) {
    const entry = await entryAt(folders, commit.tree, within(where.directory, path));
    if (entry !== null && entry.mode !== FOLDER) files.set(path, await folders.file(entry));
  }
  return files;
};

/** The entry at a path; null where there is none. */
export const entryAt = async (
  folders: Folders,
  tree: string,
  path: string,
): Promise<TreeEntry | null> => {
  const parts = path.split('/');
  let at = tree;
  for (const [depth, part] of parts.entries()) {
    const entry = (await folders.tree(at)).find((one) => one.name === part);
    if (entry === undefined) return null;
    if (depth === parts.length - 1) return entry;
    if (entry.mode !== FOLDER) return null;
    at = entry.oid;
  }
  return null;
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

/** Compares a commit with its first parent, inside the cluster's directory only. */
const createStep = (folders: Folders, directory: string) => {
  const inside = (path: string): boolean =>
    directory === '' || path.startsWith(`${directory}/`) || `${directory}/`.startsWith(`${path}/`);
  const compare = async (
    [after, before]: readonly [string | null, string | null],
    prefix: string,
    changed: string[],
  ): Promise<void> => {
    const old = new Map(
      (before === null ? [] : await folders.tree(before)).map((entry) => [entry.name, entry]),
    );
    const now = after === null ? [] : await folders.tree(after);
    for (const entry of now) {
      const was = old.get(entry.name);
      old.delete(entry.name);
      if (was?.oid === entry.oid && was.mode === entry.mode) continue;
      await compareEntry([entry, was], prefix + entry.name, changed);
    }
    for (const was of old.values()) {
      await compareEntry([undefined, was], prefix + was.name, changed);
    }
  };
  const compareEntry = async (
    [now, was]: readonly [TreeEntry | undefined, TreeEntry | undefined],
    path: string,
    changed: string[],
  ): Promise<void> => {
    if (!inside(path)) return;
    if ((now !== undefined && now.mode !== FOLDER) || (was !== undefined && was.mode !== FOLDER)) {
      changed.push(path);
    }
    const after = now?.mode === FOLDER ? now.oid : null;
    const before = was?.mode === FOLDER ? was.oid : null;
    if (after !== null || before !== null) await compare([after, before], `${path}/`, changed);
  };
  return async (oid: string): Promise<Step> => {
    const commit = await folders.commit(oid);
    const parent = commit.parent === null ? null : await folders.commit(commit.parent);
    const changed: string[] = [];
    await compare([commit.tree, parent?.tree ?? null], '', changed);
    return { commit, changed };
  };
};

/** Whether `tip` contains `ancestor`, over all parents. `unknown` when the walk was cut at its limit. */
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
