// How far a branch may be acted on: its line is walked back to a commit that was accepted before, and
// judged from there, oldest first. In: HEAD, the ledger, and what is known of one commit. Out: the
// newest accepted commit, and what stands above it. Where nobody asks for signatures no commit's
// facts are asked for. Not here: the rules (schema/acceptance.ts), what a commit's bytes prove
// (acceptance.ts): the simulator judges with this very code, and knows its commits otherwise.

import type { CommitFacts, Judge, Line, SignaturePolicy } from '../../../schema/acceptance.ts';
import { afterCommit, JUDGED_COMMITS, verdictOn } from '../../../schema/acceptance.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import { refusedWords } from '../../../schema/refused-words.ts';
import type { RefusedCommit, RefusedCommits } from '../../../schema/source.ts';
import { isResumedAt, judgeAside, leadsAside, type Walked } from './acceptance-aside.ts';
import { broken, RefusedHead } from './failure.ts';
import type { Commit } from './format.ts';
import { POLICY_COMMITS, REFUSED_TOLD } from './limits.ts';
import { NO_POLICY, type Policies } from './policy.ts';

export interface Judged {
  /** The newest commit that may be acted on. */
  readonly accepted: string;
  /** Judges the commits after it. */
  readonly judge: Judge;
  /** Absent: the branch's newest commit is accepted. */
  readonly refused?: RefusedCommits;
}

/** What is known of commits, one at a time. */
export interface KnownCommits {
  readonly commit: (oid: string) => Promise<Commit>;
  readonly has: (oid: string) => Promise<boolean>;
  readonly policies: Policies;
  /** What its bytes prove, and what those of the commits do that it brings in. */
  readonly facts: (commit: Commit, judge: Judge) => Promise<CommitFacts>;
}

export interface Asked {
  readonly head: string;
  readonly ledger: Ledger;
  /** What was acted on last, in this session; null: nothing yet. */
  readonly settled: string | null;
  /** When that was first done, in seconds since 1970; absent: not known. */
  readonly settledAt?: number;
  /** It asked for signatures. */
  readonly wasAsked?: boolean;
  /** A commit that is trusted whoever signed it; null: the first one is, on first use. */
  readonly trusted: string | null;
  /** The repository, for people. */
  readonly name: string;
}

/** Throws GitFailure (`broken`) where not even the first commit is accepted. */
export const judgeBranch = async (known: KnownCommits, asked: Asked): Promise<Judged> => {
  const anchors = anchorsOf(asked);
  const walked = await walk(known, asked.head, anchors);
  return judgedOf(known, await judgeLine({ known, asked, anchors }, walked));
};

/**
 * Commits that are accepted, whatever they are signed with: those that were acted on, those that a
 * person resumed at, and the one that the reconciler was told of. Newest first.
 */
const anchorsOf = ({ trusted, ledger, settled }: Asked): ReadonlySet<string> => {
  const all = [trusted, ...anchorsIn(ledger), settled];
  // Of one that is named twice the later mention counts.
  return new Set(all.filter((one) => one !== null).toReversed());
};

const anchorsByLedger = new WeakMap<Ledger, readonly string[]>();

/** A ledger of ten thousand records is looked through once, and not for each commit. */
const anchorsIn = (ledger: Ledger): readonly string[] => {
  const found =
    anchorsByLedger.get(ledger) ??
    ledger.flatMap((record) =>
      record.kind === 'resume' || record.kind === 'synced' ? [record.commit] : [],
    );
  anchorsByLedger.set(ledger, found);
  return found;
};

const walk = async (
  known: KnownCommits,
  head: string,
  anchors: ReadonlySet<string>,
): Promise<Walked> => {
  const commits: Commit[] = [];
  let next: string | null = head;
  while (next !== null && commits.length <= JUDGED_COMMITS) {
    const commit: Commit = await known.commit(next);
    commits.push(commit);
    if (anchors.has(next)) return { commits: commits.toReversed(), end: 'anchor' };
    next = commit.parent;
    // On first use a long history is not walked for a policy that its newest commit does not have.
    if (anchors.size > 0 || commits.length > 1 || next === null) continue;
    if ((await policyAt(known, commit)).verify === 'none') return { commits, end: 'cut' };
  }
  return { commits: commits.toReversed(), end: next === null ? 'root' : 'cut' };
};

