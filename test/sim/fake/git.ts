// A repository in memory: one branch, the ledger beside it, and what people and the machine push to
// both.
// In: commits. Out: SourcePort for each reconciler process, with fetches and pushes that fail when
// told to.
// Not here: what people commit (human.ts), what commits mean (reconciler/desired).

import type { Ms } from '../../../schema/spec.ts';
import { sha256 } from '../../../schema/hash.ts';
import { compareText } from '../../../schema/ids.ts';
import type { LedgerRecord } from '../../../schema/ledger.ts';
import type {
  Asks,
  CommitInfo,
  Files,
  History,
  HistoryEntry,
  RefusedCommits,
  SourceFile,
  SourceTree,
} from '../../../schema/source.ts';
import type { CommitAsk, EdgeFailure, SourcePort } from '../../../reconciler/ports.ts';
import type { Screenable } from '../../../reconciler/screened-line.ts';
import { changedFiles } from '../../support/tree.ts';
import { UNSIGNED, type Signed } from '../policies.ts';
import type { Process } from '../process.ts';
import type { SimTime } from '../time.ts';
import { judgeHead, proveOwn, speaksOfSignatures, type SignedCommit } from './acceptance.ts';

export interface RepoFaults {
  /** Share of fetches, ledger pushes and commit pushes that fail before they do anything. */
  fetch: number;
  ledger: number;
  push: number;
  /** What a fetch takes beside what it always takes: plans come so much later. */
  slowMs: Ms;
  /** Share of pushes that arrive although the pusher is told that they failed. */
  pushedYetFailed: number;
  /** Runs just before a machine's push arrives: a person who pushes first. */
  beforePush: (() => void) | null;
}

export interface RepoCommit extends SignedCommit {
  readonly machine: boolean;
}

export interface Repo {
  readonly faults: RepoFaults;
  /** First-parent line, oldest first. */
  readonly commits: readonly RepoCommit[];
  readonly ledger: readonly LedgerRecord[];
  readonly head: () => RepoCommit;
  /** Content null removes the file. Returns the new commit. */
  readonly push: (change: Change) => RepoCommit;
  /** A person resets the branch to a commit and pushes something else by force. */
  readonly rewrite: (to: string, change: Change) => RepoCommit;
  /** What people write into the ledger: approvals, and where to go on after a rewrite. */
  readonly record: (records: readonly LedgerRecord[]) => void;
  readonly port: (process: Process) => SourcePort & Screenable;
  /** Called for each machine commit, after it is on the branch. */
  readonly onMachineCommit: (listener: (commit: RepoCommit) => void) => void;
  readonly onRecord: (listener: (record: LedgerRecord) => void) => void;
}

export interface Change {
  readonly edits: ReadonlyMap<string, string | null>;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly machine: boolean;
  readonly signed: Signed;
}

export const PERSON = { name: 'Ada', email: 'ada@example.com' };
/** No way out of the directory, and nothing of Git's own. */
const PATH_INSIDE = /^(?!\.git(\/|$))(?!.*(^|\/)\.\.?(\/|$))[^/]+(\/[^/]+)*$/;
/** What compile may look at; the rest of a repository is of no interest. */
const OF_INTEREST = /^(cluster\.yaml$|(jobs|nodes|namespaces|scale|configs|signers)\/)/;
/** As often as the real one tries to push on top of what others push meanwhile. */
const PUSH_ATTEMPTS = 3;
/** rules 12.4 */
const HISTORY_LIMIT = 50;
/** 2026-01-01, so that commits have plausible times. */
const EPOCH_S = 1_767_225_600;

export const byPerson = (
  edits: ReadonlyMap<string, string | null>,
  message: string,
  signed: Signed = UNSIGNED,
): Change => ({ edits, message, author: PERSON, machine: false, signed });

export interface RepoOptions {
  readonly time: SimTime;
  readonly first: ReadonlyMap<string, string>;
  /** The repository is on the reconciler's own disk: a rewrite is followed (rules 12.1). */
  readonly local: boolean;
}

