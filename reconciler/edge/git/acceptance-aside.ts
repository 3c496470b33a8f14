// A line that does not lead back to what was accepted last: the branch was rewritten, or a merge has
// its parents swapped. What stands further down may know no policy, or an old one, so the newest
// accepted commit judges all of it. In: the line that was walked, that commit. Out: whether it is
// such a line; the judged line. Not here: lines that lead back to it (acceptance-line).

import type { CommitFacts, Judge, Line } from '../../../schema/acceptance.ts';
import { afterCommit, JUDGED_COMMITS } from '../../../schema/acceptance.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import type { Commit } from './format.ts';

export interface Walked {
  /** Oldest first. */
  readonly commits: readonly Commit[];
  readonly end: 'anchor' | 'root' | 'cut';
}

interface Known {
  readonly commit: (oid: string) => Promise<Commit>;
  readonly facts: (commit: Commit, judge: Judge) => Promise<CommitFacts>;
}

interface Aside {
  readonly known: Known;
  /** The newest accepted commit, which is not on the walked line. */
  readonly newest: Commit;
  readonly walked: Walked;
  /** When that commit was first seen, in seconds since 1970; null: not known. */
  readonly seenAt: number | null;
}

/** False: it ends at a commit that is newer still, or at one that a person has just resumed at. */
export const leadsAside = async (
  { known, newest, walked }: Omit<Aside, 'seenAt'>,
  ledger: Ledger,
): Promise<boolean> => {
  const [end] = walked.commits;
  if (walked.end !== 'anchor' || end === undefined) return true;
  if ((await lineOf(known, end)).has(newest.oid)) return false;
  if (!isResumedAt(ledger, end.oid)) return true;
  // Resuming at an older commit goes back to it; what is pushed on top of it later is news.
  return walked.commits.length > 1 && (await lineOf(known, newest)).has(end.oid);
};

/** After what was in sync last: an earlier record was of another time. */
export const isResumedAt = (ledger: Ledger, oid: string): boolean =>
  ledger
    .slice(ledger.findLastIndex(({ kind }) => kind === 'synced') + 1)
    .some((record) => record.kind === 'resume' && record.commit === oid);

/**
 * All or nothing, by one policy: a part of it that was accepted would judge the rest. `from`: the
 * line of the newest accepted commit alone; `to`: what the line is where all of it is accepted.
 */
export const judgeAside = async (
  { known, newest, seenAt, walked: { commits, end } }: Aside,
  from: Line,
  to: (head: Commit) => Promise<Line>,
): Promise<Line> => {
  const before = await lineOf(known, newest);
  const fork = commits.findLastIndex(({ oid }) => before.has(oid));
  const [news, head] = [commits.slice(fork + 1), commits.at(-1)];
  if (head === undefined) throw new Error('a line has at least one commit');
  if (fork < 0 && end === 'cut') {
    const reason = { kind: 'too-many', limit: JUDGED_COMMITS } as const;
    return { ...from, refused: [{ commit: head.oid, reason }] };
  }
  const { judge } = from;
  let line = from;
  for (const commit of news) {
    const facts = await known.facts(commit, judge);
    line = afterCommit({ ...line, judge }, facts, judge.policy);
  }
  if (line.refused.length > 0) return { ...from, refused: line.refused };
  const { committedAt } = await known.facts(head, judge);
  // Somebody may push by force what others signed long ago: under an older policy, with older files.
  const notBefore = madeBy(judge.committedAt, seenAt);
  if (news.length > 0 && committedAt >= notBefore) return to(head);
  const isBack = news.length === 0;
  const dated = isBack ? {} : { from: timeOf(notBefore) };
  const reason = { kind: 'went-back', behind: newest.oid, ...dated } as const;
  return { ...from, refused: [{ commit: head.oid, reason }] };
};

/**
 * A commit that is dated after it was seen was made by a clock that runs ahead. What is made in its
 * place by a clock that is right is older by its date, and newer all the same. Further ahead than
 * this, it may as well be our own clock that is wrong: then the date counts.
 */
const AHEAD_AT_MOST_S = 24 * 3600;

const madeBy = (committedAt: number, seenAt: number | null): number =>
  seenAt !== null && committedAt - seenAt <= AHEAD_AT_MOST_S
    ? Math.min(committedAt, seenAt)
    : committedAt;

const timeOf = (epochSeconds: number): string =>
  new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z');

/** Along first parents, so far as a line is judged. */
const lineOf = async (known: Known, from: Commit): Promise<ReadonlySet<string>> => {
  const found = new Set([from.oid]);
  let next = from.parent;
  while (next !== null && found.size <= JUDGED_COMMITS) {
    found.add(next);
    next = (await known.commit(next)).parent;
  }
  return found;
};
