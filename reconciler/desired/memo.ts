// What compile remembers from one call to the next: parsed files, indexes, and the jobs whose inputs are the same.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long compile takes and
// nothing else; a caller may throw it away at any time. Not here: what is compared (remember.ts).

import type { Ledger } from '../../schema/ledger.ts';
import type { Identity } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { SourceTree } from '../../schema/source.ts';
import type { Settings } from './cluster.ts';
import type { JobInput, JobOutcome } from './job.ts';
import type { LedgerIndex } from './ledger-index.ts';
import { createReadMemo, type ReadMemo } from './read.ts';
import type { Survey } from './survey.ts';

export interface PathInfo {
  readonly identity: Identity | null;
  /** A YAML file in a place where Purser reads, under a name that it does not know. */
  readonly stray: Problem | null;
}

export interface RememberedJob {
  readonly input: JobInput;
  readonly outcome: JobOutcome;
  /** Which other job uses a file: what was asked, and the answer. */
  readonly shared: ReadonlyMap<string, string | null>;
}

export interface CompileMemo {
  readonly reads: ReadMemo;
  paths: Map<string, PathInfo>;
  ledger: { readonly of: Ledger; readonly index: LedgerIndex } | null;
  /** By namespace; the same object as long as cluster.yaml and the namespace's file say the same. */
  settings: Map<string, { readonly from: readonly unknown[]; readonly settings: Settings }>;
  /** By path. */
  jobs: Map<string, RememberedJob>;
  /** Paths that a job file uses, by its document. */
  readonly uses: WeakMap<object, readonly string[]>;
  /** `asks` and `compile` look at the same tree one after the other. */
  last: { readonly tree: SourceTree; readonly survey: Survey } | null;
}

export const createMemo = (): CompileMemo => ({
  reads: createReadMemo(),
  paths: new Map(),
  ledger: null,
  settings: new Map(),
  jobs: new Map(),
  uses: new WeakMap(),
  last: null,
});