export const createRepo = ({ time, first, local }: RepoOptions): Repo => {
  const commits: RepoCommit[] = [];
  const ledger: LedgerRecord[] = [];
  /** Every commit that ever was: Git keeps those that no branch holds any more for long. */
  const all = new Map<string, RepoCommit>();
  const watchers = new Set<() => void>();
  const machineListeners: ((commit: RepoCommit) => void)[] = [];
  const recordListeners: ((record: LedgerRecord) => void)[] = [];
  const random = time.random.fork('repo');
  const faults: RepoFaults = {
    fetch: 0,
    ledger: 0,
    push: 0,
    slowMs: 0,
    pushedYetFailed: 0,
    beforePush: null,
  };

  let asksForSignatures = false;
  let kept: readonly LedgerRecord[] = [];
  /** The same value while nothing was recorded. */
  const snapshot = (): readonly LedgerRecord[] => {
    if (kept.length !== ledger.length) kept = [...ledger];
    return kept;
  };
  const tell = (): void => {
    for (const wake of watchers) wake();
  };
  const push = (change: Change): RepoCommit => {
    const parent = commits.at(-1) ?? null;
    const sorted = changed(parent?.files ?? new Map(), change.edits);
    const content = [...sorted].map(([path, { blob }]) => `${path} ${blob}`).join('\n');
    const info: CommitInfo = {
      oid: sha256(`${parent?.info.oid} ${commits.length} ${content} ${change.message}`).slice(
        0,
        40,
      ),
      parent: parent?.info.oid ?? null,
      author: change.author,
      authoredAt: EPOCH_S + Math.floor(time.now() / 1000),
      message: change.message,
      trailers: trailersOf(change.message),
    };
    const { machine, signed } = change;
    const commit = { info, files: sorted, machine, signed };
    commits.push(commit);
    all.set(info.oid, commit);
    asksForSignatures ||= speaksOfSignatures(commit);
    const subject = change.message.split('\n')[0] ?? '';
    const by = signed.by === null || !asksForSignatures ? '' : `, signed by ${signed.by}`;
    time.note(`commit ${info.oid.slice(0, 8)} by ${change.author.name}${by}: ${subject}`);
    if (change.machine) for (const listener of machineListeners) listener(commit);
    tell();
    return commit;
  };
  const head = (): RepoCommit => {
    const commit = commits.at(-1);
    if (commit === undefined) throw new Error('The repository has no commit.');
    return commit;
  };
  const record = (records: readonly LedgerRecord[]): void => {
    for (const entry of records) {
      ledger.push(entry);
      time.note(`record ${entry.kind} ${'deployment' in entry ? entry.deployment : ''}`);
      for (const listener of recordListeners) listener(entry);
    }
    tell();
  };
  /** The machine's push: on top of HEAD when the edited files are as they were (rules 12.3). */
  const commitMachine = ({ edits, message, author }: CommitAsk, proven: string | null) => {
    faults.beforePush?.();
    const { info, files } = head();
    if (proven !== null && proven !== info.oid) return null;
    const moved = edits.find(({ path, base }) => (files.get(path)?.blob ?? null) !== base);
    if (moved !== undefined) {
      throw edgeFailure('stale', `Somebody pushed first and changed ${moved.path}.`);
    }
    const outside = edits.find(({ path }) => !PATH_INSIDE.test(path));
    if (outside !== undefined) {
      throw edgeFailure('broken', `${outside.path} is not a path in the cluster's directory.`);
    }
    const changes = new Map(edits.map(({ path, content }) => [path, content]));
    const signed = { by: 'purser', merge: null } as const;
    return push({ edits: changes, message, author, machine: true, signed }).info.oid;
  };
  /** A write that may fail before, or after it was done. */
  const write = <T>(share: number, effect: () => T): T => {
    if (random.chance(share)) throw edgeFailure('retry', 'The remote hung up.');
    const value = effect();
    if (random.chance(faults.pushedYetFailed)) {
      throw edgeFailure('retry', 'The connection was cut before the remote answered.');
    }
    return value;
  };
  const port = (process: Process): SourcePort & Screenable => {
    let accepted: string | null = null;
    let syncedThen: string | null = null;
    let before: Files | null = null;
    let known: readonly LedgerRecord[] = [];
    /** The commit that the next one is made on, where somebody asks for signatures. */
    const proven = async (): Promise<string> => {
      const tip = head().info.oid;
      await proveOwn(all, { head: tip, ledger: known, settled: accepted });
      return tip;
    };
    return {
      read: async () => {
        const seen = await process.call('fetch', random.between(20, 600) + faults.slowMs, () => {
          if (random.chance(faults.fetch))
            throw edgeFailure('retry', 'The remote cannot be reached.');
          return { head: head().info.oid, ledger: snapshot() };
        });
        const { ledger } = seen;
        const judged = asksForSignatures
          ? await judgeHead(all, { ...seen, settled: accepted })
          : { accepted: seen.head };
        if (!local) refuseRewrite({ head: judged.accepted, accepted, syncedThen, ledger, all });
        accepted = judged.accepted;
        syncedThen = syncedIn(ledger);
        known = ledger;
        const tree = { ...treeOf({ all, ledger, ...judged }), local };
        const { files, lastSynced } = tree;
        const differences = [before, lastSynced?.files ?? null].flatMap((from) =>
          from === null ? [] : [{ from, to: files, paths: differing(from, files) }],
        );
        before = files;
        return { ...tree, differences };
      },
      complete: (tree, asks) =>
        process.call('histories', random.between(5, 50), () => ({
          ...tree,
          histories: historiesOf(lineOf(all, tree.head.oid), tree, asks),
          ...((asks.changes ?? []).length === 0 ? {} : { changes: changesOf(commits, tree, asks) }),
          contained: [
            ...(tree.contained ?? []),
            ...(asks.commits ?? []).filter((oid) => isBefore(commits, oid, tree.head.oid)),
          ],
        })),
      record: (records) =>
        process.call('push ledger', random.between(50, 800), () =>
          write(faults.ledger, () => record(records)),
        ),
      commit: async (ask) => {
        for (let attempt = 0; attempt < PUSH_ATTEMPTS; attempt += 1) {
          const on = asksForSignatures ? await proven() : null;
          const made = await process.call('push commit', random.between(50, 800), () =>
            write(faults.push, () => commitMachine(ask, on)),
          );
          if (made !== null) return made;
        }
        throw edgeFailure('stale', 'The branch moved again and again.');
      },
      listCommits: (limit) =>
        process.call('list commits', random.between(5, 50), () =>
          lineOf(all, head().info.oid)
            .slice(0, limit)
            .map(({ info }) => info),
        ),
      at: (oid) =>
        process.call('a commit', random.between(5, 50), () => {
          const commit = all.get(oid);
          return commit === undefined ? null : { head: commit.info, files: commit.files };
        }),
      isOwn: (oid) => Promise.resolve(all.get(oid)?.signed.by === 'purser'),
      watch: (wake) => {
        const later = (): void => {
          time.after(random.between(10, 2_000), `${process.name} sees Git`, process.guard(wake));
        };
        watchers.add(later);
        process.onDeath(() => watchers.delete(later));
        return () => Promise.resolve(void watchers.delete(later));
      },
    };
  };
  push(byPerson(first, 'The cluster'));
  return {
    faults,
    commits,
    ledger,
    head,
    push,
    rewrite: (to, change) => {
      commits.length = commits.findIndex(({ info }) => info.oid === to) + 1;
      return push(change);
    },
    record,
    port,
    onMachineCommit: (listener) => machineListeners.push(listener),
    onRecord: (listener) => recordListeners.push(listener),
  };
};

