// What should be: the value that compile makes of a SourceTree and plan works on.
// In: nothing. Out: types. Not here: compile (reconciler/desired), plan (reconciler/plan).

import type { Evidence, HeldFile, LedgerRecord, UnprovenFile } from './ledger.ts';
import type { Problem } from './problems.ts';
import type { ExternalService } from './services.ts';
import type { ForeignRecords, RefusedCommits } from './source.ts';
import type { JobSpec, Ms, Resources } from './spec.ts';

export interface ClusterSpec {
  readonly name: string;
  readonly maxDeployments: number;
  readonly lostAfterMs: Ms;
  readonly allowEmpty: boolean;
  readonly ownApproval: boolean;
  /** Registries that may be asked; empty: none (rules 3). */
  readonly registries: readonly string[];
  /** Host paths that jobs may mount. */
  readonly hostPaths: readonly { readonly path: string; readonly readOnly: boolean }[];
  /** Whose commits are acted on; absent: everybody's. */
  readonly verify?: 'head' | 'strict';
  /** What a forge is told; absent: full. */
  readonly planVisibility?: 'counts' | 'namespace';
  /** Who may change which file, as written (schema/owners); absent: anybody. */
  readonly owners?: string;
  /** E-mail addresses of programs that commit, with `*`; absent: none. */
  readonly automation?: readonly string[];
}

export interface NamespaceSpec {
  readonly name: string;
  readonly protected: boolean;
  /** null: no quota. */
  readonly quota: Resources | null;
  readonly evidence: 'codes' | 'logs';
  /** A forge is told all of it where the cluster says `namespace`; absent: counts. */
  readonly planVisibility?: 'full';
  /** Names for addresses outside the cluster, sorted by name; absent: none. */
  readonly external?: readonly ExternalService[];
  /** The last synced commit protects it, and HEAD does not. */
  readonly wasProtected?: true;
}

export interface ExpectedNode {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly pool: string | null;
  readonly drain: 'no' | 'yes' | 'volumes';
}

/** One edit that a machine's commit makes; content null removes the file. */
export interface FileEdit {
  readonly path: string;
  readonly content: string | null;
  /** Blob that the edit was computed from, null where the file did not exist (rules 12.3). */
  readonly base: string | null;
}

/**
 * What a failed version would go back to, worked out by compile and checked to give exactly that
 * version.
 */
export type RevertTarget =
  | {
      readonly kind: 'possible';
      readonly commit: string;
      readonly specHash: string;
      readonly edits: readonly FileEdit[];
      /** All of the commit goes back, as it asked (rules 6.3); absent: the job's version alone. */
      readonly whole?: true;
    }
  | { readonly kind: 'impossible'; readonly why: string };

export interface DesiredJob {
  readonly id: string;
  readonly file: string;
  /** What is wanted: HEAD's, or the last valid content when held. */
  readonly spec: JobSpec;
  readonly standing:
    | { readonly kind: 'head' }
    /**
     * Invalid at HEAD (or its namespace, or an image not resolved): healed, never rolled or
     * removed.
     */
    | { readonly kind: 'held'; readonly why: string }
    /** Gone from HEAD: `spec` is its content in the last synced commit. */
    | { readonly kind: 'removed' };
  /** 16 hex of hash(cluster, namespace, job, version, commit that introduced it). */
  readonly deployment: string;
  /** The commit that introduced the version. */
  readonly commit: CommitRef;
  /** HEAD's version has a settled record, of whichever deployment. */
  readonly settled: boolean;
  /** It has, and this deployment has none: one is due once it has settled again. */
  readonly isUnmarked?: true;
  /** It settled, and no other version of the job ever did: there is nothing to go back to. */
  readonly isOnlySettled?: true;
  /** Versions with a settled record, of a job whose version has none; absent: it has, or is gone. */
  readonly marked?: readonly string[];
  /** HEAD's deployment has a failed record. */
  readonly failed: { readonly evidence: Evidence } | null;
  /** HEAD's deployment has been answered with a revert commit that is not (yet) at HEAD. */
  readonly reverted: string | null;
  /** The version equals an earlier settled version of the job (rules 2.5). */
  readonly isRollback: boolean;
  /** Of a rollback: the commit with which the version settled first, where it is known. */
  readonly sameAs?: string;
  /**
   * The newest settled version but this one, compiled with HEAD's in-place fields and count; null
   * if none (5.5).
   */
  readonly fallback: {
    readonly spec: JobSpec;
    readonly deployment: string;
    readonly commit: CommitRef;
  } | null;
  /** Of a version that has not settled it is worked out when first looked at. */
  readonly revert: RevertTarget;
  /**
   * An image whose manifest is unknown, for how long (rules 3): the version's failure after
   * healthy_deadline.
   */
  readonly unresolved: {
    readonly message: string;
    readonly sinceMs: Ms;
    readonly blame: 'version' | 'platform';
  } | null;
  /** 1-based line of each group in the file, for reasons shown on the line that causes them. */
  readonly lines: ReadonlyMap<string, number>;
  /** Its namespace allows log lines in what is written about a failure; absent: it does not. */
  readonly evidence?: 'logs';
  /**
   * Held, because a program has written again what was reverted (rules 6.6): who, in which commit,
   * and the commit of the revert. Absent: nobody has.
   */
  readonly automation?: { readonly name: string; readonly commit: string; readonly revert: string };
}