interface Judging {
  readonly known: KnownCommits;
  readonly asked: Asked;
  readonly anchors: ReadonlySet<string>;
}

const judgeLine = async (judging: Judging, { commits, end }: Walked): Promise<Line> => {
  const { known, anchors } = judging;
  const [first, ...rest] = commits;
  if (first === undefined) throw new Error('a line has at least one commit');
  const newest = await newestKnown(known, anchors);
  await mustNotBeLost(judging, { first, newest });
  const isBeside = newest !== null && newest.oid !== first.oid;
  if (isBeside && (await policyAt(known, newest)).verify !== 'none') {
    const aside = { known, newest, walked: { commits, end } };
    if (await leadsAside(aside, judging.asked.ledger)) {
      if (end === 'root') mustNotBeTrusted(judging.asked);
      const from = await fromAccepted(known, newest);
      const { settled, settledAt } = judging.asked;
      const seenAt = newest.oid === settled ? (settledAt ?? null) : null;
      return judgeAside({ ...aside, seenAt }, from, (head) => fromAccepted(known, head));
    }
  }
  let line = end === 'root' ? await fromRoot(judging, first) : await fromAccepted(known, first);
  for (const commit of rest) line = await judged(known, line, commit);
  return line;
};

/** The commit that judges where the line does not lead back to it: what was acted on last. */
const newestKnown = async (
  known: KnownCommits,
  anchors: ReadonlySet<string>,
): Promise<Commit | null> => {
  for (const oid of anchors) {
    if (await known.has(oid)) return known.commit(oid);
  }
  return null;
};

/**
 * Git may have thrown away what was accepted last, after the branch was rewritten. If that asked
 * for signatures, nobody can say any more whose: what the branch says of it now is its own word.
 */
const mustNotBeLost = async (
  { known, asked, anchors }: Judging,
  { first, newest }: { readonly first: Commit; readonly newest: Commit | null },
): Promise<void> => {
  const [last] = anchors;
  if (last === undefined || last === newest?.oid || last === asked.trusted) return;
  if (anchors.has(first.oid) && isResumedAt(asked.ledger, first.oid)) return;
  const synced = asked.ledger.findLast(({ kind }) => kind === 'synced');
  const isKept = synced?.kind === 'synced' && synced.verify !== undefined;
  const isOlder = newest !== null && (await policyAt(known, newest)).verify !== 'none';
  if (asked.wasAsked !== true && !isKept && !isOlder) return;
  throw new RefusedHead(asked.head, lostWords(asked, last));
};

const lostWords = ({ name, head }: Asked, last: string): string =>
  `${name}: the branch was rewritten: commit ${last.slice(0, 12)}, which was accepted last and asks ` +
  `for signatures, is not in the repository any more, so nobody can say who may sign ` +
  `${head.slice(0, 12)}. Nothing is synced until it is pushed again (git push --force, from a clone ` +
  `that has it), or until somebody who has looked at the branch runs \`purser resume --at ${head}\``;

const fromAccepted = async (known: KnownCommits, commit: Commit): Promise<Line> => ({
  accepted: commit.oid,
  judge: await judgeAt(known, commit),
  refused: [],
});

/** The very first commit is judged by its own files: nobody was there before it. */
const fromRoot = async ({ known, asked }: Judging, first: Commit): Promise<Line> => {
  mustNotBeTrusted(asked);
  const judge = await judgeAt(known, first);
  if (judge.policy.verify === 'none') return { accepted: first.oid, judge, refused: [] };
  const verdict = verdictOn(await known.facts(first, judge), judge);
  return verdict.kind === 'accepted'
    ? { accepted: first.oid, judge, refused: [] }
    : { accepted: null, judge, refused: [{ commit: first.oid, reason: verdict.reason }] };
};

