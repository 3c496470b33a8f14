// What was read from Git for one cycle: everything that compile may look at.
// In: nothing. Out: types. Not here: reading (reconciler/edge/git), meaning (reconciler/desired).

import type { HeldFile, Ledger, LedgerRecord, PassedContents, UnprovenFile } from './ledger.ts';
import type { RefusalReason } from './refusal.ts';

/** A file as read: its text, or why it cannot be one (rules 1.3: unreadable is not absent). */
export type SourceFile =
  | { readonly kind: 'text'; readonly blob: string; readonly text: string }
  | {
      readonly kind: 'refused';
      readonly blob: string;
      readonly why: 'symlink' | 'submodule' | 'lfs-pointer' | 'too-large' | 'not-utf8' | 'owners';
      /** Bytes, where that is the reason. */
      readonly size: number | null;
      /** With `owners`: what it waits for, for people. */
      readonly message?: string;
    };

/** Path relative to the cluster's directory → file, in code-unit order of paths. */
export type Files = ReadonlyMap<string, SourceFile>;

export interface CommitInfo {
  readonly oid: string;
  /** First parent; null for the first commit. */
  readonly parent: string | null;
  readonly author: { readonly name: string; readonly email: string };
  /** Seconds since 1970, as written in the commit. */
  readonly authoredAt: number;
  readonly message: string;
  readonly trailers: readonly (readonly [string, string])[];
}

/**
 * The history of one path's inputs on the first-parent line, newest first, starting at HEAD: one
 * entry for each commit
 * whose content of the asked paths differs from its parent's. At most 50 (rules 12.4).
 */
export interface HistoryEntry {
  readonly commit: CommitInfo;
  /** The asked paths as they stood in this commit; a path that did not exist is absent. */
  readonly files: Files;
}

export interface History {
  /** The path that was asked for (`jobs/shop/web.yaml`). */
  readonly path: string;
  readonly entries: readonly HistoryEntry[];
  /**
   * The same, with contents as refused that no owner ever let through: where one asks what counted
   * before a file that is not valid. Absent: there are none.
   */
  readonly counted?: readonly HistoryEntry[];
  /** False when the limit cut it. */
  readonly complete: boolean;
}

/**
 * All that one commit of the first-parent line changed below the cluster's directory, against its
 * first parent. `files` sorted by path; null: more than are read, or too far back.
 */
export interface CommitChange {
  readonly commit: string;
  readonly files:
    | readonly {
        readonly path: string;
        readonly before: SourceFile | null;
        readonly after: SourceFile | null;
        /** At HEAD, of any path: also of those that `SourceTree.files` leaves out. */
        readonly head: SourceFile | null;
      }[]
    | null;
}

/** Commits of the branch that the signature policy does not accept (rules 11, 12). */
export interface RefusedCommits {
  readonly verify: 'head' | 'strict';
  /** The branch's newest. */
  readonly newest: CommitInfo;
  /** The one that stands in the way: the newest itself, or with `strict` the oldest of them. */
  readonly cause: CommitInfo;
  readonly reason: RefusalReason;
  /** All of them, newest first; at most as many as are judged at once. */
  readonly commits: readonly string[];
  /** The newest of them, newest first, and the cause; absent: nobody looked at each. */
  readonly each?: readonly RefusedCommit[];
}

export interface RefusedCommit {
  readonly commit: CommitInfo;
  /** What is wrong with it by itself; null: only what is below it stands in the way. */
  readonly reason: RefusalReason | null;
}

/** Commits of the ledger that are not Purser's: what they wrote is ignored. */
export interface ForeignRecords {
  readonly commit: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly reason: RefusalReason;
}

/**
 * What commits changed between the last synced one and HEAD: on the line of HEAD, and on the other
 * one where the branch was rewritten, each back to where the two meet.
 */
export interface Touched {
  /** Of files below the cluster's directory, also where all commits together change nothing. */
  readonly paths: readonly string[];
  /**
   * cluster.yaml and namespace files, as they stood where the lines meet and in each of the commits
   * that changed one of them; empty: none did.
   */
  readonly settings: readonly Files[];
}

