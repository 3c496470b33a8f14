// Which pull requests are planned anew, and whether what the plan says is worth telling.
// In: a pull request, what is known of it since the last look, the branch and the cluster now. Out:
// decisions. A flap of a node is no news: only where conclusion or counts change is it told, and at
// most every REPLAN_MS. Not here: whose turn it is (pull-turns), the plan (edge), its words (render).

import type { Behind, OwnedChange } from '../../schema/behind.ts';
import type { CheckReport, PullRequest } from '../../schema/forge.ts';
import { hashOf } from '../../schema/hash.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { Ms } from '../../schema/spec.ts';

/** What was planned and told last, in this process; GitHub knows the rest. */
export interface PlannedPull {
  readonly head: string;
  readonly base: string;
  /** Names the state of the cluster that was planned with. */
  readonly live: number;
  readonly plannedAt: Ms;
  readonly plan: PlanKept;
  /** To be told again when somebody reviews it; null: nobody owns what it changes, or it is large. */
  readonly whole: PullPlan | null;
  /** Approvals that counted, by id. */
  readonly approvals: readonly string[];
  /** Who was behind it, where somebody owns what it changes; null: nobody does. */
  readonly behind: Behind | null;
  /** What of it no owner has let through. */
  readonly open: readonly OwnedChange[];
  /** Why nobody can say whether owners let it through; null: it is known. */
  readonly unjudged: string | null;
  readonly told: Told;
  /** Names the comment that was written; null: none was. */
  readonly comment: string | null;
  /** More are open than are planned: it was told that. */
  readonly isBeyond: boolean;
}

type Planned = Extract<PullPlan, { kind: 'planned' }>;

/** Of a plan what is asked later: a thousand whole ones would not fit into the memory. */
export type PlanKept =
  | Exclude<PullPlan, Planned>
  | Pick<Planned, 'kind' | 'base' | 'head' | 'effects' | 'owned'>;

export const keptOf = (plan: PullPlan): PlanKept => {
  if (plan.kind !== 'planned') return plan;
  const { kind, base, head, effects, owned } = plan;
  return { kind, base, head, effects, ...(owned === undefined ? {} : { owned }) };
};

/** Changed jobs of a plan that is kept whole: a larger one is made anew when it is reviewed. */
const WHOLE_JOBS = 200;

export const wholeOf = (plan: PullPlan, behind: Behind | null): PullPlan | null =>
  behind === null || (plan.kind === 'planned' && plan.summary.jobs.length > WHOLE_JOBS)
    ? null
    : plan;

/** What a check says, as far as it is compared. */
export interface Told extends Pick<CheckReport, 'commit' | 'status' | 'title' | 'conclusion'> {
  /** Of summary and text, but for the commits and the snapshot that it was made from. */
  readonly words: string;
  /** Of all of it. */
  readonly all: string;
  /** What its *Approve* would let go; undefined: it has none. */
  readonly covers: string | undefined;
}

/** A commit or a snapshot as summaries name them. */
const NAMED = /`[0-9a-f]{12}`/g;

export const toldOf = ({ commit, status, title, conclusion, ...said }: CheckReport): Told => {
  const { summary, text } = said;
  const words = hashOf([summary.replaceAll(NAMED, ''), text]);
  const all = hashOf([summary, text]);
  return { commit, status, title, conclusion, words, all, covers: coversIn(said) };
};

export interface PullNow {
  readonly base: string;
  readonly live: number;
  /** Open approvals, by id. */
  readonly approvals: readonly string[];
  readonly now: Ms;
  /** More are open than are planned. */
  readonly isBeyond?: boolean;
}

/** The cluster's own changes make a pull request's plan anew at most this often (GitHub's limits). */
export const REPLAN_MS = 5 * 60 * 1000;
/**
 * Open pull requests that are planned. Each is made again after a merge: a thousand take the thread
 * five minutes, and GitHub four hours to be told where all of them changed.
 */
export const PULLS_PLANNED = 1000;

/**
 * `push`: nobody has told this commit's plan yet; `again`: the branch moved, or somebody approved,
 * or the cluster moved long ago; `later`: the cluster did, wait until `at`; `no`: nothing changed.
 */
export type Due =
  | { readonly kind: 'push' }
  | { readonly kind: 'again'; readonly isApproved: boolean }
  | { readonly kind: 'later'; readonly at: Ms }
  | { readonly kind: 'no' };

export const dueOf = (
  head: string,
  known: PlannedPull | undefined,
  { base, live, approvals, now, isBeyond = false }: PullNow,
): Due => {
  if (known === undefined || known.head !== head) return { kind: 'push' };
  if (known.isBeyond !== isBeyond) return { kind: 'push' };
  if (isBeyond) return { kind: 'no' };
  if (known.approvals.join() !== approvals.join()) {
    return { kind: 'again', isApproved: known.told.conclusion === 'action_required' };
  }
  if (known.base !== base) return { kind: 'again', isApproved: false };
  if (known.live === live) return { kind: 'no' };
  const at = known.plannedAt + REPLAN_MS;
  return at <= now ? { kind: 'again', isApproved: false } : { kind: 'later', at };
};

/** Slots that an approval of the plan lets go of. */
export const lettable = (plan: PlanKept): readonly string[] =>
  plan.kind === 'planned' ? plan.effects.slots : [];

/**
 * What has moved under a plan that is told again; `change` also: an approval lets others go;
 * `asked`: somebody wants to see it made anew.
 */
export type Cause = 'asked' | 'change' | 'cluster';

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

/**
 * After a change everything counts that it says, but not which commit of the branch it was made
 * from: each merge would be told to all others. After the cluster's own moves only conclusion,
 * counts and what may be approved do.
 */
export const isNews = (before: Told, after: Told, cause: Cause): boolean => {
  const isOther =
    before.title !== after.title ||
    before.conclusion !== after.conclusion ||
    before.covers !== after.covers;
  if (cause === 'cluster') return isOther;
  const isSame = before.commit === after.commit && before.words === after.words;
  return isOther || !isSame || (cause === 'asked' && before.all !== after.all);
};

/**
 * As far as they are planned: those that somebody asked for, the repository's own, those of forks,
 * each the newest first. So strangers who open a thousand keep nobody's own from being planned.
 */
export const plannedPulls = (
  pulls: readonly PullRequest[],
  wanted: ReadonlySet<number> = new Set(),
): readonly PullRequest[] => openPulls(pulls, wanted).slice(0, PULLS_PLANNED);

/** Open ones that are told why there is no plan of them. */
export const pullsBeyond = (
  pulls: readonly PullRequest[],
  wanted: ReadonlySet<number> = new Set(),
): readonly PullRequest[] => openPulls(pulls, wanted).slice(PULLS_PLANNED);

const openPulls = (
  pulls: readonly PullRequest[],
  wanted: ReadonlySet<number>,
): readonly PullRequest[] => {
  const rank = ({ number, fromFork }: PullRequest): number =>
    wanted.has(number) ? 0 : fromFork ? 2 : 1;
  return pulls
    .filter(({ state }) => state === 'open')
    .toSorted((a, b) => rank(a) - rank(b) || b.number - a.number);
};
