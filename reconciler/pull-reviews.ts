// Who has approved since: asked of the forge for pull requests whose files somebody owns.
// In: what is known of them, a look. Out: checks told again, without their plan being made anew. Not
// here: what an approval counts (schema/behind), the telling (pull-telling).

import type { ForgeState } from '../schema/forge.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { PlannedPull } from './forge/pulls.ts';
import { tryEach, type ForgeContext } from './forge-context.ts';
import type { Comments } from './pull-comments.ts';
import type { Subject, Turn } from './pull-subjects.ts';
import { behindOf, tellPlan } from './pull-telling.ts';

/**
 * Asked about after one look: each is some four requests. Of more, those that something was done on
 * since, and then those that were asked about longest ago.
 */
const REVIEWS_A_LOOK = 50;

export interface Reviews {
  readonly tell: (view: View, look: Look) => Promise<void>;
}

interface Look {
  readonly seen: ForgeState;
  readonly subjects: readonly Subject[];
  /** Are asked about with their plans. */
  readonly turns: readonly Turn[];
}

interface Asked {
  readonly at: Ms;
  readonly updatedAt: string;
}

export const createReviews = (
  context: ForgeContext,
  known: Map<string, PlannedPull>,
  comments: Comments,
): Reviews => {
  const { forge, clock } = context;
  const asked = new Map<string, Asked>();
  let last: ForgeState | null = null;

  const one = async (view: View, subject: Subject, before: PlannedPull): Promise<void> => {
    const { key, pull } = subject;
    asked.set(key, { at: clock.now(), updatedAt: pull?.updatedAt ?? '' });
    const behind = await behindOf(context, subject, before.plan);
    if (JSON.stringify(behind) === JSON.stringify(before.behind)) return;
    // Too large to be kept: it is made anew.
    if (before.whole === null) return void known.delete(key);
    const about = { subject, view, plan: before.whole, behind, before, of: 'push' } as const;
    const { told, comment } = await tellPlan(context, about);
    const { live, plannedAt, isBeyond } = before;
    known.set(key, { ...told, live, plannedAt, isBeyond, comment: before.comment });
    if (comment === null) return;
    comments.put(key, pull?.number ?? 0, comment);
    await comments.write(key);
  };

  return {
    tell: async (view, { seen, subjects, turns }) => {
      // The same look again: the cluster moved, and nobody has reviewed since.
      if (seen === last) return;
      last = seen;
      const due = new Set(turns.map(({ subject }) => subject.key));
      const owned = subjects.filter(({ key }) => {
        const before = known.get(key);
        return !due.has(key) && before !== undefined && before.behind !== null;
      });
      const keys = new Set(owned.map(({ key }) => key));
      for (const key of asked.keys()) if (!keys.has(key)) asked.delete(key);
      // Near GitHub's limits the rest waits.
      const isScarce = forge.roomAt('plan') > clock.now();
      const now = owned
        .filter((subject) => !isScarce || isNews(subject, asked.get(subject.key)))
        .toSorted((a, b) => byNews(a, b, asked))
        .slice(0, REVIEWS_A_LOOK);
      await tryEach(now, async (subject) => {
        const before = known.get(subject.key);
        const roomAt = forge.roomAt('push');
        if (before !== undefined && roomAt <= clock.now()) await one(view, subject, before);
      });
    },
  };
};

/** Something was done on it since it was asked about. */
const isNews = ({ pull }: Subject, before: Asked | undefined): boolean =>
  before !== undefined && before.updatedAt !== (pull?.updatedAt ?? '');

const byNews = (a: Subject, b: Subject, asked: ReadonlyMap<string, Asked>): number => {
  const [first, second] = [asked.get(a.key), asked.get(b.key)];
  const news = Number(isNews(b, second)) - Number(isNews(a, first));
  return news || (first?.at ?? 0) - (second?.at ?? 0);
};