/** The files after the edits; the same Map when nothing of interest changed. */
const changed = (before: Files, edits: Change['edits']): Files => {
  const wanted = [...edits].filter(([path]) => OF_INTEREST.test(path));
  if (wanted.length === 0) return before;
  const files = new Map<string, SourceFile>(before);
  for (const [path, text] of wanted) {
    const blob = text === null ? null : sha256(text).slice(0, 40);
    if (text === null || blob === null) files.delete(path);
    else if (files.get(path)?.blob !== blob) files.set(path, { kind: 'text', blob, text });
  }
  return new Map([...files].toSorted(([a], [b]) => compareText(a, b)));
};

interface Line {
  readonly head: string;
  /** The last HEAD that this session accepted; null: none yet. */
  readonly accepted: string | null;
  /** What the ledger called synced then. */
  readonly syncedThen: string | null;
  readonly ledger: readonly LedgerRecord[];
  readonly all: ReadonlyMap<string, RepoCommit>;
}

const syncedIn = (ledger: readonly LedgerRecord[]): string | null =>
  ledger.findLast((entry) => entry.kind === 'synced')?.commit ?? null;

/**
 * rules 12.1, as edge/git/rewrite.ts: what was known must be on the line of HEAD, or a record of
 * this rewrite names a commit on it that the old line did not have, or another session has followed
 * it since.
 */
