// A job file with its short forms written out, and the defaults of cluster.yaml where the job says
// nothing (rules 2.1).
// In: checked documents. Out: the long form, still as written: units are text, built-in defaults
// are absent.
// Not here: units and built-in defaults (spec.ts), what counts for the version (version.ts).

import type { DefaultsFile } from '../../schema/documents/cluster.ts';
import type { GroupFile } from '../../schema/documents/group.ts';
import type { JobFile } from '../../schema/documents/job.ts';
import type { TaskFile } from '../../schema/documents/task.ts';
import { writtenGroups, type WrittenGroup } from '../../schema/written-job.ts';

export interface LongJob {
  /** The job's own fields; those of a short form's only group and task stand in `groups`. */
  readonly written: JobFile;
  /** Sorted by name, their tasks too. */
  readonly groups: readonly WrittenGroup[];
}

/**
 * Writes the short forms out. `name` is the job's, which its only group takes, and the group's
 * only task.
 */
export const longForm = (job: JobFile, name: string): LongJob => ({
  written: job,
  groups: writtenGroups(job, name).map((each) =>
    // Labels may stand beside `groups`: they are then every group's.
    job.groups === undefined || job.labels === undefined
      ? each
      : { ...each, group: { ...each.group, labels: { ...job.labels, ...each.group.labels } } },
  ),
});

/**
 * Puts the cluster's defaults where the job says nothing; of `update`, `restart`, `reschedule` and
 * `resources` field
 * by field. What it puts counts as written (rules 2.1: the named cluster defaults that apply).
 */
export const withDefaults = (job: LongJob, defaults: DefaultsFile): LongJob => {
  const { priority, update, restart, reschedule, resources } = defaults;
  const groupOf = (group: GroupFile): GroupFile => ({
    ...only('shutdown_delay', defaults.shutdown_delay),
    ...group,
    ...merged('restart', restart, group.restart),
    ...merged('reschedule', reschedule, group.reschedule),
  });
  const taskOf = (task: TaskFile): TaskFile => ({
    ...only('kill_signal', defaults.kill_signal),
    ...only('kill_timeout', defaults.kill_timeout),
    ...task,
    ...merged('resources', resources, task.resources),
  });
  return {
    written: {
      ...only('priority', priority),
      ...job.written,
      ...merged('update', update, job.written.update),
    },
    groups: job.groups.map((each) => ({
      ...each,
      group: groupOf(each.group),
      tasks: each.tasks.map((one) => ({ ...one, task: taskOf(one.task) })),
    })),
  };
};

const only = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });

const merged = <K extends string, V extends object>(
  key: K,
  under: V | undefined,
  over: V | undefined,
): { readonly [P in K]?: V } => {
  if (under === undefined && over === undefined) return {};
  return { [key]: { ...under, ...over } } as { readonly [P in K]?: V };
};
