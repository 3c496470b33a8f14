// Taking back all that one commit changed: the edits that undo it at HEAD (rules 6.3).
// In: what the commit changed, and what stands at HEAD now. Out: edits, files that somebody changed
// since, files that cannot be written. Counts that a machine wrote stay (rules 7). Not here: whether
// it may be done, the commit.

import type { FileEdit } from './desired.ts';
import type { CommitChange } from './source.ts';

/** Rules 7: reverting a deploy never touches a count that a machine wrote. */
const COUNTS = 'scale/';

export interface TakenBack {
  /** Sorted by path; none: all of it is back already. */
  readonly edits: readonly FileEdit[];
  /** Paths that somebody has changed since. */
  readonly changed: readonly string[];
  /** Paths that are no text, before the commit or now. */
  readonly unwritable: readonly string[];
}

type Changed = NonNullable<CommitChange['files']>[number];

export const takenBack = (files: readonly Changed[]): TakenBack => {
  const open = files.filter((file) => !file.path.startsWith(COUNTS) && !isBack(file));
  const isChanged = ({ head, after }: Changed) => head?.blob !== after?.blob;
  const same = open.filter((file) => !isChanged(file));
  return {
    changed: open.filter(isChanged).map(({ path }) => path),
    unwritable: same.filter(isUnwritable).map(({ path }) => path),
    edits: same.flatMap(({ path, before, head }) =>
      before?.kind === 'refused' || head?.kind === 'refused'
        ? []
        : [{ path, content: before?.text ?? null, base: head?.blob ?? null }],
    ),
  };
};

const isUnwritable = ({ before, head }: Changed): boolean =>
  before?.kind === 'refused' || head?.kind === 'refused';

/** Only its mode was changed, or somebody has taken it back already. */
const isBack = ({ before, head }: Changed): boolean => head?.blob === before?.blob;
