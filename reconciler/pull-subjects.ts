// What is planned of a forge: pull requests and merge groups, and since when each commit waits.
// In: a view, what the forge says, what was asked for. Out: subjects, and whose turn it is. Kept here:
// when a commit was seen first. Not here: the order itself (forge/pull-turns), telling (pull-reports).

import type { ForgeState, PullRequest } from '../schema/forge.ts';
import type { LiveState } from '../schema/live.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import { byTurn, isPressing, type Waiting } from './forge/pull-turns.ts';
import { dueOf, plannedPulls, pullsBeyond } from './forge/pulls.ts';
import type { PlannedPull, PullNow } from './forge/pulls.ts';

/** A pull request, or a commit that a merge queue asks about. */
export interface Subject {
  readonly key: string;
  readonly head: string;
  readonly base: string;
  readonly pull: PullRequest | null;
  /** Of a merge group: pull requests in its queue. */
  readonly queued: readonly number[];
  /** A merge queue waits for it. */
  readonly isQueued: boolean;
  /** More are open than are planned. */
  readonly isBeyond: boolean;
}

export const keyOf = (pull: number): string => `#${pull}`;

export const approvalsIn = ({ desired }: View): readonly string[] =>
  desired.approvals.map(({ id }) => id);

/** Subjects in the order in which a merge queue and people who asked want them. */
export const subjectsOf = (
  { desired }: View,
  { pulls, groups }: Pick<ForgeState, 'pulls' | 'groups'>,
  wanted: ReadonlySet<number>,
): readonly Subject[] => {
  const inQueue = groups.map(({ pull }) => pull);
  const isQueued = ({ number }: PullRequest): boolean => inQueue.includes(number);
  const ofPull = (pull: PullRequest, isBeyond = false): Subject => ({
    key: keyOf(pull.number),
    head: pull.head,
    base: desired.commit.oid,
    pull,
    queued: [],
    isQueued: isQueued(pull),
    isBeyond,
  });
  const group = ({ head, base }: ForgeState['groups'][number]): Subject => {
    const rest = { pull: null, queued: inQueue, isQueued: true, isBeyond: false };
    return { key: head, head, base, ...rest };
  };
  const planned = plannedPulls(pulls, wanted);
  return [
    // First: a group is judged by what is known of its pull requests.
    ...planned.filter(isQueued).map((pull) => ofPull(pull)),
    ...groups.map(group),
    ...planned.filter((pull) => !isQueued(pull)).map((pull) => ofPull(pull)),
    ...pullsBeyond(pulls, wanted).map((pull) => ofPull(pull, true)),
  ];
};

/** A plan that is to be made now, or as soon as there is room. */
export interface Turn {
  readonly subject: Subject;
  readonly waiting: Waiting;
  readonly isPressing: boolean;
}

export interface Turns {
  readonly turns: readonly Turn[];
  /** When others become due. */
  readonly later: readonly Ms[];
}

export interface TurnsAsk {
  readonly subjects: readonly Subject[];
  readonly known: ReadonlyMap<string, PlannedPull>;
  readonly wanted: ReadonlySet<number>;
  readonly now: Ms;
}

export const createTurnsOf = () => {
  const heads = createHeads();
  const live = createNames();
  return {
    /** The name of a state of the cluster; it is not kept from being forgotten. */
    live,
    /** A look is over: what comes after it is a push. */
    seen: heads.seen,
    of: (view: View, { subjects, known, wanted, now }: TurnsAsk): Turns => {
      const state = { live: live(view.live), approvals: approvalsIn(view), now };
      const turns: Turn[] = [];
      const later: Ms[] = [];
      for (const subject of subjects) {
        const before = known.get(subject.key);
        const first = heads.firstSeen(subject, now);
        const { base, isBeyond } = subject;
        const due = dueOf(subject.head, before, { ...state, base, isBeyond } satisfies PullNow);
        if (due.kind === 'later') later.push(due.at);
        if (due.kind !== 'push' && due.kind !== 'again') continue;
        const isPush = due.kind === 'push';
        const waiting = {
          ...first,
          of: isBeyond ? ('beyond' as const) : subject.pull?.fromFork ? ('fork' as const) : 'own',
          isPush,
          isAsked: isAsked(subject, before, wanted) || (due.kind === 'again' && due.isApproved),
          since: isPush ? first.since : (before?.plannedAt ?? 0),
          updatedAt: subject.pull?.updatedAt ?? '',
          number: subject.pull?.number ?? 0,
        } as const;
        turns.push({ subject, waiting, isPressing: isPressing(waiting) });
      }
      heads.keep(subjects);
      return { turns: turns.toSorted((a, b) => byTurn(a.waiting, b.waiting)), later };
    },
  };
};

const isAsked = (
  { pull, isQueued }: Subject,
  before: PlannedPull | undefined,
  wanted: ReadonlySet<number>,
): boolean => isQueued || (before === undefined && pull !== null && wanted.has(pull.number));

interface Head {
  readonly head: string;
  readonly since: Ms;
  readonly isOld: boolean;
}

const createHeads = () => {
  const heads = new Map<string, Head>();
  /** What the first look shows was there before. */
  let isFirst = true;
  return {
    seen: (): void => void (isFirst = false),
    firstSeen: ({ key, head }: Subject, now: Ms): Pick<Head, 'since' | 'isOld'> => {
      const before = heads.get(key);
      if (before?.head === head) return before;
      const fresh = { head, since: now, isOld: isFirst };
      heads.set(key, fresh);
      return fresh;
    },
    keep: (subjects: readonly Subject[]): void => {
      const keys = new Set(subjects.map(({ key }) => key));
      for (const key of heads.keys()) if (!keys.has(key)) heads.delete(key);
    },
  };
};

/** Numbers in the order of asking: two states are compared, none of a thousand is kept for it. */
const createNames = (): ((live: LiveState) => number) => {
  const names = new WeakMap<LiveState, number>();
  let last = 0;
  return (live) => {
    const known = names.get(live);
    if (known !== undefined) return known;
    last += 1;
    names.set(live, last);
    return last;
  };
};
