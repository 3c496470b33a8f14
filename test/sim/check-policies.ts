// What must hold of a policy of signatures at every moment (docs/SIGNATURES.md): what it refuses
// never changes what runs, the accepted line never goes back, and the machine's own commits count.
// In: views, orders, commits of the machine, what people meant. Out: violations. That nothing of a
// refused commit starts, check.ts sees beside it: it knows commits that count alone. Not here: what
// counts (policies.ts), that what counts is taken in the end (settle.ts).

import type { NodeOrders } from '../../schema/orders.ts';
import type { Ms } from '../../schema/spec.ts';
import type { View } from '../../reconciler/cycle.ts';
import type { Context } from './check-context.ts';
import type { RepoCommit } from './fake/git.ts';
import type { Human, Meaning } from './human.ts';

/** `seen`: the commit that each reconciler followed last, over its restarts. */
export const checkFollowed = (
  { human, fail, followed }: Context,
  name: string,
  { desired }: View,
): void => {
  const oid = desired.commit.oid;
  const meaning = meaningOf(human, oid);
  if (meaning?.isCounting !== true) fail('refused', `${name} follows ${oid}, which does not count`);
  const last = followed.get(name);
  followed.set(name, oid);
  if (last === undefined || last === oid) return;
  const isThere = isOnLine(human.meanings.at(-1), last);
  if (!isThere || isOnLine(meaning, last)) return;
  fail('went-back', `${name} followed ${last.slice(0, 8)} and goes back to ${oid.slice(0, 8)}`);
};

export const checkOrdered = ({ human, fail }: Context, { commit, node }: NodeOrders): void => {
  if (meaningOf(human, commit)?.isCounting === true) return;
  fail('refused', `${node} is sent orders of ${commit}, which does not count`);
};

/** It is signed by a key that the list before it has, or it is not made at all. */
export const checkOwnCounts = ({ human, fail }: Context, { info }: RepoCommit): void => {
  if (meaningOf(human, info.oid)?.isCounting === true) return;
  fail('own-refused', `the machine made ${info.oid.slice(0, 8)}, which does not count`);
};

/** It is found out and recorded who is behind a commit within, also where the forge was away. */
const JUDGED_WITHIN_MS: Ms = 120_000;

/**
 * Rules 8.2 (docs/GITHUB.md, "On the branch"): a verdict counts once it is in the ledger, and while
 * the forge is away it is not; until then the content before it goes on. Which of several that is at
 * an instant only the reconciler's reads tell, so a job is excused while a verdict on it may be on
 * its way. At rest there is no excuse: settle.ts compares what is held with what people meant.
 */
export const isBeingJudged = ({ human, truth }: Context, job: string): boolean => {
  const since = truth.time.now() - JUDGED_WITHIN_MS;
  if ((human.letThroughAt.get(job) ?? Number.NEGATIVE_INFINITY) >= since) return true;
  return human.meanings.some(({ at, blobs, before, written }) => {
    if (before === null || at < since || blobs.get(job) === before.blobs.get(job)) return false;
    return [written, before.written].some(({ policy }) => policy.owned.includes(job));
  });
};

const meaningOf = ({ meanings }: Human, oid: string): Meaning | undefined =>
  meanings.findLast((meaning) => meaning.oid === oid);

const isOnLine = (head: Meaning | undefined, oid: string): boolean => {
  for (let at = head ?? null; at !== null; at = at.before) if (at.oid === oid) return true;
  return false;
};
