// The derived view of a job's deployment, for people.
// In: a job's plan and what was blocked. Out: DeploymentView. Not here: words on a screen
// (reconciler/render).

import type { Blocked, DeploymentStatus, DeploymentView, WaitReason } from '../../schema/plan.ts';
import { isLive } from './classify.ts';
import type { Rollout } from './deployment.ts';
import type { JobPlan } from './job.ts';
import type { GroupView, JobView } from './slots.ts';

export const viewDeployment = (
  { view, rollout }: JobPlan,
  blocked: readonly Blocked[],
): DeploymentView => {
  const { job } = view;
  return {
    job: job.id,
    deployment: job.deployment,
    specHash: job.spec.specHash,
    commit: job.commit,
    status: statusOf(view, rollout, blocked),
    isRollback: job.isRollback,
    ...(job.sameAs === undefined ? {} : { sameAs: job.sameAs }),
    reason: rollout.reason ?? rollout.degraded,
    groups: view.groups.map(rowOf),
  };
};

const rowOf = (group: GroupView): DeploymentView['groups'][number] => {
  const live = group.copies.filter(isLive);
  const updated = live.filter((copy) => copy.version === 'target');
  return {
    group: group.name,
    wanted: group.frame.count,
    updated: updated.length,
    healthy: updated.filter((copy) => copy.healthy).length,
    healthyAny: live.filter((copy) => copy.healthy).length,
    live: live.length,
  };
};

/** It finds no place, whatever it waits for. */
const NO_PLACE: ReadonlySet<WaitReason> = new Set(['quota', 'volume-node-lost']);

const statusOf = (
  { job, groups }: JobView,
  rollout: Rollout,
  blocked: readonly Blocked[],
): DeploymentStatus => {
  const isBlocked = (): boolean =>
    blocked.some(
      (entry) =>
        entry.job === job.id &&
        (entry.kind === 'no-node' || (entry.kind === 'waiting' && NO_PLACE.has(entry.why))),
    );
  switch (rollout.phase) {
    case 'done':
      if (rollout.degraded !== null) return 'degraded';
      if (isBlocked()) return 'blocked';
      return rollout.settled || groups.every(({ frame }) => frame.count === 0)
        ? 'settled'
        : 'rolling';
    case 'canary':
      return rollout.awaitsPromotion ? 'canary' : 'rolling';
    case 'rolling':
      return isBlocked() ? 'blocked' : 'rolling';
    case 'stopped':
    case 'held':
    case 'failed':
    case 'paused':
    case 'stalled':
    case 'waiting':
      return rollout.phase;
  }
};
