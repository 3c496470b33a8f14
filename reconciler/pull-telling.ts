// The plan of one pull request or merge group told: its check, its comment, its end.
// In: a plan, a view, what was told before. Out: writes to the forge where they say something else,
// and what is known now. Not here: whose turn it is (pull-reports), the words (render).

import { NOBODY, openChanges, teamsIn, unjudged } from '../schema/behind.ts';
import type { Behind, OwnedChange } from '../schema/behind.ts';
import type { CheckReport, PullRequest } from '../schema/forge.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { View } from './cycle.ts';
import { causeOf, isNews, keptOf, toldOf, wholeOf, type PlannedPull } from './forge/pulls.ts';
import type { ForgeContext } from './forge-context.ts';
import type { PlanTelling } from './ports.ts';
import { approvalsIn, type Subject } from './pull-subjects.ts';
import { closedCheck, pullComment } from './render/comment.ts';
import { planCheck } from './render/plan-check.ts';
import { visibilityOf } from './render/visibility.ts';

export interface Tell {
  readonly subject: Subject;
  readonly view: View;
  readonly plan: PullPlan;
  readonly behind: Behind | null;
  readonly before: PlannedPull | undefined;
  /** Of a merge group: what of it no owner has let through; absent: it is a pull request. */
  readonly queue?: (plan: PullPlan) => readonly OwnedChange[];
  readonly of: PlanTelling;
  /** Somebody wants to see it made anew. */
  readonly isAsked?: boolean;
}

/** What is known now but for the comment, and the comment as it should stand; null: as it stands. */
export interface ToldPlan {
  readonly told: Omit<PlannedPull, 'comment' | 'live' | 'isBeyond'>;
  readonly comment: string | null;
}

/** Its check, where it says something else than what stands there. */
export const tellPlan = async (
  { forge, clock }: ForgeContext,
  { subject, view, plan, behind, before, queue, of, isAsked = false }: Tell,
): Promise<ToldPlan> => {
  const { head, base, pull } = subject;
  const open = queue === undefined ? openOf(view, plan, behind) : queue(plan);
  const why = unjudged(open, behind?.unread);
  const words = { ...wordsOf(view), open, ...(why === null ? {} : { unjudged: why }) };
  const approvals = approvalsIn(view);
  const report: CheckReport = { ...planCheck(plan, words), kind: 'plan', commit: head };
  const cause = isAsked ? 'asked' : causeOf(before, { head, base, approvals, behind, plan });
  const now = toldOf(report);
  const stands = before?.told ?? (await standing(forge, head));
  const isTold = stands !== null && !isNews(stands, now, cause);
  if (!isTold) await forge.writeCheck(report, of);
  const isOld = pull !== null && (!isTold || before === undefined);
  return {
    told: {
      head,
      base,
      plan: keptOf(plan),
      whole: wholeOf(plan, behind),
      plannedAt: clock.now(),
      approvals,
      behind,
      open,
      unjudged: why,
      told: isTold ? stands : now,
    },
    comment: isOld ? pullComment(plan, words, forge.hasChecks) : null,
  };
};

const standing = async (forge: ForgeContext['forge'], head: string) => {
  const there = await forge.check('plan', head);
  return there === null ? null : toldOf(there);
};

type Planned = Extract<PullPlan, { kind: 'planned' }>;

export const queueOf = (
  { pull, queued }: Subject,
  plannedOf: (pull: number) => PlannedPull | null,
): Pick<Tell, 'queue'> => {
  if (pull !== null) return {};
  const judged = queued.flatMap((number) => plannedOf(number) ?? []);
  return { queue: (plan) => (plan.kind === 'planned' ? openInQueue(plan, judged) : []) };
};

/**
 * A merge group's changes are those of the pull requests in the queue, each as it was judged by
 * itself. What none of them that is known changes is judged once it is on the branch.
 */
const openInQueue = (
  { owned = [] }: Pick<Planned, 'owned'>,
  queued: readonly PlannedPull[],
): readonly OwnedChange[] => {
  const waits = new Set(queued.flatMap(({ open }) => open.map(({ path }) => path)));
  return owned.filter(({ path }) => waits.has(path));
};

/** Who is behind it; where that cannot be asked nobody is, and why. */
export const askBehind = async (context: ForgeContext, subject: Subject, plan: PullPlan) => {
  try {
    return { behind: await behindOf(context, subject, plan), failure: null };
  } catch (failure) {
    return { behind: NOBODY, failure };
  }
};

/** Asked only where somebody owns what it changes; of a merge group its pull requests were asked. */
export const behindOf = async (
  { forge }: ForgeContext,
  { pull }: Subject,
  plan: PlannedPull['plan'],
): Promise<Behind | null> => {
  const owned = plan.kind === 'planned' ? plan.owned : undefined;
  if (owned === undefined || pull === null) return null;
  return forge.behind({ kind: 'pull', pull: pull.number }, teamsIn(owned));
};

/**
 * Nobody will act on it any more. A verdict stays as it is, and what waited for a person ends as
 * cancelled: with success, a pull request that is opened again could be merged before its new plan.
 */
export const endCheck = async (
  { forge }: ForgeContext,
  { head, state }: PullRequest,
  known: PlannedPull['told'] | null,
): Promise<void> => {
  if (known?.commit === head && !isOpenCheck(known)) return;
  const told = await forge.check('plan', head);
  if (told === null || !isOpenCheck(told)) return;
  await forge.writeCheck({ ...told, ...closedCheck(told, state === 'merged') });
};

const isOpenCheck = ({ status, conclusion }: Pick<CheckReport, 'status' | 'conclusion'>): boolean =>
  status !== 'completed' || conclusion === 'action_required';

/** What of it no owner has let through; rules 8.2. */
const openOf = (
  { desired }: View,
  plan: PullPlan,
  behind: Behind | null,
): readonly OwnedChange[] => {
  if (plan.kind !== 'planned' || plan.owned === undefined || behind === null) return [];
  const { ownApproval } = desired.cluster;
  return openChanges(plan.owned, behind, { ownApproval, given: desired.approvals });
};

const wordsOf = ({ desired, tree }: View) => ({
  cluster: desired.cluster.name,
  directory: tree.directory,
  approved: new Set(desired.approvals.flatMap(({ slots }) => slots)),
  visibility: visibilityOf(desired),
});
