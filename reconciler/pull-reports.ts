// The plan of each open pull request and merge group, told as a check and a comment.
// In: a view and what the forge says. Out: checks on the newest commit of each, one comment a pull
// request. Not here: when a plan is made anew (forge/pulls), the plan (edge), words (render).

import type { CheckReport, ForgeState, PullRequest } from '../schema/forge.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import { dueOf, isNews, plannedPulls, type PlannedPull } from './forge/pulls.ts';
import { earliest, type ForgeContext } from './forge-context.ts';
import { closedComment, pullComment } from './render/comment.ts';
import { planCheck } from './render/plan-check.ts';
import { visibilityOf } from './render/visibility.ts';

export interface PullReports {
  readonly tell: (view: View, seen: ForgeState) => Promise<Ms | null>;
  /** What was planned last; null: nothing yet. */
  readonly planned: (pull: number) => PlannedPull | null;
  /** Its plan is made anew with the next look, whatever has changed. */
  readonly forget: (pull: number) => void;
}

/** A pull request, or a commit that a merge queue asks about. */
interface Subject {
  readonly key: string;
  readonly head: string;
  readonly base: string;
  readonly pull: PullRequest | null;
}

export const createPullReports = (context: ForgeContext): PullReports => {
  const { forge, clock } = context;
  const known = new Map<string, PlannedPull>();
  const folded = new Set<number>();

  const planOne = async (subject: Subject, view: View): Promise<void> => {
    const { key, head, base, pull } = subject;
    const before = known.get(key);
    const { live, desired } = view;
    const fromFork = pull?.fromFork ?? false;
    const plan = await context.plans.plan({ base, head, live, fromFork });
    const words = wordsOf(view);
    const report: CheckReport = { ...planCheck(plan, words), kind: 'plan', commit: head };
    const isSameInput = before?.head === head && before.base === base;
    const cause = isSameInput && before.approvals.join() === approvalsIn(view).join();
    const told = before?.told ?? (await forge.check('plan', head));
    const isTold = told !== null && !isNews(told, report, cause ? 'cluster' : 'change');
    if (!isTold) await forge.writeCheck(report);
    const body = pull === null ? null : pullComment(plan, words);
    if (pull !== null && body !== null && (!isTold || before === undefined)) {
      if (before?.comment !== body) {
        await forge.writeComment({ pull: pull.number, body, folded: false });
      }
    }
    known.set(key, {
      head,
      base,
      live,
      plan,
      plannedAt: clock.now(),
      approvals: desired.approvals.map(({ id }) => id),
      told: isTold ? told : report,
      comment: body,
    });
  };

  const fold = async (pull: PullRequest): Promise<void> => {
    if (folded.has(pull.number)) return;
    const body = closedComment(pull.state === 'merged');
    await forge.writeComment({ pull: pull.number, body, folded: true });
    folded.add(pull.number);
    known.delete(keyOf(pull.number));
  };

  return {
    planned: (pull) => known.get(keyOf(pull)) ?? null,
    forget: (pull) => known.delete(keyOf(pull)),
    tell: async (view, { pulls, groups }) => {
      const subjects = subjectsOf(view, plannedPulls(pulls), groups);
      const due: (Ms | null)[] = [];
      for (const subject of subjects) {
        const now = clock.now();
        const { live } = view;
        const { base } = subject;
        const state = { base, live, approvals: approvalsIn(view), now };
        const when = dueOf(subject.head, known.get(subject.key), state);
        if (when.kind === 'now') await planOne(subject, view);
        if (when.kind === 'later') due.push(when.at);
      }
      for (const pull of pulls) {
        if (pull.state === 'open') folded.delete(pull.number);
        else await fold(pull);
      }
      const keys = new Set(subjects.map(({ key }) => key));
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
      return earliest(due);
    },
  };
};

const keyOf = (pull: number): string => `#${pull}`;

const approvalsIn = ({ desired }: View): readonly string[] => desired.approvals.map(({ id }) => id);

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
): readonly Subject[] => [
  ...groups.map(({ head, base }) => ({ key: head, head, base, pull: null })),
  ...pulls.map((pull) => {
    const { number, head } = pull;
    return { key: keyOf(number), head, base: desired.commit.oid, pull };
  }),
];
