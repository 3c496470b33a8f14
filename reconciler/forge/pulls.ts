// Which pull requests are planned anew, and whether what the plan says is worth telling.
// In: a pull request, what is known of it since the last look, the branch and the cluster now. Out:
// decisions. A flap of a node is no news: only where conclusion or counts change is it told, and at
// most every REPLAN_MS. Not here: the plan (edge), its words (reconciler/render).

import type { Behind, OwnedChange } from '../../schema/behind.ts';
import type { CheckReport, PullRequest } from '../../schema/forge.ts';
import type { LiveState } from '../../schema/live.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { Ms } from '../../schema/spec.ts';

/** What was planned and told last, in this process; GitHub knows the rest. */
export interface PlannedPull {
  readonly head: string;
  readonly base: string;
  readonly live: LiveState;
  readonly plannedAt: Ms;
  readonly plan: PullPlan;
  /** Approvals that counted, by id. */
  readonly approvals: readonly string[];
  /** Who was behind it, where somebody owns what it changes; null: nobody does. */
  readonly behind: Behind | null;
  /** What of it no owner has let through. */
  readonly open: readonly OwnedChange[];
  /** Why nobody can say whether owners let it through; null: it is known. */
  readonly unjudged: string | null;
  readonly told: CheckReport;
  readonly comment: string | null;
}

export interface PullNow {
  readonly base: string;
  readonly live: LiveState;
  /** Open approvals, by id. */
  readonly approvals: readonly string[];
  readonly now: Ms;
}

/** The cluster's own changes make a pull request's plan anew at most this often (GitHub's limits). */
export const REPLAN_MS = 5 * 60 * 1000;
/** Open pull requests that are planned. More would not fit GitHub's hourly limit. */
export const PULLS_PLANNED = 50;

/**
 * `now`: it or the branch moved; `later`: the cluster did, wait until `at`; `no`: nothing changed.
 */
export type Due =
  | { readonly kind: 'now' }
  | { readonly kind: 'later'; readonly at: Ms }
  | { readonly kind: 'no' };

export const dueOf = (
  head: string,
  known: PlannedPull | undefined,
  { base, live, approvals, now }: PullNow,
): Due => {
  if (known === undefined || known.head !== head || known.base !== base) return { kind: 'now' };
  if (known.approvals.join() !== approvals.join()) return { kind: 'now' };
  if (known.live === live) return { kind: 'no' };
  const at = known.plannedAt + REPLAN_MS;
  return at <= now ? { kind: 'now' } : { kind: 'later', at };
};

/** Slots that an approval of the plan lets go of. */
export const lettable = (plan: PullPlan): readonly string[] =>
  plan.kind === 'planned' ? plan.effects.slots : [];

/** What has moved under a plan that is told again; `change` also: an approval lets others go. */
export type Cause = 'change' | 'cluster';

export const causeOf = (
  before: PlannedPull | undefined,
  now: Pick<PlannedPull, 'head' | 'base' | 'approvals' | 'behind' | 'plan'>,
): Cause =>
  before?.head === now.head &&
  before.base === now.base &&
  before.approvals.join() === now.approvals.join() &&
  JSON.stringify(before.behind) === JSON.stringify(now.behind) &&
  // What an approval would record must have been shown.
  lettable(before.plan).join() === lettable(now.plan).join()
    ? 'cluster'
    : 'change';

/** What its *Approve* would let go; undefined: it has none. */
export const coversIn = ({ buttons }: Pick<CheckReport, 'buttons'>): string | undefined =>
  buttons.find(({ id }) => id === 'approve')?.covers;

/** After a change everything counts; after the cluster's own moves only conclusion and counts. */
export const isNews = (before: CheckReport, after: CheckReport, cause: Cause): boolean => {
  const isOther =
    before.title !== after.title ||
    before.conclusion !== after.conclusion ||
    coversIn(before) !== coversIn(after);
  if (cause === 'cluster') return isOther;
  return (
    isOther ||
    before.commit !== after.commit ||
    before.summary !== after.summary ||
    before.text !== after.text
  );
};

/**
 * As far as they are planned: those that somebody asked for, the repository's own, those of forks,
 * each the newest first. So strangers who open a thousand keep nobody's own from being planned.
 */
export const plannedPulls = (
  pulls: readonly PullRequest[],
  wanted: ReadonlySet<number> = new Set(),
): readonly PullRequest[] => {
  const rank = ({ number, fromFork }: PullRequest): number =>
    wanted.has(number) ? 0 : fromFork ? 2 : 1;
  return pulls
    .filter(({ state }) => state === 'open')
    .toSorted((a, b) => rank(a) - rank(b) || b.number - a.number)
    .slice(0, PULLS_PLANNED);
};
