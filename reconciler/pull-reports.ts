// The plan of each open pull request and merge group, told as a check and a comment.
// In: a view and what the forge says. Out: checks on the newest commit of each, one comment a pull
// request. Not here: whose turn it is (pull-subjects), plans being made (pull-made), what is told of
// one (pull-telling), comments (pull-comments), reviews (pull-reviews).

import type { ForgeState, PullRequest } from '../schema/forge.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { Ms } from '../schema/spec.ts';
import { WOKEN } from './config.ts';
import type { View } from './cycle.ts';
import { againAt, NOTHING_SPENT, PULLS_AT_ONCE, spentMore } from './forge/pull-turns.ts';
import { PULLS_PLANNED, type PlannedPull } from './forge/pulls.ts';
import { earliest, tryEach, type ForgeContext } from './forge-context.ts';
import { createComments, createFolds, type Comments } from './pull-comments.ts';
import type { PlanTelling } from './ports.ts';
import { createMade } from './pull-made.ts';
import { createReviews } from './pull-reviews.ts';
import { createTurnsOf, keyOf, subjectsOf, type Subject, type Turn } from './pull-subjects.ts';
import { many } from './render/words.ts';
import { askBehind, queueOf, tellPlan } from './pull-telling.ts';

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

/** How the loop is woken, and whether it was since it began to look. */
export interface Waking {
  readonly wake: () => void;
  readonly isWoken: () => boolean;
}

/**
 * Commits and people are told of between: a pull request whose plan takes a minute, and fifty that
 * are opened at once, hold up nobody but themselves.
 */
const PASS_MS = 3000;
/** Pull requests that somebody asked to have planned; of more the oldest wish is forgotten. */
const WANTED_MAX = 10;

export const createPullReports = (context: ForgeContext, waking: Waking): PullReports => {
  const { clock } = context;
  const known = new Map<string, PlannedPull>();
  const wanted = createWanted();
  const plans = createMade(context, known);
  const turnsOf = createTurnsOf();
  const pace = createPace(context);
  const comments = createComments(context, known);
  const folds = createFolds(context, known, comments);
  const teller = { context, known, plans, comments, wake: waking.wake, nameOf: turnsOf.live };
  const reviews = createReviews(context, known, comments);
  let open = 0;

  const due = (view: View, subjects: readonly Subject[]) =>
    turnsOf.of(view, { subjects, known, wanted: wanted.all, now: clock.now() });

  return {
    begin: (view, pullsOpen) => {
      const subjects = subjectsOf(view, { pulls: pullsOpen, groups: [] }, wanted.all);
      const { turns } = due(view, subjects);
      const first = turns.find((turn) => pace.readyAt(turn, subjects.length) <= clock.now());
      if (first !== undefined) void plans.of(first.subject, view);
    },
    planned: (pull) => known.get(keyOf(pull)) ?? null,
    unjudged: () => unjudgedAmong(known),
    forget: (pull) => {
      known.delete(keyOf(pull));
      plans.drop(keyOf(pull));
      wanted.add(pull);
    },
    notice: () => noticeOf(open, comments.waiting()),
    tell: async (view, seen) => {
      const subjects = subjectsOf(view, seen, wanted.all);
      open = seen.pulls.filter(({ state }) => state === 'open').length;
      const { turns, later } = due(view, subjects);
      turnsOf.seen();
      const ahead: (Ms | null)[] = [...later];
      const keys = new Set(subjects.map(({ key }) => key));
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
      plans.keep(keys);
      const until = clock.now() + PASS_MS;
      const pass = createPass(
        { teller, pace, waking },
        { view, until, many: subjects.length, ahead },
      );
      // What GitHub refuses of one keeps no other from being told.
      await tryEach<() => Promise<unknown>>(
        [
          ...turns.map((turn) => () => pass.take(turn)),
          // Of a pass whose time is over it says when to go on.
          async () => ahead.push(pass.isOver() ? null : await comments.writeRest(until)),
          () => reviews.tell(view, { seen, subjects, turns }),
          ...folds.of(seen.pulls, ahead),
        ],
        async (tell) => void (await tell()),
      );
      return earliest(ahead);
    },
  };
};

interface PassParts {
  readonly teller: Teller;
  readonly pace: ReturnType<typeof createPace>;
  readonly waking: Waking;
}

interface PassAsk {
  readonly view: View;
  readonly until: Ms;
  /** Pull requests and groups in all. */
  readonly many: number;
  /** When there is more to do is added to it. */
  readonly ahead: (Ms | null)[];
}

