// The plan of each open pull request and merge group, told as a check and a comment.
// In: a view and what the forge says. Out: checks on the newest commit of each, one comment a pull
// request. Not here: when a plan is made anew (forge/pulls), the plan (edge), words (render).

import { NOBODY, openChanges, teamsIn, unjudged } from '../schema/behind.ts';
import type { Behind, OwnedChange } from '../schema/behind.ts';
import type { CheckReport, ForgeState, PullRequest } from '../schema/forge.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { Ms } from '../schema/spec.ts';
import { WOKEN } from './config.ts';
import type { View } from './cycle.ts';
import { causeOf, dueOf, isNews, plannedPulls, type Due, type PlannedPull } from './forge/pulls.ts';
import { earliest, tryEach, type ForgeContext } from './forge-context.ts';
import { closedCheck, closedComment, pullComment } from './render/comment.ts';
import { planCheck } from './render/plan-check.ts';
import { visibilityOf } from './render/visibility.ts';
import { approvalsIn, createPlans } from './untold-plans.ts';

export interface PullReports {
  /**
   * The first plan that `tell` would make is begun, and nothing is told: the forge is still asked
   * for the rest. One, since plans are made one at a time.
   */
  readonly begin: (view: View, open: readonly PullRequest[]) => void;
  readonly tell: (view: View, seen: ForgeState) => Promise<Ms | null>;
  /** What was planned last; null: nothing yet. */
  readonly planned: (pull: number) => PlannedPull | null;
  /** What keeps it from being known who approved one of them; null: nothing. */
  readonly unjudged: () => string | null;
  /** Its plan is made anew with the next look, whatever has changed, before those of others. */
  readonly forget: (pull: number) => void;
  /** What a person should know of what is not planned; null: all is. */
  readonly notice: () => string | null;
}

/**
 * Commits and people are told of between: a pull request whose plan takes a minute, and fifty that
 * are opened at once, hold up nobody but themselves.
 */
const PASS_MS = 3000;
/** Pull requests that somebody asked to have planned; of more the oldest wish is forgotten. */
const WANTED_MAX = 10;

/** A pull request, or a commit that a merge queue asks about. */
interface Subject {
  readonly key: string;
  readonly head: string;
  readonly base: string;
  readonly pull: PullRequest | null;
  /** Of a merge group: pull requests in its queue. */
  readonly queued: readonly number[];
}

export const createPullReports = (context: ForgeContext, wake: () => void): PullReports => {
  const { forge, clock } = context;
  const known = new Map<string, PlannedPull>();
  const folded = new Set<number>();
  const wanted = createWanted();
  const plans = createPlans(context, known);
  const planOne = planTeller({ context, known, plans, wake });
  let notice: string | null = null;

  const fold = async (pull: PullRequest): Promise<void> => {
    if (folded.has(pull.number)) return;
    // First: by the comment that is still open it is known after a loss that this is to do.
    await endCheck(context, pull, known.get(keyOf(pull.number))?.told ?? null);
    const body = closedComment(pull.state === 'merged');
    await forge.writeComment({ pull: pull.number, body, folded: true });
    folded.add(pull.number);
    known.delete(keyOf(pull.number));
  };

  const dueNow = (subject: Subject, view: View): Due => {
    const { head, base, key } = subject;
    const state = { base, live: view.live, approvals: approvalsIn(view), now: clock.now() };
    return dueOf(head, known.get(key), state);
  };

  return {
    begin: (view, open) => {
      const subjects = subjectsOf(view, plannedPulls(open, wanted.all), []);
      const first = subjects.find((subject) => dueNow(subject, view).kind === 'now');
      if (first !== undefined) void plans.of(first, view);
    },
    planned: (pull) => known.get(keyOf(pull)) ?? null,
    unjudged: () => unjudgedAmong(known),
    forget: (pull) => {
      known.delete(keyOf(pull));
      plans.drop(keyOf(pull));
      wanted.add(pull);
    },
    notice: () => notice,
    tell: async (view, { pulls, groups }) => {
      const planned = plannedPulls(pulls, wanted.all);
      notice = noticeOf(pulls, planned);
      const subjects = subjectsOf(view, planned, groups);
      const due: (Ms | null)[] = [];
      const until = clock.now() + PASS_MS;
      let isPlanning = false;
      const one = async (subject: Subject): Promise<void> => {
        const when = dueNow(subject, view);
        if (when.kind === 'later') due.push(when.at);
        if (when.kind !== 'now') return tellReviews(context, { subject, view, known });
        if (isPlanning) return;
        if (clock.now() > until) due.push(clock.now() + 1);
        else isPlanning = !(await planOne(subject, view, until));
      };
      const keys = new Set(subjects.map(({ key }) => key));
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
      plans.keep(keys);
      for (const { number, state } of pulls) if (state === 'open') folded.delete(number);
      // What GitHub refuses of one keeps no other from being told.
      await tryEach(
        [
          ...subjects.map((subject) => () => one(subject)),
          ...pulls.filter(({ state }) => state !== 'open').map((pull) => () => fold(pull)),
        ],
        (tell) => tell(),
      );
      return earliest(due);
    },
  };
};

