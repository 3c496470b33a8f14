// Which jobs a commit of the branch is about, and how far they are.
// In: deployments of a plan. Out: those that are open or its own, sums, waves. Not here: words of a
// whole check (sync-check).

import type { DesiredJob, DesiredState } from '../../schema/desired.ts';
import { copiesAtOnce } from '../../schema/parallel.ts';
import type { DeploymentView, Plan } from '../../schema/plan.ts';
import { byImportance } from './words.ts';

export interface Concern {
  /** Not at rest yet, what a person should look at first in front. */
  readonly open: readonly DeploymentView[];
  /** At rest, and brought in by this commit. */
  readonly own: readonly DeploymentView[];
}

export const concernOf = ({ commit }: DesiredState, { deployments }: Plan): Concern => ({
  open: byImportance(deployments.filter((one) => !isAtRest(one))),
  own: deployments.filter((one) => isAtRest(one) && one.commit.oid === commit.oid),
});

const isAtRest = (one: DeploymentView): boolean =>
  one.status === 'stopped' || (one.status === 'settled' && !isOnItsWay(one));

/** Its version has settled before, and more copies of it are wanted than are healthy. */
export const isOnItsWay = ({ status, groups }: DeploymentView): boolean =>
  status === 'settled' && groups.some(({ wanted, healthy }) => healthy < wanted);

export const sumOf = (
  views: readonly DeploymentView[],
): { readonly healthy: number; readonly wanted: number } => {
  const groups = views.flatMap((view) => view.groups);
  return {
    healthy: groups.reduce((sum, one) => sum + one.healthy, 0),
    wanted: groups.reduce((sum, one) => sum + one.wanted, 0),
  };
};

/**
 * A rollout replaces so many copies at once, so 10 copies at 3 at once are 4 waves; the wave that
 * it is in follows from the copies of the new version. null: nothing is replaced.
 */
export const waveOf = (
  view: DeploymentView,
  job: DesiredJob | undefined,
): { readonly at: number; readonly of: number } | null => {
  if (job === undefined || job.fallback === null || !ROLLS.has(view.status)) return null;
  const waves = view.groups.map(({ wanted, updated }) => {
    const size = copiesAtOnce(job.spec.update.maxParallel, wanted);
    const of = Math.ceil(wanted / size);
    // A copy that moves is there twice for a while.
    return { at: Math.min(of, Math.max(1, Math.ceil(updated / size))), of };
  });
  const longest = waves.toSorted((a, b) => b.of - a.of)[0];
  return longest === undefined || longest.of === 0 ? null : longest;
};

const ROLLS: ReadonlySet<DeploymentView['status']> = new Set(['rolling', 'stalled', 'paused']);
