// What a job is compiled from, and what comes of it.
// In: nothing. Out: types. Not here: compiling it (job.ts).

import type { DesiredJob } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { Problem } from '../../schema/problems.ts';
import type {
  Asks,
  CommitInfo,
  DigestAsk,
  Files,
  History,
  LookupAnswer,
  SourceTree,
} from '../../schema/source.ts';
import type { Settings } from './cluster.ts';
import type { JobLedger } from './ledger-index.ts';
import type { Reader } from './read.ts';
import type { Found } from './spec.ts';

/** The job file at HEAD other than `path` that uses the source too, null: no other does. */
export type SharedBy = (source: string, path: string) => string | null;

export interface JobInput {
  readonly path: string;
  readonly namespace: string;
  /** Files of HEAD. */
  readonly files: Files;
  readonly head: CommitInfo;
  readonly settings: Settings;
  /** Why nothing new of the namespace is done; null: its file is fine. */
  readonly namespaceHeld: string | null;
  readonly scale: Found['scale'];
  readonly ledger: JobLedger;
  /** The last synced commit; null: there is none. */
  readonly synced: string | null;
  readonly history: History | undefined;
  readonly lookups: ReadonlyMap<string, LookupAnswer>;
  readonly changes: SourceTree['changes'];
  readonly read: Reader;
  readonly sharedBy: SharedBy;
  /** A commit since the last synced one touched the job or one of these files. */
  readonly touches: (paths: readonly string[]) => boolean;
}

export interface JobOutcome {
  /** null: never valid, or not known yet. */
  readonly job: DesiredJob | null;
  readonly problems: readonly Problem[];
  readonly owed: readonly LedgerRecord[];
  readonly digests: readonly DigestAsk[];
  readonly histories: Asks['histories'];
  /** Commits whose whole change is needed. */
  readonly changes: readonly string[];
  /** Nothing may be done before the history has been read. */
  readonly pending: boolean;
  /** Paths in the repository that HEAD's file uses, or whose change is to be reverted with it. */
  readonly sources: readonly string[];
  /** The version has settled, and its record says all: neither history nor HEAD has a say. */
  readonly isPlain: boolean;
}
