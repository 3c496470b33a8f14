// When a job need not be compiled again: all that it was made of is the same.
// In: what is remembered of a job, and its input now. Out: the same outcome, or a new one.
// Not here: compiling a job (job.ts). Forgetting a comparison here would make the memo change results; the property
// test compiles every tree with and without a memo.

import type { SourceFile, History } from '../../schema/source.ts';
import { compileJob, type JobInput, type JobOutcome } from './job.ts';
import type { JobLedger } from './ledger-index.ts';
import type { ComparedInput, RememberedJob } from './memo.ts';

export const outcomeOf = (input: JobInput, before: RememberedJob | undefined): RememberedJob => {
  if (before !== undefined && isSame(before, input)) {
    return { ...before, input: comparedOf(input, before.outcome) };
  }
  const shared = new Map<string, string | null>();
  const sharedBy: JobInput['sharedBy'] = (path) => {
    const other = input.sharedBy(path);
    shared.set(path, other);
    return other;
  };
  const outcome = compileJob({ ...input, sharedBy });
  return { input: comparedOf(input, outcome), outcome, shared };
};

/** What is compared, and no more of the tree than that: the memo outlives it. */
const comparedOf = (input: JobInput, { sources }: JobOutcome): ComparedInput => {
  const { path, settings, namespaceHeld, scale, ledger, history, head } = input;
  const files = new Map<string, SourceFile>();
  for (const used of [path, ...sources]) {
    const file = input.files.get(used);
    if (file !== undefined) files.set(used, file);
  }
  return { path, files, settings, namespaceHeld, scale, ledger, history, head };
};

/** It may be passed over while its inputs stand: time and other jobs' files do not change it. */
export const isClosed = ({ input, outcome, shared }: RememberedJob): boolean =>
  isFinal(outcome, input) && shared.size === 0;

const isSame = ({ input: old, outcome, shared }: RememberedJob, now: JobInput): boolean =>
  isFinal(outcome, old) &&
  old.settings === now.settings &&
  old.namespaceHeld === now.namespaceHeld &&
  old.scale === now.scale &&
  sameBlob(old.files.get(old.path), now.files.get(now.path)) &&
  outcome.sources.every((path) => sameBlob(old.files.get(path), now.files.get(path))) &&
  sameLedger(old.ledger, now.ledger) &&
  sameHistory(old.history, now.history) &&
  sameHead(outcome, old, now) &&
  [...shared].every(([path, other]) => now.sharedBy(path) === other);

/** Look-ups grow older, and a job without its history is waiting for one. */
const isFinal = (outcome: JobOutcome, { history }: ComparedInput): boolean =>
  outcome.digests.length === 0 &&
  outcome.owed.length === 0 &&
  !outcome.pending &&
  (history === undefined || history.entries.length > 0);

const sameBlob = (a: SourceFile | undefined, b: SourceFile | undefined): boolean =>
  a === b || (a?.blob === b?.blob && a?.kind === b?.kind);

/** HEAD is looked at only for the author and subject of a commit that it is. */
const sameHead = ({ job }: JobOutcome, old: ComparedInput, now: JobInput): boolean =>
  old.head.oid === now.head.oid ||
  job === null ||
  (job.commit.oid === old.head.oid) === (job.commit.oid === now.head.oid);

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
