// What keeps running copies as Git says without replacing them, and clears away what is dead.
// In: JobView, versions. Out: update steps (rules 2.2), stop steps for dead allocations that were
// superseded.
// Not here: starts and stops of a rollout (group).

import type { Step } from '../../schema/plan.ts';
import type { StopReason } from '../../schema/orders.ts';
import type { GroupSpec } from '../../schema/spec.ts';
import { changedFields, refreshBody, type Version } from './body.ts';
import { isLive, mustMove, type Copy } from './classify.ts';
import type { Rollout } from './deployment.ts';
import type { GroupView, JobView, SlotView } from './slots.ts';

export interface Versions {
  readonly head: Version;
  readonly fallback: Version | null;
}

/** Updates in place for copies that stay. `touched`: allocations that the plan stops anyway. */
export const updatesOf = (
  view: JobView,
  versions: Versions,
  touched: ReadonlySet<string>,
): readonly Step[] => {
  if (view.job.standing.kind !== 'head') return [];
  return view.groups.flatMap((group) =>
    group.copies
      .filter(({ allocation }) => !touched.has(allocation.allocation))
      .flatMap((copy) => {
        if (copy.class === 'kept') return updateOf(view, copy, versionOf(group, copy, versions));
        // It leaves its node by another stop, once what follows now has its images (rules 5.7).
        return mustMove(copy) ? updateOf(view, copy, null) : [];
      }),
  );
};

const versionOf = (
  { frame }: GroupView,
  copy: Copy,
  { head, fallback }: Versions,
): { readonly version: Version; readonly spec: GroupSpec } | null => {
  if (copy.version === 'target' && frame.target !== null) {
    return { version: head, spec: frame.target };
  }
  if (copy.version === 'fallback' && frame.fallback !== null && fallback !== null) {
    return { version: fallback, spec: frame.fallback };
  }
  return null;
};

const updateOf = (
  view: JobView,
  { allocation }: Copy,
  wanted: { readonly version: Version; readonly spec: GroupSpec } | null,
): readonly Step[] => {
  if (wanted === null && !allocation.stopping) return [];
  const body =
    wanted === null ? allocation.body : refreshBody(allocation.body, wanted.version, wanted.spec);
  // A stop that was ordered and is not begun is taken back.
  const stays = allocation.stopping ? ['stays'] : [];
  const changes = [...stays, ...changedFields(allocation.body, body)];
  if (changes.length === 0) return [];
  return [
    {
      kind: 'update',
      node: allocation.node,
      job: view.job.id,
      slot: slotOf(view, allocation.body),
      allocation: allocation.allocation,
      changes,
      body,
    },
  ];
};

const slotOf = (
  { job }: JobView,
  body: { readonly group: string; readonly index: number },
): string => `${job.id}/${body.group}[${body.index}]`;

/** Dead allocations of one slot that are kept as evidence; the older ones say the same. */
const KEPT_DEAD_LIMIT = 10;

/**
 * Dead allocations stay on their node until superseded: they are the evidence of a failure
 * (architecture). They go once their slot holds a live copy and they belong to another deployment,
 * or their version has settled.
 */
export const sweep = (view: JobView, rollout: Rollout): readonly Step[] =>
  view.groups.flatMap((group) =>
    [...group.slots, ...group.beyond].flatMap((slot) => {
      const wanted = slot.index < group.frame.count;
      return slot.dead
        .filter((copy, rank) => {
          if (copy.node.standing !== 'ready' || copy.allocation.stopping) return false;
          return !wanted || rank >= KEPT_DEAD_LIMIT || isSuperseded(view, { copy, slot, rollout });
        })
        .map((copy) => stopStep(view, copy, wanted ? 'superseded' : 'scale-down'));
    }),
  );

const isSuperseded = (
  { job }: JobView,
  scene: { readonly copy: Copy; readonly slot: SlotView; readonly rollout: Rollout },
): boolean => {
  const { copy, slot, rollout } = scene;
  const live = [slot.target, slot.other].filter((other) => other !== null && isLive(other));
  if (live.length === 0) return false;
  const counts =
    copy.allocation.body.deployment === job.deployment &&
    copy.allocation.failure?.blame === 'version';
  return !counts || (rollout.settled && slot.target?.healthy === true);
};

export const stopStep = (
  view: JobView,
  { allocation }: Copy,
  reason: StopReason,
): Extract<Step, { kind: 'stop' }> => ({
  kind: 'stop',
  node: allocation.node,
  job: view.job.id,
  slot: slotOf(view, allocation.body),
  allocation: allocation.allocation,
  reason,
  killTimeoutMs: killTimeoutOf(allocation.body.spec),
});

/** The longest of the group's tasks: each is killed after its own. */
export const killTimeoutOf = (spec: GroupSpec): number =>
  Math.max(0, ...spec.tasks.map((task) => task.killTimeoutMs));