const refuseRewrite = ({ head, accepted, syncedThen, ledger, all }: Line): void => {
  const contains = (line: string, oid: string): boolean => {
    for (let at: string | null = line; at !== null; at = all.get(at)?.info.parent ?? null) {
      if (at === oid) return true;
    }
    return false;
  };
  const synced = syncedIn(ledger);
  const known = accepted ?? synced;
  if (known === null || contains(head, known)) return;
  const isOnlyIn = (oid: string): boolean => contains(head, oid) && !contains(known, oid);
  if (accepted !== null && synced !== null && synced !== syncedThen && isOnlyIn(synced)) return;
  const since = ledger.findLastIndex(({ kind }) => kind === 'synced');
  const resumed = ledger.some(
    (entry, at) =>
      entry.kind === 'resume' && (entry.commit === head || (at >= since && isOnlyIn(entry.commit))),
  );
  if (resumed) return;
  throw edgeFailure('broken', `The branch was rewritten: purser resume --at ${head}`);
};

interface Counting {
  readonly all: ReadonlyMap<string, RepoCommit>;
  readonly ledger: readonly LedgerRecord[];
  readonly accepted: string;
  readonly refused?: RefusedCommits;
}

const treeOf = ({ all, ledger, accepted, refused }: Counting): SourceTree => {
  const commit = all.get(accepted);
  if (commit === undefined) throw new Error(`The repository has no commit ${accepted}.`);
  const synced = syncedIn(ledger);
  const files = synced === null ? undefined : all.get(synced)?.files;
  return {
    branch: 'main',
    directory: '',
    head: commit.info,
    ...(refused === undefined ? {} : { refused }),
    unsynced: unsyncedOf(lineOf(all, accepted), synced),
    touched: touchedSince(all, accepted, synced),
    local: false,
    files: commit.files,
    ledger,
    histories: new Map(),
    lastSynced:
      synced === null || synced === accepted || files === undefined
        ? null
        : { commit: synced, files },
    lookups: new Map(),
  };
};

/** Newest first; a commit that was thrown away is not on the line. */
const unsyncedOf = (line: readonly RepoCommit[], synced: string | null) => {
  const at = line.findIndex(({ info }) => info.oid === synced);
  return line.slice(0, at < 0 ? line.length : at).map(({ info }) => info);
};

/** Over the first parents, newest first; also of a commit that no branch holds any more. */
const lineOf = (
  all: ReadonlyMap<string, RepoCommit>,
  tip: string | null,
): readonly RepoCommit[] => {
  const line: RepoCommit[] = [];
  for (let at = tip; at !== null; at = line.at(-1)?.info.parent ?? null) {
    const commit = all.get(at);
    if (commit === undefined) break;
    line.push(commit);
  }
  return line;
};

