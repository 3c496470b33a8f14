// Plans that are being made or not told yet: a forge that is away does not have them made again and
// again. In: subjects, a view. Out: plans. Not here: who is planned when (pull-reports), the plan
// (edge/pull-plans).

import type { PullPlan } from '../schema/pull-plan.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { ForgeContext } from './forge-context.ts';
import { PULLS_PLANNED, type PlannedPull } from './forge/pulls.ts';
import { approvalsIn, type Subject } from './pull-subjects.ts';

export interface Made {
  readonly plan: Promise<PullPlan>;
  readonly live: View['live'];
  /** null: it is being made. */
  readonly took: () => Ms | null;
}

interface Untold extends Made {
  readonly made: string;
  /** null: it is being made. */
  doneAt: Ms | null;
}

/** The cluster moves while a plan is made: one that was finished just now is told all the same. */
const FRESH_MS = 10_000;

/** `known`: what is told. */
export const createMade = (
  { plans, clock, forge }: ForgeContext,
  known: ReadonlyMap<string, PlannedPull>,
) => {
  const untold = new Map<string, Untold>();
  const isFresh = ({ doneAt }: Untold): boolean =>
    doneAt === null || clock.now() - doneAt < FRESH_MS;
  const begin = (subject: Subject, { live, tree: { held } }: View): Promise<PullPlan> => {
    const { key, head, base, pull, isBeyond } = subject;
    if (isBeyond) return Promise.resolve({ kind: 'failed', base, head, message: BEYOND });
    // While it is made: telling it begins with what stands there.
    const isAsked = forge.hasChecks && known.get(key)?.told.commit !== head;
    if (isAsked) forge.check('plan', head).catch(() => undefined);
    const fromFork = pull?.fromFork ?? false;
    return plans.plan({ base, head, live, fromFork, ...(held === undefined ? {} : { held }) });
  };
  return {
    of: (subject: Subject, view: View): Made => {
      const { key, head, base, isBeyond } = subject;
      const held = JSON.stringify(view.tree.held);
      const made = [head, base, isBeyond, ...approvalsIn(view), held].join();
      const before = untold.get(key);
      if (before?.made === made && (before.live === view.live || isFresh(before))) return before;
      const begunAt = clock.now();
      const one: Untold = {
        made,
        plan: begin(subject, view),
        live: view.live,
        doneAt: null,
        took: () => (one.doneAt === null ? null : one.doneAt - begunAt),
      };
      void one.plan.then(() => (one.doneAt = clock.now()));
      untold.set(key, one);
      return one;
    },
    drop: (key: string): void => void untold.delete(key),
    keep: (keys: ReadonlySet<string>): void => {
      for (const key of untold.keys()) if (!keys.has(key)) untold.delete(key);
    },
  };
};

const BEYOND =
  `more than ${PULLS_PLANNED.toLocaleString('en')} pull requests are open, and this one is not ` +
  "among those that are planned: the newest of the repository's own, then of forks. Close some";
