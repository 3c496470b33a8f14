// What compile remembers from one call to the next: parsed files, indexes, and the jobs whose inputs are the same.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long compile takes and
// nothing else; a caller may throw it away at any time. Not here: what is compared (remember.ts).

import type { Ledger } from '../../schema/ledger.ts';
import type { Identity } from '../../schema/paths.ts';
import type { Problem } from '../../schema/problems.ts';
import type { SourceTree } from '../../schema/source.ts';
import type { JobsAround } from './around.ts';
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

/** What a job was made of, as far as it is compared. `files` holds the job's own only. */
export type ComparedInput = Pick<
  JobInput,
  'path' | 'files' | 'settings' | 'namespaceHeld' | 'scale' | 'ledger' | 'history' | 'head'
>;

export interface RememberedJob {
  readonly input: ComparedInput;
  readonly outcome: JobOutcome;
  /** Which other job uses a file: what was asked, and the answer. */
  readonly shared: ReadonlyMap<string, string | null>;
}

export interface LastSurvey {
  readonly tree: SourceTree;
  readonly survey: Survey;
  readonly around: JobsAround;
  /** Places of outcomes, by the commit that their version came with. Places are in order of paths. */
  readonly byCommit: Map<string, Set<number>>;
  /** Places that are looked at whatever changed. */
  readonly open: Set<number>;
  /** Places whose outcomes are `loud`. */
  readonly loud: Set<number>;
  readonly places: ReadonlyMap<string, number>;
  /** Surveys in a row that looked at changes only. */
  readonly quick: number;
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
  /** `asks` and `compile` look at the same tree one after the other; the next one is much like it. */
  last: LastSurvey | null;
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