/**
 * What changed on the lines of both commits down to where they meet, over the first parents. Git
 * keeps what was thrown away, so nothing but a ledger without such a record makes it unknown.
 */
const touchedSince = (
  all: ReadonlyMap<string, RepoCommit>,
  head: string,
  synced: string | null,
): NonNullable<SourceTree['touched']> => {
  const [ours, theirs] = [lineOf(all, head), lineOf(all, synced)];
  const meet = ours.find((commit) => theirs.includes(commit));
  if (meet === undefined) return 'unknown';
  const way = [ours, theirs].flatMap((line) => line.slice(0, line.indexOf(meet)));
  const paths = way.flatMap(({ info, files }) => [
    ...differing(all.get(info.parent ?? '')?.files ?? new Map(), files),
  ]);
  const isSettings = (path: string): boolean => /^(cluster\.yaml|namespaces\/.*)$/.test(path);
  const settingsOf = ({ files }: RepoCommit): Files =>
    new Map([...files].filter(([path]) => isSettings(path)));
  return {
    paths: [...new Set(paths)],
    settings: paths.some(isSettings) ? [meet, ...way].map(settingsOf) : [],
  };
};

const differing = (from: Files, to: Files): ReadonlySet<string> =>
  new Set(
    [...from.keys(), ...to.keys()].filter((path) => from.get(path)?.blob !== to.get(path)?.blob),
  );

/** Is the first commit on the line of the second? */
const isBefore = (commits: readonly RepoCommit[], oid: string, head: string): boolean => {
  const at = commits.findIndex(({ info }) => info.oid === oid);
  return at >= 0 && at <= commits.findIndex(({ info }) => info.oid === head);
};

/** Histories asked for, beside those that the tree has. */
const historiesOf = (
  line: readonly RepoCommit[],
  tree: SourceTree,
  asks: Asks,
): ReadonlyMap<string, History> => {
  const asked = asks.histories.map(({ path, with: others }): readonly [string, History] => {
    const entries = entriesOf(line, [path, ...others]);
    const kept = entries.slice(0, HISTORY_LIMIT);
    return [path, { path, entries: kept, complete: kept.length === entries.length }];
  });
  return new Map([...tree.histories, ...asked]);
};

const changesOf = (
  commits: readonly RepoCommit[],
  tree: SourceTree,
  asks: Asks,
): NonNullable<SourceTree['changes']> =>
  new Map([
    ...(tree.changes ?? []),
    ...(asks.changes ?? []).map((oid) => {
      const at = commits.findIndex(({ info }) => info.oid === oid);
      const [before, after] = [commits[at - 1]?.files, commits[at]?.files];
      const files = at < 0 ? null : changedFiles({ before, after, head: tree.files });
      return [oid, { commit: oid, files }] as const;
    }),
  ]);

const entriesOf = (line: readonly RepoCommit[], paths: readonly string[]): HistoryEntry[] =>
  line.flatMap(({ info, files }, index) => {
    const parent = line[index + 1]?.files;
    if (paths.every((path) => files.get(path)?.blob === parent?.get(path)?.blob)) return [];
    const present = paths.toSorted(compareText).flatMap((path) => {
      const file = files.get(path);
      return file === undefined ? [] : [[path, file] as const];
    });
    return [{ commit: info, files: new Map(present) }];
  });

const trailersOf = (message: string): (readonly [string, string])[] => {
  const paragraphs = message.trimEnd().split('\n\n');
  const lines = paragraphs.length < 2 ? [] : (paragraphs.at(-1)?.split('\n') ?? []);
  const pairs = lines.map((line) => /^([A-Za-z][A-Za-z-]*): (.*)$/.exec(line));
  return pairs.flatMap((pair) => (pair === null ? [] : [[pair[1] ?? '', pair[2] ?? ''] as const]));
};

const edgeFailure = (consequence: EdgeFailure['consequence'], message: string): EdgeFailure => ({
  kind: 'edge-failure',
  consequence,
  message,
});