const createWanted = () => {
  const all = new Set<number>();
  return {
    all,
    add: (pull: number): void => {
      all.delete(pull);
      all.add(pull);
      const [oldest] = all;
      if (all.size > WANTED_MAX && oldest !== undefined) all.delete(oldest);
    },
  };
};

interface PlanTeller {
  readonly context: ForgeContext;
  readonly known: Map<string, PlannedPull>;
  readonly plans: ReturnType<typeof createPlans>;
  readonly wake: () => void;
}

/** False: the plan is still being made; the loop is woken once it is there. */
const planTeller =
  ({ context, known, plans, wake }: PlanTeller) =>
  async (subject: Subject, view: View, until: Ms): Promise<boolean> => {
    const { key } = subject;
    const made = plans.of(subject, view);
    const plan = await inTime(context.clock, made.plan, until);
    if (plan === null) {
      void made.plan.then(wake);
      return false;
    }
    const { behind, failure } = await askBehind(context, subject, plan);
    const about = { subject, before: known.get(key), ...queueOf(subject, known) };
    const told = await tellPlan(context, { ...about, view, plan, behind });
    known.set(key, { ...told, live: made.live });
    plans.drop(key);
    // The plan is told in any case; whose approvals could not be asked count for nobody.
    if (failure !== null) throw failure;
    return true;
  };

/** null: it was not there by then. */
const inTime = async (
  clock: ForgeContext['clock'],
  plan: Promise<PullPlan>,
  until: Ms,
): Promise<PullPlan | null> => {
  const made = new AbortController();
  const late = clock.sleepUntil(until, made.signal).then(() => null);
  const first = await Promise.race([plan, late]);
  made.abort(WOKEN);
  return first;
};

const noticeOf = (
  pulls: readonly PullRequest[],
  planned: readonly PullRequest[],
): string | null => {
  const open = pulls.filter(({ state }) => state === 'open').length;
  return open === planned.length
    ? null
    : `of ${open} open pull requests ${planned.length} are planned: the newest of the repository's ` +
        'own, then of forks. Comment `/purser plan` on another one, or close some';
};

const unjudgedAmong = (known: ReadonlyMap<string, PlannedPull>): string | null => {
  const [found] = [...known].filter(([, { unjudged: why }]) => why !== null);
  return found === undefined ? null : `who approved ${found[0]} is not known: ${found[1].unjudged}`;
};

interface Tell {
  readonly subject: Subject;
  readonly view: View;
  readonly plan: PullPlan;
  readonly behind: Behind | null;
  readonly before: PlannedPull | undefined;
  /** Of a merge group: what of it no owner has let through; absent: it is a pull request. */
  readonly queue?: (plan: PullPlan) => readonly OwnedChange[];
}

