// The ledger's records (rules 11): what the machine must remember and Git intent cannot say.
// In: nothing. Out: types. Not here: how they are stored (reconciler/edge/git), what they cause
// (plan).

/**
 * What failed, for the evidence in a commit's message and in status. Never log lines unless the
 * namespace allows.
 */
export interface Evidence {
  readonly reason: string;
  readonly allocations: readonly {
    readonly allocation: string;
    readonly node: string;
    readonly task: string | null;
    readonly message: string;
    /** From its first start to the failure, or to the mark; absent: it never started. */
    readonly afterMs?: number;
    /** Last lines of its log; only where the namespace allows (rules 6.4). */
    readonly log?: readonly string[];
  }[];
}

export type LedgerRecord =
  | {
      readonly kind: 'cluster';
      readonly cluster: string;
      readonly branch: string;
      readonly directory: string;
    }
  | {
      readonly kind: 'digest';
      readonly job: string;
      readonly group: string;
      readonly task: string;
      readonly reference: string;
      /** The commit that brought this text in. */
      readonly commit: string;
      readonly digest: string;
    }
  | {
      readonly kind: 'settled';
      readonly job: string;
      readonly specHash: string;
      readonly deployment: string;
      readonly commit: string;
      /**
       * Of the commit, for people; absent in records of older releases, and where it was unknown.
       */
      readonly author?: string;
      readonly email?: string;
      readonly subject?: string;
      /** The commit with which the version settled first; absent: with this one (rules 2.5). */
      readonly sameAs?: string;
      /** Digest of every reference at that time, sorted by group, task. */
      readonly digests: readonly {
        readonly group: string;
        readonly task: string;
        readonly reference: string;
        readonly digest: string;
      }[];
    }
  | {
      readonly kind: 'failed';
      readonly job: string;
      readonly specHash: string;
      readonly deployment: string;
      readonly commit: string;
      readonly evidence: Evidence;
    }
  | {
      /**
       * A version that settled before was brought in anew, by a commit that its settled record does
       * not name: its deployment from then on (rules 1.1, 2.3). Written as soon as it is seen, and
       * before its commit counts as synced.
       */
      readonly kind: 'returned';
      readonly job: string;
      readonly specHash: string;
      readonly deployment: string;
      readonly commit: string;
      readonly author?: string;
      readonly email?: string;
      readonly subject?: string;
      /**
       * The commit with which it settled first; absent: the job was on no other version in between,
       * as where a commit was amended.
       */
      readonly sameAs?: string;
      /**
       * The last synced commit when it was written; absent: there was none. As long as it is the
       * last one, the record's commit may be thrown away without a word that the job was touched.
       */
      readonly since?: string;
    }
  | {
      readonly kind: 'reverted';
      readonly job: string;
      readonly deployment: string;
      /** The commit that reverts it. */
      readonly commit: string;
    }
  | {
      readonly kind: 'volume';
      readonly namespace: string;
      readonly job: string;
      readonly volume: string;
      readonly group: string;
      readonly index: number;
      /** null: ended by `purser volume rm`. */
      readonly node: string | null;
      /** With node null: where it lived, so that its folder is removed there. */
      readonly from?: string;
    }
  | {
      readonly kind: 'approval';
      readonly id: string;
      readonly by: string;
      readonly at: string;
      readonly commit: string;
      /** `<job>/<group>[<index>]` for removals, node names for lost nodes. */
      readonly slots: readonly string[];
      readonly nodes: readonly string[];
      /**
       * Given before the change was on the branch: the slots are wanted yet. Taken out when they
       * are no more; from then on it ends when one is wanted again.
       */
      readonly ahead?: true;
      /**
       * Contents of owned files that are let through (rules 8.2), by blob; null: that the file is
       * gone. They end with the approval's age alone. Absent: none.
       */
      readonly files?: readonly { readonly path: string; readonly blob: string | null }[];
      /** With `files`: owners that this person spoke for, in lower case. */
      readonly as?: readonly string[];
      readonly used: boolean;
    }
  | { readonly kind: 'resume'; readonly commit: string; readonly by: string; readonly at: string }
  | {
      readonly kind: 'synced';
      readonly commit: string;
      /**
       * What its cluster.yaml asks of signatures, for when the commit is in the repository no more;
       * absent: nothing, or a record of an older release.
       */
      readonly verify?: 'head' | 'strict';
    }
  | Judged;

/**
 * Which files of which commit no owner has let through (rules 8.2). The newest counts: judging goes
 * on from its commit.
 */
export interface Judged {
  readonly kind: 'judged';
  readonly commit: string;
  /** `owners` of cluster.yaml as let through by then; '' for none. */
  readonly owners: string;
  /** `guards.own_approval` of the same file. */
  readonly ownApproval: boolean;
  readonly held: readonly HeldFile[];
  /** Let through by an owner whom only the address in the commit names; absent: none. */
  readonly unproven?: readonly UnprovenFile[];
  /** Contents that never counted, and that others followed which do; absent: none. */
  readonly passed?: readonly PassedContents[];
}

/**
 * What stood in a file while it waited, and was never let through. It stays without effect: the
 * content that follows may be invalid, and the last valid one that counts is then an older one.
 */
export interface PassedContents {
  readonly path: string;
  /** The content that counted before them; null: no file. */
  readonly accepted: string | null;
  /** The oldest commit with one of them. */
  readonly since: string;
  /** The commit after the newest one. */
  readonly until: string;
}

/** A file whose newest content counts as its owner's own, and nothing proves that it is. */
export interface UnprovenFile {
  readonly path: string;
  /** null: it is gone. */
  readonly blob: string | null;
  readonly commit: string;
  /** Its author, by the address that the commit names. */
  readonly by: string;
}

/** A file whose content in the repository counts for nothing until an owner lets it through. */
export interface HeldFile {
  readonly path: string;
  /** The content that waits; null: that the file goes. */
  readonly blob: string | null;
  /** The content that counts; null: no file. */
  readonly accepted: string | null;
  /** The newest commit that changed it, and the oldest since the content that counts. */
  readonly commit: string;
  readonly since: string;
  /** As written in cluster.yaml. */
  readonly owners: readonly string[];
  /** Who wrote it, for people; '' while nobody has been asked. */
  readonly by: string;
  /** What keeps it from being known who approved; absent: nothing. Never in a record. */
  readonly why?: string;
}

/** All records that count, newest last. */
export type Ledger = readonly LedgerRecord[];
