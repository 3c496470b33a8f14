// The commit with the trailer `Purser-Atomic: true`: what taking all of it back means (rules 6.3).
// In: what the commit changed, and what stands at HEAD now. Out: edits, or why it cannot be done.
// Not here: whether the result is the settled version, the job's own file where it has changed since
// (revert.ts).

import type { FileEdit } from '../../schema/desired.ts';
import type { CommitInfo } from '../../schema/source.ts';
import { takenBack } from '../../schema/taken-back.ts';
import type { JobInput } from './job-input.ts';

const ATOMIC_TRAILER = 'purser-atomic';

export const isAtomic = ({ trailers }: CommitInfo): boolean =>
  trailers.some(([key, value]) => key.toLowerCase() === ATOMIC_TRAILER && value.trim() === 'true');

export interface AtomicEdits {
  readonly edits: readonly FileEdit[];
  /** Somebody has changed the job's own file since: it is not among the edits. */
  readonly ownChanged: boolean;
}

export const atomicEdits = (
  { path: own, changes }: Pick<JobInput, 'path' | 'changes'>,
  commit: string,
): AtomicEdits | { readonly why: string } => {
  const oid = commit.slice(0, 12);
  const asks = `commit ${oid} asks to be reverted as a whole (Purser-Atomic)`;
  const change = changes?.get(commit);
  if (change === undefined) return { why: `${asks}, and what it changed is not read yet` };
  if (change.files === null) {
    return { why: `${asks}, and changed more files than are read; run: git revert ${oid}` };
  }
  const { edits, changed, unwritable } = takenBack(change.files, { byFields: false });
  const [foreign] = changed.filter((path) => path !== own);
  if (foreign !== undefined) return { why: `${asks}, and ${foreign} has changed since` };
  if (unwritable[0] !== undefined) {
    return {
      why: `${asks}, and ${unwritable[0]} is no text that can be written; run: git revert ${oid}`,
    };
  }
  return { edits, ownChanged: changed.length > 0 };
};
