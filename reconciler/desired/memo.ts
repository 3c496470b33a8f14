// What compile remembers from one call to the next: parsed files, indexes, and the jobs whose
// inputs are the same.
// In: nothing. Out: an empty memo, which the caller keeps and passes in. It changes how long
// compile takes and nothing else; a caller may throw it away at any time. Not here: what is
// compared (remember.ts).

import type { DesiredState } from '../../schema/desired.ts';
import type { SourceTree } from '../../schema/source.ts';
import type { Settings } from './cluster.ts';
import type { Indexed } from './ledger-index.ts';
import type { Layout } from './layout.ts';
import { createReadMemo, type ReadMemo } from './read.ts';
import type { LookedAt, RememberedFrame, Survey } from './surveyed.ts';

export interface CompileMemo {
  readonly reads: ReadMemo;
  /** Of the tree before. */
  layout: Layout | null;
  ledger: Indexed | null;
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
