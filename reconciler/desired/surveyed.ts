// What was seen in a tree: its documents, its jobs, and of these what is kept for the next tree.
// In: nothing. Out: types. Not here: looking (survey.ts, frame.ts, look.ts), where it is kept
// (memo.ts).

import type { ClusterFile } from '../../schema/documents/cluster.ts';
import type { Documents } from '../../schema/documents.ts';
import type {
  ClusterSpec,
  DesiredJob,
  DesiredState,
  ExpectedNode,
  NamespaceSpec,
} from '../../schema/desired.ts';
import type { Problem } from '../../schema/problems.ts';
import type { Asks, CommitChange, History, SourceTree } from '../../schema/source.ts';
import type { Settings } from './cluster.ts';
import type { HeldDocument } from './held.ts';
import type { JobOutcome } from './job-input.ts';
import type { JobPath, Layout } from './layout.ts';
import type { JobLedger, LedgerIndex } from './ledger-index.ts';
import type { Reader } from './read.ts';
import type { Found } from './spec.ts';

export interface Survey {
  readonly index: LedgerIndex;
  readonly frame: Frame;
  readonly layout: Layout;
  /** In the order of the layout; null: the file says no job. */
  readonly jobs: readonly (DesiredJob | null)[];
  /** What is said of jobs besides, by those of which anything is. */
  readonly loud: readonly JobOutcome[];
  readonly removed: readonly DesiredJob[];
  /** Histories without which nobody can say what of a removed job is kept. */
  readonly lacking: Asks['histories'];
  /** Removed jobs of which no valid content is known. */
  readonly unknown: readonly string[];
  readonly problems: readonly Problem[];
  readonly openScaleFiles: NonNullable<DesiredState['openScaleFiles']>;
  readonly read: Reader;
}

export interface Frame {
  readonly cluster: HeldDocument<ClusterFile>;
  readonly clusterSpec: ClusterSpec;
  readonly namespaces: ReadonlyMap<string, HeldNamespace>;
  readonly namespaceSpecs: readonly NamespaceSpec[];
  readonly nodes: readonly ExpectedNode[];
  /** Counts that a machine wrote, by path of the job; null: they cannot be read. */
  readonly counts: ReadonlyMap<string, Documents['scale'] | null>;
  readonly problems: readonly Problem[];
  /** Documents whose history has to be read before anything may be done. */
  readonly asked: readonly string[];
}

export interface HeldNamespace {
  readonly settings: Settings;
  /** Why nothing new of the namespace is done; null: its file is fine. */
  readonly heldBecause: string | null;
}

/** What a frame was made of, but for the files. */
export interface RememberedFrame {
  readonly frame: Frame;
  readonly namespaces: Layout['namespaces'];
  readonly jobs: readonly JobPath[];
  readonly ledgerCluster: LedgerIndex['cluster'];
  /** Every document was valid at HEAD, so no history had a say. */
  readonly isPlain: boolean;
}

/**
 * What a job was made of, and what came of it. Trees are not kept: only the blobs of the files
 * that were used.
 */
export interface RememberedJob {
  readonly outcome: JobOutcome;
  readonly settings: Settings;
  readonly namespaceHeld: string | null;
  readonly scale: Found['scale'];
  /** Of the job's file and of its sources, as `outcome.sources` lists them. */
  readonly blobs: readonly (string | undefined)[];
  /** Nothing about it changes by itself, as ages of look-ups do. */
  readonly steady: boolean;
  /** A commit since the last synced one touched it. */
  readonly isTouched: boolean;
  /** It uses no other files. */
  readonly alone: boolean;
  /**
   * It follows from more than its file and those that it uses, its settings, its count and its
   * records, so it is compared whenever a tree is looked at.
   */
  readonly isRestless: boolean;
  /** Something comes of it besides its job. */
  readonly isLoud: boolean;
  /** The commit that introduced its version; null: no job. */
  readonly commit: string | null;
  /** What that commit changed as a whole, where it was asked. */
  readonly change: CommitChange | undefined;
  /** Which other job uses a file: what was asked, and the answer. */
  readonly shared: ReadonlyMap<string, string | null>;
  /** Replaced by equal ones, so that the next comparison is one of identity. */
  ledger: JobLedger;
  history: History | undefined;
  head: string;
}

/** All jobs of a tree, with what was around them. */
export interface LookedAt {
  readonly paths: readonly JobPath[];
  /** One for each path. Kept up to date in place. */
  readonly remembered: (RememberedJob | undefined)[];
  /** One for each path; null: the file says none. */
  readonly jobs: readonly (DesiredJob | null)[];
  readonly marked: Marked;
  readonly frame: Frame;
  readonly index: LedgerIndex;
  readonly touched: SourceTree['touched'];
}

/** Ids of jobs that are not like most. Kept up to date in place. */
export interface Marked {
  readonly restless: Set<string>;
  readonly usesFiles: Set<string>;
  readonly loud: Set<string>;
}
