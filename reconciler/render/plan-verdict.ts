// Whether a change may be merged: its plan judged.
// In: the plan of a merge, slots that approvals let go of. Out: a conclusion and what it rests on.
// A required check passes with success only. Not here: the words.

import type { OwnedChange } from '../../schema/behind.ts';
import type { Conclusion } from '../../schema/forge.ts';
import type { Blocked, WaitReason } from '../../schema/plan.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { Visibility } from './visibility.ts';
import { besideApprovals } from './words.ts';

export interface PlanContext {
  readonly cluster: string;
  /** The cluster's directory in the repository, '' for its root. */
  readonly directory: string;
  /** Slots that approvals let go of, of persons whose approval counts (rules 8.2). */
  readonly approved: ReadonlySet<string>;
  /** Changed files that no owner has let through; absent: none. */
  readonly open?: readonly OwnedChange[];
  /** Why nobody can say whether owners let them through; absent: it is known. */
  readonly unjudged?: string;
  /** Absent: all but log lines. */
  readonly visibility?: Visibility;
  /** Where it is read: that says where *Approve* is. Absent: in the check. */
  readonly place?: PlanPlace;
}

/** `only-comment`: where there are no checks there are no buttons either. */
export type PlanPlace = 'check' | 'comment' | 'only-comment';

export type Planned = Extract<PullPlan, { kind: 'planned' }>;

export interface Verdict {
  readonly conclusion: Exclude<Conclusion, 'cancelled'>;
  /** Commits that the signature policy would not accept. */
  readonly refused: number;
  /** Problems of files that the change brings in, warnings left out. */
  readonly errors: number;
  /** Jobs with copies that fit on no node or into no quota. */
  readonly unplaced: number;
  /** Jobs that cannot run for another reason: no image, a volume that is elsewhere. */
  readonly waiting: number;
  /** Copies whose removal nobody approved yet. */
  readonly uncovered: number;
  /** Changed files that no owner has let through. */
  readonly unowned: number;
  /** Copies that go for good with leave. */
  readonly approved: number;
  /** Wants of the change that will not be met. */
  readonly unmet: readonly Blocked[];
  /** All that waits otherwise: for promotion, for other rollouts. No harm, but to be known. */
  readonly later: readonly Blocked[];
}

export const judge = (
  { summary, effects, refusals = [] }: Pick<Planned, 'summary' | 'effects' | 'refusals'>,
  { approved, open = [] }: Pick<PlanContext, 'approved' | 'open'>,
): Verdict => {
  const blocked = besideApprovals(summary).filter(
    (one) => one.kind !== 'waiting' || (one.why !== 'stopped-sync' && one.why !== 'guard'),
  );
  const errors = summary.problems.filter(({ severity }) => severity === 'error').length;
  // A file with an error holds its job: that is said by the error.
  const isNews = (one: Blocked): boolean =>
    isUnmet(one) && !(errors > 0 && one.kind === 'waiting' && one.why === 'held');
  const unmet = blocked.filter(isNews);
  const isPlace = (one: Blocked): boolean => one.kind === 'no-node' || one.why === 'quota';
  const unplaced = jobsOf(unmet.filter(isPlace));
  const waiting = jobsOf(unmet.filter((one) => !isPlace(one)));
  const isFine = errors + unmet.length + refusals.length === 0 && summary.stopped === null;
  // The plan was made with the approvals that count: what it still guards has none.
  const uncovered = new Set(summary.guarded.flatMap(({ slots }) => slots)).size;
  return {
    conclusion: !isFine ? 'failure' : uncovered + open.length > 0 ? 'action_required' : 'success',
    refused: refusals.length,
    errors,
    unplaced,
    waiting,
    uncovered,
    unowned: open.length,
    approved: effects.slots.filter((slot) => approved.has(slot)).length,
    unmet,
    later: blocked.filter((one) => !isNews(one)),
  };
};

const jobsOf = (blocked: readonly Blocked[]): number => new Set(blocked.map(({ job }) => job)).size;

const isUnmet = (one: Blocked): boolean => one.kind === 'no-node' || UNMET[one.why];

/** True: it does not pass by itself once this change is merged. */
const UNMET: Readonly<Record<WaitReason, boolean>> = {
  held: true,
  'unresolved-image': true,
  'image-fetch': false,
  'max-parallel': false,
  'max-deployments': false,
  'min-healthy-time': false,
  canary: false,
  paused: false,
  stalled: false,
  failed: false,
  degraded: false,
  'reschedule-delay': false,
  'volume-home': true,
  'volume-node-lost': true,
  'volume-drain': false,
  singleton: false,
  guard: false,
  'mass-loss': false,
  'node-unknown': false,
  'node-unseen': false,
  'no-replacement-place': true,
  quota: true,
  rename: false,
  ledger: false,
  'stopped-sync': false,
  'runner-ahead': false,
  'revert-impossible': false,
};