export interface SourceTree {
  readonly branch: string;
  readonly directory: string;
  /** The newest commit that is acted on. */
  readonly head: CommitInfo;
  /** What stands on top of it, and is not acted on; absent: nothing. */
  readonly refused?: RefusedCommits;
  /** Of the ledger, newest first; absent: none was seen. */
  readonly foreign?: readonly ForeignRecords[];
  /**
   * The line from HEAD back to the last synced commit, newest first, at most so many as the reader
   * walks; absent: nobody looked.
   */
  readonly unsynced?: readonly CommitInfo[];
  /** A local repository: rewrites are followed (rules 12.1). */
  readonly local: boolean;
  readonly files: Files;
  readonly ledger: Ledger;
  /**
   * Says of which jobs the ledger may not know by which commit their version came (rules 1.1).
   * `unknown`: of any; absent: nobody looked, and its word counts.
   */
  readonly touched?: Touched | 'unknown';
  /** By path; only those that were asked. */
  readonly histories: ReadonlyMap<string, History>;
  /** By commit; only those that were asked. */
  readonly changes?: ReadonlyMap<string, CommitChange>;
  /** Files of the last synced commit; null when there is none or it is HEAD. */
  readonly lastSynced: { readonly commit: string; readonly files: Files } | null;
  /** Answers of registries this session, that are not in the ledger yet. Key: `lookupKey`. */
  readonly lookups: ReadonlyMap<string, LookupAnswer>;
  /**
   * Approvals that are too old to count (rules 8.2), by id; absent: nobody looked at a wall clock.
   */
  readonly expired?: readonly string[];
  /** Of the commits that were asked, those that HEAD contains; absent: none was asked. */
  readonly contained?: readonly string[];
  /**
   * Files that stand as refused here, since no owner has let them through, by path; absent: none.
   */
  readonly held?: readonly HeldFile[];
  /** Contents of histories that no owner ever let through; absent: none. */
  readonly passed?: readonly PassedContents[];
  /** Let through by an owner whom only the address in the commit names; absent: none. */
  readonly unproven?: readonly UnprovenFile[];
  /** What has to be recorded before more of HEAD counts; absent: nothing. */
  readonly owed?: readonly LedgerRecord[];
  /** What the reader knows of how files differ, so that nobody has to look at all of them. */
  readonly differences?: readonly FilesDifference[];
}

/** Paths whose file is another one, or is in one of the two only. */
export interface FilesDifference {
  readonly from: Files;
  readonly to: Files;
  readonly paths: ReadonlySet<string>;
}

export type LookupAnswer =
  | { readonly kind: 'digest'; readonly digest: string }
  | {
      readonly kind: 'failed';
      /** `not-found` is the version's fault, the rest the platform's (rules 6.1). */
      readonly why: 'not-found' | 'login' | 'unreachable' | 'not-allowed';
      readonly message: string;
      /** Since the first failure in a row, milliseconds. */
      readonly sinceMs: number;
    };

/**
 * One look-up of a tag: (job, group, task, reference as written, commit that brought the text in),
 * rules 3.
 */
export interface DigestAsk {
  readonly job: string;
  readonly group: string;
  readonly task: string;
  readonly reference: string;
  readonly commit: string;
}

/** What compile still lacks; the loop fetches it and compiles again, at most three rounds. */
export interface Asks {
  readonly digests: readonly DigestAsk[];
  /** Paths whose history is needed, each with the other paths that form its version. */
  readonly histories: readonly { readonly path: string; readonly with: readonly string[] }[];
  /** Commits that are to be reverted as a whole (rules 6.3), sorted. */
  readonly changes?: readonly string[];
  /**
   * Commits that runners accepted orders of: does HEAD contain them (rules 10.3)? Asked by the
   * loop.
   */
  readonly commits?: readonly string[];
}

/** Key of a look-up in `SourceTree.lookups`. */
export const lookupKey = (ask: DigestAsk): string =>
  [ask.job, ask.group, ask.task, ask.reference, ask.commit].join(' ');
