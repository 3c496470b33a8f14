// What compile remembers from one call to the next: parsed files, indexes, and the jobs whose
// inputs are the same.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long
// compile takes and nothing else; a caller may throw it away at any time. Not here: what is
// compared (remember.ts).

import type { DesiredState } from '../../schema/desired.ts';
import type { Ledger } from '../../schema/ledger.ts';
import type { CommitChange, History, SourceTree } from '../../schema/source.ts';
import type { Settings } from './cluster.ts';
import type { RememberedFrame } from './frame.ts';
import type { JobOutcome } from './job.ts';
import type { JobLedger, LedgerIndex } from './ledger-index.ts';
import type { Layout } from './layout.ts';
import type { LookedAt } from './look.ts';
import { createReadMemo, type ReadMemo } from './read.ts';
import type { Found } from './spec.ts';
import type { Survey } from './survey.ts';

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

export interface CompileMemo {
  readonly reads: ReadMemo;
  /** Of the tree before. */
  layout: Layout | null;
  ledger: { readonly of: Ledger; readonly index: LedgerIndex } | null;
  /**
   * By namespace; the same object as long as cluster.yaml and the namespace's file say the same.
   */
  readonly settings: Map<
    string,
    { readonly from: readonly unknown[]; readonly settings: Settings }
  >;
  frame: RememberedFrame | null;
  jobs: LookedAt | null;
  /** Paths that a job file uses, by its document. */
  readonly uses: WeakMap<object, readonly string[]>;
  /** `asks` and `compile` look at the same tree one after the other. */
  last: {
    readonly tree: SourceTree;
    readonly survey: Survey;
    readonly desired: DesiredState | null;
  } | null;
}

export const createMemo = (): CompileMemo => ({
  reads: createReadMemo(),
  layout: null,
  ledger: null,
  settings: new Map(),
  frame: null,
  jobs: null,
  uses: new WeakMap(),
  last: null,
});