/** Plans in their order, until the time of one pass is over, or somebody else waits. */
const createPass = ({ teller, pace, waking }: PassParts, ask: PassAsk) => {
  const { clock } = teller.context;
  const { view, until, many, ahead } = ask;
  let isOver = false;
  let made = 0;
  return {
    isOver: (): boolean => isOver,
    take: async (turn: Turn): Promise<void> => {
      if (isOver) return;
      const at = pace.readyAt(turn, many);
      if (at > clock.now()) return void ahead.push(at);
      const mayYield = made > 0 && tellingOf(turn) !== 'push' && waking.isWoken();
      if (clock.now() > until || mayYield) {
        isOver = true;
        return void ahead.push(clock.now() + 1);
      }
      made += 1;
      const took = await planOne(teller, { turn, view, until });
      if (took === null) isOver = true;
      else pace.took(turn, took);
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

/** When a plan may be made: within GitHub's limits, and those made again within their time. */
const createPace = ({ forge, clock }: ForgeContext) => {
  let spent = NOTHING_SPENT;
  /** While there is none, it need not be worked out a thousand times. */
  const room = { push: 0, plan: 0 };
  const roomAt = (of: PlanTelling): Ms =>
    room[of] > clock.now() ? room[of] : (room[of] = forge.roomAt(of));
  const isFree = ({ isPressing, waiting }: Turn): boolean => isPressing || waiting.of === 'beyond';
  return {
    readyAt: (turn: Turn, subjects: number): Ms => {
      const at = roomAt(tellingOf(turn));
      const isPaced = subjects > PULLS_AT_ONCE && !isFree(turn);
      return isPaced ? Math.max(at, againAt(spent)) : at;
    },
    took: (turn: Turn, ms: Ms): void => {
      if (!isFree(turn)) spent = spentMore(spent, ms, clock.now());
    },
  };
};

/** A stranger's may wait: they open as many as they like. */
const tellingOf = ({ isPressing, waiting }: Turn): PlanTelling =>
  isPressing && (waiting.of === 'own' || waiting.isAsked) ? 'push' : 'plan';

interface Teller {
  readonly context: ForgeContext;
  readonly known: Map<string, PlannedPull>;
  readonly plans: ReturnType<typeof createMade>;
  readonly comments: Comments;
  readonly wake: () => void;
  readonly nameOf: (live: View['live']) => number;
}

interface PlanAsk extends Pick<PassAsk, 'view' | 'until'> {
  readonly turn: Turn;
}

/** What the plan took; null: it is still being made, and the loop is woken once it is there. */
const planOne = async (
  { context, known, plans, comments, wake, nameOf }: Teller,
  { turn, view, until }: PlanAsk,
): Promise<Ms | null> => {
  const { subject, waiting } = turn;
  const { key, isBeyond } = subject;
  const made = plans.of(subject, view);
  const plan = await inTime(context.clock, made.plan, until);
  if (plan === null) {
    void made.plan.then(wake);
    return null;
  }
  const { behind, failure } = await askBehind(context, subject, plan);
  const before = known.get(key);
  const { queue } = queueOf(subject, (pull) => known.get(keyOf(pull)) ?? null);
  const isAsked = before === undefined && waiting.isAsked && subject.pull !== null;
  const about = { subject, before, isAsked, of: tellingOf(turn) };
  const asked = { ...about, view, plan, behind, ...(queue === undefined ? {} : { queue }) };
  const { told, comment } = await tellPlan(context, asked);
  const live = nameOf(made.live);
  known.set(key, { ...told, live, isBeyond, comment: before?.comment ?? null });
  plans.drop(key);
  // Written once no check is due: a merge waits for those, and GitHub's limits are one for both.
  if (comment !== null) comments.put(key, subject.pull?.number ?? 0, comment);
  // The plan is told in any case; whose approvals could not be asked count for nobody.
  if (failure !== null) throw failure;
  return made.took() ?? 0;
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

const noticeOf = (open: number, comments: number): string | null => {
  const beyond = open - PULLS_PLANNED;
  if (beyond > 0) {
    const most = PULLS_PLANNED.toLocaleString('en');
    return (
      `of ${open.toLocaleString('en')} open pull requests ${most} are planned: the newest of the ` +
      "repository's own, then of forks. Comment `/purser plan` on another one, or close some"
    );
  }
  return comments === 0
    ? null
    : `${many(comments, 'comment')} on pull requests wait for the limits of the forge`;
};

const unjudgedAmong = (known: ReadonlyMap<string, PlannedPull>): string | null => {
  const [found] = [...known].filter(([, { unjudged: why }]) => why !== null);
  return found === undefined ? null : `who approved ${found[0]} is not known: ${found[1].unjudged}`;
};