const queueOf = (
  { pull, queued }: Subject,
  known: ReadonlyMap<string, PlannedPull>,
): Pick<Tell, 'queue'> => {
  if (pull !== null) return {};
  const judged = queued.flatMap((number) => known.get(keyOf(number)) ?? []);
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

type Planned = Extract<PullPlan, { kind: 'planned' }>;

/** A review makes no plan anew: the plan is told again, with who has approved. */
const tellReviews = async (
  context: ForgeContext,
  { subject, view, known }: Pick<Tell, 'subject' | 'view'> & { known: Map<string, PlannedPull> },
): Promise<void> => {
  const before = known.get(subject.key);
  if (before === undefined || before.behind === null) return;
  const { plan, live, plannedAt } = before;
  const behind = await behindOf(context, subject, plan);
  if (JSON.stringify(behind) === JSON.stringify(before.behind)) return;
  const told = await tellPlan(context, { subject, view, plan, behind, before });
  known.set(subject.key, { ...told, live, plannedAt });
};

const askBehind = async (context: ForgeContext, subject: Subject, plan: PullPlan) => {
  try {
    return { behind: await behindOf(context, subject, plan), failure: null };
  } catch (failure) {
    return { behind: NOBODY, failure };
  }
};

/** Asked only where somebody owns what it changes; of a merge group its pull requests were asked. */
const behindOf = async (
  { forge }: ForgeContext,
  { pull }: Subject,
  plan: PullPlan,
): Promise<Behind | null> => {
  const owned = plan.kind === 'planned' ? plan.owned : undefined;
  if (owned === undefined || pull === null) return null;
  return forge.behind({ kind: 'pull', pull: pull.number }, teamsIn(owned));
};

/** Its check and comment, where they say something else than what stands there. */
const tellPlan = async (
  { forge, clock }: ForgeContext,
  { subject, view, plan, behind, before, queue }: Tell,
): Promise<PlannedPull> => {
  const { head, base, pull } = subject;
  const open = queue === undefined ? openOf(view, plan, behind) : queue(plan);
  const why = unjudged(open, behind?.unread);
  const words = { ...wordsOf(view), open, ...(why === null ? {} : { unjudged: why }) };
  const approvals = approvalsIn(view);
  const report: CheckReport = { ...planCheck(plan, words), kind: 'plan', commit: head };
  const cause = causeOf(before, { head, base, approvals, behind, plan });
  const told = before?.told ?? (await forge.check('plan', head));
  const isTold = told !== null && !isNews(told, report, cause);
  if (!isTold) await forge.writeCheck(report);
  const comment = pull === null ? null : pullComment(plan, words, forge.hasChecks);
  const isOld = (!isTold || before === undefined) && before?.comment !== comment;
  if (pull !== null && comment !== null && isOld) {
    await forge.writeComment({ pull: pull.number, body: comment, folded: false });
  }
  return {
    head,
    base,
    live: view.live,
    plan,
    plannedAt: clock.now(),
    approvals,
    behind,
    open,
    unjudged: why,
    told: isTold ? told : report,
    comment,
  };
};

/**
 * Nobody will act on it any more. A verdict stays as it is, and what waited for a person ends as
 * cancelled: with success, a pull request that is opened again could be merged before its new plan.
 */
const endCheck = async (
  { forge }: ForgeContext,
  { head, state }: PullRequest,
  known: CheckReport | null,
): Promise<void> => {
  const told = known?.commit === head ? known : await forge.check('plan', head);
  if (told === null) return;
  const isOpen = told.status !== 'completed' || told.conclusion === 'action_required';
  if (isOpen) await forge.writeCheck({ ...told, ...closedCheck(told, state === 'merged') });
};

const keyOf = (pull: number): string => `#${pull}`;

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

const subjectsOf = (
  { desired }: View,
  pulls: readonly PullRequest[],
  groups: ForgeState['groups'],
): readonly Subject[] => {
  const inQueue = groups.map(({ pull }) => pull);
  const isQueued = ({ number }: PullRequest): boolean => inQueue.includes(number);
  const ofPull = (pull: PullRequest): Subject => {
    const { number, head } = pull;
    return { key: keyOf(number), head, base: desired.commit.oid, pull, queued: [] };
  };
  return [
    // First: a group is judged by what is known of its pull requests.
    ...pulls.filter(isQueued).map(ofPull),
    ...groups.map(({ head, base }) => ({ key: head, head, base, pull: null, queued: inQueue })),
    ...pulls.filter((pull) => !isQueued(pull)).map(ofPull),
  ];
};