/** How many slots a group had in some commit: a person's count is both bounds and the value. */
export interface SyncedGroup {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** As the scale file said, before clamping; null: it said nothing, so what lives counts. */
  readonly value: number | null;
}

export interface CommitRef {
  readonly oid: string;
  readonly author: string;
  readonly email: string;
  readonly subject: string;
}

export interface VolumeHome {
  readonly namespace: string;
  readonly job: string;
  readonly volume: string;
  readonly group: string;
  readonly index: number;
  readonly node: string;
}

export interface DesiredState {
  readonly cluster: ClusterSpec;
  readonly branch: string;
  readonly commit: CommitRef;
  /** Commits on top of it that are not accepted, and not acted on; absent: none. */
  readonly refused?: RefusedCommits;
  /** Records in the ledger that are not Purser's, and ignored; absent: none. */
  readonly foreign?: readonly ForeignRecords[];
  readonly lastSynced: string | null;
  /**
   * HEAD may be acted on; otherwise nothing new is done and `why` is shown (rules 1.3 empty, 12.1).
   */
  readonly standing: { readonly kind: 'ok' } | { readonly kind: 'stopped'; readonly why: string };
  readonly namespaces: readonly NamespaceSpec[];
  readonly nodes: readonly ExpectedNode[];
  readonly jobs: readonly DesiredJob[];
  readonly volumes: readonly VolumeHome[];
  /**
   * What the last synced commit wanted of the jobs of which HEAD says something else (rules 8.1);
   * null: the file was not valid then. A job that is not in it: the same as its `spec`.
   */
  readonly synced?: ReadonlyMap<string, readonly SyncedGroup[] | null>;
  /**
   * Job → e-mail addresses of those whose commits took slots away from it since the last synced
   * one (rules 8.2). A job that is not in it: HEAD's author. Absent: nobody asked.
   */
  readonly removers?: ReadonlyMap<string, readonly string[]>;
  /** Homes that were ended, and not made anew on that node: their folders go. Absent: none. */
  readonly endedVolumes?: readonly VolumeHome[];
  /** Approvals that are not used up, and resumes. */
  readonly approvals: readonly Extract<LedgerRecord, { kind: 'approval' }>[];
  /** Slots of approvals that are used up: what is gone with leave still counts (rules 8.1). */
  readonly usedSlots?: readonly string[];
  readonly problems: readonly Problem[];
  /** Files whose newest content no owner has let through (rules 8.2); absent: none. */
  readonly heldFiles?: readonly HeldFile[];
  /** Files that count as their owners' own by the address in a commit alone; absent: none. */
  readonly unprovenFiles?: readonly UnprovenFile[];
  /**
   * Jobs that the last synced commit had a file of, that are gone from HEAD, and of which no valid
   * content is known (rules 1.3, 8.3). Absent: none.
   */
  readonly unknownJobs?: readonly string[];
  /**
   * Commits that HEAD is known to contain, and those that `resume` records name: a runner that
   * accepted another gets nothing (rules 10.3). null or absent: a local repository, every one will
   * do.
   */
  readonly acceptable?: readonly string[] | null;
  /** Paths of scale files at HEAD; absent: not known, and none is written. */
  readonly scaleFiles?: readonly string[];
  /** Those that do not name every group whose count is the machine's, sorted by path. */
  readonly openScaleFiles?: readonly {
    readonly path: string;
    readonly text: string;
    readonly blob: string;
  }[];
  /**
   * `<job> <spec hash>` of all settled records, while no commit was synced: a ledger may be gone.
   */
  readonly settledMarks?: readonly string[];
  /**
   * Ledger records that compile found to be missing: digests just looked up. Written before
   * anything else.
   */
  readonly owed: readonly LedgerRecord[];
}
