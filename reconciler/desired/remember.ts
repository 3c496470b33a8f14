// When a job need not be compiled again: all that it was made of is the same.
// In: what is remembered of a job, and its input now. Out: the same outcome, or a new one.
// Not here: compiling a job (job.ts). Forgetting a comparison here would make the memo change
// results; the property test compiles every tree with and without a memo.

import type { CommitChange, Files, History } from '../../schema/source.ts';
import { compileJob } from './job.ts';
import type { JobInput, JobOutcome } from './job-input.ts';
import type { JobLedger } from './ledger-index.ts';
import type { RememberedJob } from './surveyed.ts';

export interface Before {
  readonly before: RememberedJob | undefined;
  /** Paths whose content changed since; null: not known, so blobs are compared. */
  readonly changed: ReadonlySet<string> | null;
}

export const rememberedJob = (input: JobInput, { before, changed }: Before): RememberedJob => {
  if (before !== undefined && isSame(before, input, changed)) {
    if (before.ledger !== input.ledger) before.ledger = input.ledger;
    if (before.history !== input.history) before.history = input.history;
    if (before.head !== input.head.oid) before.head = input.head.oid;
    return before;
  }
  const shared = new Map<string, string | null>();
  const sharedBy: JobInput['sharedBy'] = (source, path) => {
    const other = input.sharedBy(source, path);
    shared.set(source, other);
    return other;
  };
  const outcome = compileJob({ ...input, sharedBy });
  const { path, files, settings, namespaceHeld, scale, ledger, history, head } = input;
  const steady = isSteady(outcome, history);
  const blobs = [path, ...outcome.sources].map((file) => blobOf(files, file));
  return {
    outcome,
    settings,
    namespaceHeld,
    scale,
    ledger,
    history,
    head: head.oid,
    commit: outcome.job?.commit.oid ?? null,
    change: changeOf(outcome.job?.commit.oid ?? null, input),
    steady,
    isTouched: input.touches([path, ...outcome.sources]),
    alone: outcome.sources.length === 0,
    isRestless: !steady || !outcome.isPlain || shared.size > 0,
    isLoud: isLoud(outcome),
    blobs,
    shared,
  };
};

const isSame = (old: RememberedJob, now: JobInput, changed: Before['changed']): boolean =>
  old.settings === now.settings &&
  old.namespaceHeld === now.namespaceHeld &&
  old.scale === now.scale &&
  old.change === changeOf(old.commit, now) &&
  old.steady &&
  old.isTouched === now.touches([now.path, ...old.outcome.sources]) &&
  (changed === null ? sameBlobs(old, now) : sameFiles(old, now, changed)) &&
  sameLedger(old.ledger, now.ledger) &&
  (old.outcome.isPlain || (sameHistory(old.history, now.history) && sameHead(old, now.head.oid))) &&
  sameUsers(old, now);

const changeOf = (commit: string | null, { changes }: JobInput): CommitChange | undefined =>
  commit === null ? undefined : changes?.get(commit);

const blobOf = (files: Files, path: string): string | undefined => files.get(path)?.blob;

/** Look-ups grow older, and a job without its history is waiting for one. */
const isSteady = (outcome: JobOutcome, history: History | undefined): boolean =>
  outcome.digests.length === 0 &&
  outcome.owed.length === 0 &&
  outcome.changes.length === 0 &&
  !outcome.pending &&
  (history === undefined || history.entries.length > 0);

const sameBlobs = ({ outcome, blobs }: RememberedJob, { path, files }: JobInput): boolean =>
  blobs[0] === blobOf(files, path) &&
  outcome.sources.every((source, at) => blobs[at + 1] === blobOf(files, source));

const sameFiles = (
  { outcome, alone }: RememberedJob,
  { path }: JobInput,
  changed: ReadonlySet<string>,
): boolean =>
  changed.size === 0 ||
  (!changed.has(path) && (alone || outcome.sources.every((source) => !changed.has(source))));

/** HEAD is looked at only for the author and subject of a commit that it is. */
const sameHead = ({ commit, head }: RememberedJob, now: string): boolean =>
  head === now || (commit === head) === (commit === now);

const isLoud = (outcome: JobOutcome): boolean => {
  const { problems, owed, digests, histories, changes, pending } = outcome;
  return pending || [problems, owed, digests, histories, changes].some(({ length }) => length > 0);
};

const sameUsers = ({ shared }: RememberedJob, now: JobInput): boolean => {
  for (const [source, other] of shared) if (now.sharedBy(source, now.path) !== other) return false;
  return true;
};

const sameLedger = (a: JobLedger, b: JobLedger): boolean =>
  a === b ||
  (a.length === b.length &&
    a.every((record, at) => record === b[at] || JSON.stringify(record) === JSON.stringify(b[at])));

/** The same commits, each with the same paths: what a commit holds never changes. */
const sameHistory = (a: History | undefined, b: History | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.complete === b.complete &&
    a.entries.length === b.entries.length &&
    a.entries.every((entry, at) => {
      const other = b.entries[at];
      return (
        other !== undefined &&
        entry.commit.oid === other.commit.oid &&
        entry.files.size === other.files.size
      );
    }));
