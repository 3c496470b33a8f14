// Plans of pull requests that are not told yet, some of them still being made: a forge that is away
// does not have them made again and again. In: which pull request, a view. Out: its plan, begun at
// once. Not here: when one is made anew (forge/pulls), telling it (pull-reports).

import type { PullRequest } from '../schema/forge.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { PlannedPull } from './forge/pulls.ts';
import type { ForgeContext } from './forge-context.ts';

/** A pull request, or a commit that a merge queue asks about. */
interface Planned {
  readonly key: string;
  readonly head: string;
  readonly base: string;
  readonly pull: PullRequest | null;
}

interface Untold {
  readonly made: string;
  readonly plan: Promise<PullPlan>;
  readonly live: View['live'];
  /** null: it is being made. */
  doneAt: Ms | null;
}

/** The cluster moves while a plan is made: one that was finished just now is told all the same. */
const FRESH_MS = 10_000;

/** `known`: what is told. */
export const createPlans = (
  { plans, clock, forge }: ForgeContext,
  known: ReadonlyMap<string, PlannedPull>,
) => {
  const untold = new Map<string, Untold>();
  const isFresh = ({ doneAt }: Untold): boolean =>
    doneAt === null || clock.now() - doneAt < FRESH_MS;
  return {
    of: ({ key, head, base, pull }: Planned, view: View): Pick<Untold, 'plan' | 'live'> => {
      const { live } = view;
      const { held } = view.tree;
      const made = [head, base, ...approvalsIn(view), JSON.stringify(held)].join();
      const before = untold.get(key);
      if (before?.made === made && (before.live === live || isFresh(before))) return before;
      const plan = plans.plan({
        base,
        head,
        live,
        fromFork: pull?.fromFork ?? false,
        ...(held === undefined ? {} : { held }),
      });
      // While it is made: telling it begins with what stands there.
      const isAsked = forge.hasChecks && known.get(key)?.told.commit !== head;
      if (isAsked) forge.check('plan', head).catch(() => undefined);
      const one: Untold = { made, plan, live, doneAt: null };
      void plan.then(() => (one.doneAt = clock.now()));
      untold.set(key, one);
      return one;
    },
    drop: (key: string): void => void untold.delete(key),
    keep: (keys: ReadonlySet<string>): void => {
      for (const key of untold.keys()) if (!keys.has(key)) untold.delete(key);
    },
  };
};

/** Approvals that count, by id. */
export const approvalsIn = ({ desired }: View): readonly string[] =>
  desired.approvals.map(({ id }) => id);
