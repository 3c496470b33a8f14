// The commit with the trailer `Purser-Atomic: true`: what taking all of it back means (rules 6.3).
// In: what the commit changed, and what stands at HEAD now. Out: edits, or why it cannot be done.
// Not here: whether the result is the settled version, the job's own file where it has changed since
// (revert.ts).

import type { FileEdit } from '../../schema/desired.ts';
import type { CommitChange, CommitInfo } from '../../schema/source.ts';
import type { JobInput } from './job-input.ts';

const ATOMIC_TRAILER = 'purser-atomic';

export const isAtomic = ({ trailers }: CommitInfo): boolean =>
  trailers.some(([key, value]) => key.toLowerCase() === ATOMIC_TRAILER && value.trim() === 'true');

/** Rules 7: reverting a deploy never touches a count that a machine wrote. */
const COUNTS = 'scale/';

export interface AtomicEdits {
  readonly edits: readonly FileEdit[];
  /** Somebody has changed the job's own file since: it is not among the edits. */
  readonly ownChanged: boolean;
}

export const atomicEdits = (
  { path: own, changes }: JobInput,
  commit: string,
): AtomicEdits | { readonly why: string } => {
  const oid = commit.slice(0, 12);
  const asks = `commit ${oid} asks to be reverted as a whole (Purser-Atomic)`;
  const change = changes?.get(commit);
  if (change === undefined) return { why: `${asks}, and what it changed is not read yet` };
  if (change.files === null) {
    return { why: `${asks}, and changed more files than are read; run: git revert ${oid}` };
  }
  const edits: FileEdit[] = [];
  let ownChanged = false;
  for (const file of change.files) {
    const { path, before, head } = file;
    if (path.startsWith(COUNTS) || isBack(file)) continue;
    const isChanged = head?.blob !== file.after?.blob;
    if (isChanged && path === own) ownChanged = true;
    else if (isChanged) return { why: `${asks}, and ${path} has changed since` };
    else if (before?.kind === 'refused' || head?.kind === 'refused') {
      return { why: `${asks}, and ${path} is no text that can be written; run: git revert ${oid}` };
    } else edits.push({ path, content: before?.text ?? null, base: head?.blob ?? null });
  }
  return { edits, ownChanged };
};

type Changed = NonNullable<CommitChange['files']>[number];

/** Only its mode was changed, or somebody has taken it back already. */
const isBack = ({ before, head }: Changed): boolean => head?.blob === before?.blob;
