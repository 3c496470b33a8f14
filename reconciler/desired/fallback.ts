// A settled version as it would run today: its own content under HEAD's fields that change in place
// (rules 5.5).
// In: the compiled settled version and HEAD's. Out: the spec that missing copies are started at.
// Not here: which version that is (versions.ts), writing it back into files (revert.ts).

import type { GroupSpec, JobSpec, TaskSpec } from '../../schema/spec.ts';

/** A group that HEAD no longer has keeps its own fields; one that came since is not in it. */
export const underHead = (settled: JobSpec, head: JobSpec): JobSpec => ({
  ...settled,
  priority: head.priority,
  stopped: head.stopped,
  update: head.update,
  groups: settled.groups.map((group) => {
    const now = head.groups.find(({ name }) => name === group.name);
    const merged = now === undefined ? group : groupUnderHead(group, now);
    return head.stopped ? { ...merged, count: 0 } : merged;
  }),
});

/** The fields of rules 2.2 are HEAD's. */
const groupUnderHead = (settled: GroupSpec, head: GroupSpec): GroupSpec => {
  const { services: _own, ...rest } = settled;
  return {
    ...rest,
    count: head.count,
    scale: head.scale,
    constraints: head.constraints,
    spread: head.spread,
    restart: head.restart,
    reschedule: head.reschedule,
    stopAfterMs: head.stopAfterMs,
    singleton: head.singleton,
    shutdownDelayMs: head.shutdownDelayMs,
    ...servicesUnderHead(settled, head),
    labels: head.labels,
    tasks: settled.tasks.map((task) => taskUnderHead(task, head)),
  };
};

/** HEAD's, but for one at a port that the settled version has not: there its own counts. */
const servicesUnderHead = (
  { services: own = [], ports }: GroupSpec,
  head: GroupSpec,
): Pick<GroupSpec, 'services'> => {
  const has = new Set(ports.map(({ name }) => name));
  const services = (head.services ?? []).flatMap(
    (now) => (has.has(now.port) ? now : own.find(({ name }) => name === now.name)) ?? [],
  );
  return services.length === 0 ? {} : { services };
};

const taskUnderHead = (task: TaskSpec, head: GroupSpec): TaskSpec => {
  const now = head.tasks.find(({ name }) => name === task.name);
  return now === undefined ? task : { ...task, killTimeoutMs: now.killTimeoutMs };
};
