// A job file with its short forms written out: every job has groups, every group has tasks, and the defaults of
// cluster.yaml stand where the job says nothing (rules 2.1).
// In: checked documents. Out: the long form, still as written: units are text, built-in defaults are absent.
// Not here: units and built-in defaults (spec.ts), what counts for the version (version.ts).

import type { DefaultsFile } from '../../schema/documents/cluster.ts';
import {
  groupClasses,
  groupOnlyClasses,
  type GroupFile,
  type groupOnlyFields,
} from '../../schema/documents/group.ts';
import { jobOnlyClasses, type JobFile, type jobOnlyFields } from '../../schema/documents/job.ts';
import { taskClasses, type TaskFile } from '../../schema/documents/task.ts';

export type JobLevel = Pick<JobFile, keyof typeof jobOnlyFields>;
export type GroupLevel = Pick<GroupFile, keyof typeof groupOnlyFields>;

export interface LongTask {
  readonly name: string;
  readonly written: TaskFile;
  /** Where the task's fields stand in the file, for positions. */
  readonly at: Path;
}

export interface LongGroup {
  readonly name: string;
  readonly written: GroupLevel;
  readonly at: Path;
  /** In the order of the file; who needs an order sorts. */
  readonly tasks: readonly LongTask[];
}

export interface LongJob {
  readonly written: JobLevel;
  readonly groups: readonly LongGroup[];
}

/** Keys from the top of a document down to a value. */
export type Path = readonly string[];

/** Writes the short forms out. `name` is the job's, which its only group takes, and the group's only task. */
export const longForm = (job: JobFile, name: string): LongJob => ({
  written: pick(job, jobOnlyClasses),
  groups:
    job.groups === undefined
      ? [longGroup(pick(job, groupClasses), name, [])]
      : Object.entries(job.groups).map(([group, written]) =>
          longGroup(written, group, ['groups', group]),
        ),
});

const longGroup = (group: GroupFile, name: string, at: Path): LongGroup => ({
  name,
  written: pick(group, groupOnlyClasses),
  at,
  tasks:
    group.tasks === undefined
      ? [{ name, written: pick(group, taskClasses), at }]
      : Object.entries(group.tasks).map(([task, written]) => ({
          name: task,
          written,
          at: [...at, 'tasks', task],
        })),
});

/**
 * Puts the cluster's defaults where the job says nothing; of `update`, `restart`, `reschedule` and `resources` field
 * by field. What it puts counts as written (rules 2.1: the named cluster defaults that apply).
 */
export const withDefaults = (job: LongJob, defaults: DefaultsFile): LongJob => {
  const { priority, update, restart, reschedule, resources } = defaults;
  const group = (written: GroupLevel): GroupLevel => ({
    ...only('shutdown_delay', defaults.shutdown_delay),
    ...written,
    ...merged('restart', restart, written.restart),
    ...merged('reschedule', reschedule, written.reschedule),
  });
  const task = (written: TaskFile): TaskFile => ({
    ...only('kill_signal', defaults.kill_signal),
    ...only('kill_timeout', defaults.kill_timeout),
    ...written,
    ...merged('resources', resources, written.resources),
  });
  return {
    written: {
      ...only('priority', priority),
      ...job.written,
      ...merged('update', update, job.written.update),
    },
    groups: job.groups.map((each) => ({
      ...each,
      written: group(each.written),
      tasks: each.tasks.map((one) => ({ ...one, written: task(one.written) })),
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

/** The fields of `from` that the table names and that are written. */
const pick = <T extends object, K extends keyof T>(
  from: T,
  names: Readonly<Record<K, unknown>>,
): Pick<T, K> => {
  const picked: Partial<T> = {};
  for (const key of Object.keys(from) as K[]) if (key in names) picked[key] = from[key];
  return picked as Pick<T, K>;
};