/** Its line was walked to the very beginning, and met no commit that it was told to trust. */
const mustNotBeTrusted = ({ trusted, name }: Asked): void => {
  if (trusted === null) return;
  throw broken(
    `${name}: the branch does not contain ${trusted}, which the reconciler was told to ` +
      'trust. Nothing is done: put the branch right, or start with another --trust',
  );
};

const judged = async (known: KnownCommits, line: Line, commit: Commit): Promise<Line> => {
  const before = line.judge.policy;
  const { policy } = await known.policies.at(commit.tree, before);
  const isBlocked = before.verify === 'strict' && line.refused.length > 0;
  const isAsked = before.verify !== 'none' || policy.verify !== 'none';
  const facts = isAsked && !isBlocked ? await known.facts(commit, line.judge) : plain(commit);
  return afterCommit(line, facts, policy);
};

/** Nothing is asked of it. */
const plain = ({ oid, parents }: Commit): CommitFacts => ({
  oid,
  parents,
  committedAt: 0,
  signature: { kind: 'none' },
});

/** How a commit that is accepted judges those after it. */
export const judgeAt = async (known: KnownCommits, commit: Commit): Promise<Judge> => {
  const policy = await policyAt(known, commit);
  if (policy.verify === 'none') return { policy, committedAt: 0 };
  const { committedAt } = await known.facts(commit, { policy: NO_POLICY, committedAt: 0 });
  return { policy, committedAt };
};

/** Where its cluster.yaml cannot be read, what an earlier one said goes on. */
const policyAt = async (known: KnownCommits, commit: Commit): Promise<SignaturePolicy> => {
  const own = await known.policies.at(commit.tree, null);
  let found = own;
  let before = commit.parent;
  for (let back = 0; !found.isOwn && before !== null && back < POLICY_COMMITS; back += 1) {
    const parent = await known.commit(before);
    found = await known.policies.at(parent.tree, null);
    before = parent.parent;
  }
  return found === own ? own.policy : (await known.policies.at(commit.tree, found.policy)).policy;
};

/** With `strict` those above the cause were not judged: what each is by itself is looked at here. */
const eachOf = async (
  known: KnownCommits,
  { judge, refused }: Pick<Line, 'judge' | 'refused'>,
  cause: string,
): Promise<readonly RefusedCommit[]> => {
  const isStrict = judge.policy.verify === 'strict';
  const newest = refused.slice(-REFUSED_TOLD);
  const told = newest.some(({ commit }) => commit === cause)
    ? newest
    : [...refused.slice(0, 1), ...newest];
  const found: RefusedCommit[] = [];
  for (const one of told) {
    const commit = await known.commit(one.commit);
    const isJudged = !isStrict || one.commit === cause;
    const verdict = isJudged ? null : verdictOn(await known.facts(commit, judge), judge);
    const own = verdict?.kind === 'refused' ? verdict.reason : null;
    found.push({ commit, reason: isJudged ? one.reason : own });
  }
  return found.toReversed();
};

const judgedOf = async (
  known: KnownCommits,
  { accepted, judge, refused }: Line,
): Promise<Judged> => {
  const [first, newest] = [refused[0], refused.at(-1)];
  const { verify } = judge.policy;
  if (first === undefined || newest === undefined || verify === 'none') {
    if (accepted === null) throw new Error('a line without an accepted commit has a refused one');
    return { accepted, judge };
  }
  const cause = verify === 'strict' ? first : newest;
  const told: RefusedCommits = {
    verify,
    newest: await known.commit(newest.commit),
    cause: await known.commit(cause.commit),
    reason: cause.reason,
    commits: refused.map(({ commit }) => commit).toReversed(),
    each: await eachOf(known, { judge, refused }, cause.commit),
  };
  if (accepted !== null) return { accepted, judge, refused: told };
  throw new RefusedHead(
    newest.commit,
    `nothing of the branch can be acted on: ${refusedWords(told)}. Or start the reconciler with ` +
      '--trust COMMIT, the newest commit that you have looked at',
    judge.policy,
  );
};
