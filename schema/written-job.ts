// A job file with its optional levels written out: groups and tasks, each with where it stands.
// In: the written form. Out: groups with their tasks, sorted by name. A job without `groups` is one
// group, a group without `tasks` is one task, both named as the job. Not here: defaults and units
// (reconciler/desired).

import { groupOnlyFields } from './documents/group.ts';
import type { GroupFile } from './documents/group.ts';
import type { JobFile } from './documents/job.ts';
import { taskFields } from './documents/task.ts';
import type { TaskFile } from './documents/task.ts';
import { compareText } from './ids.ts';
import { pointerOf } from './places.ts';

export interface WrittenTask {
  readonly name: string;
  readonly task: TaskFile;
  /** JSON pointer of the level that the task's fields stand at. */
  readonly pointer: string;
}

export interface WrittenGroup {
  readonly name: string;
  /** Only the group's own fields count; those of a task stand in `tasks`. */
  readonly group: GroupFile;
  readonly pointer: string;
  readonly tasks: readonly WrittenTask[];
}

/** The groups of a job, sorted by name. `jobName` names the levels that are not written. */
export const writtenGroups = (job: JobFile, jobName: string): readonly WrittenGroup[] => {
  if (job.groups === undefined) return [writtenGroup(jobName, job, '')];
  return Object.entries(job.groups)
    .map(([name, group]) => writtenGroup(name, group, pointerOf(['groups', name])))
    .toSorted((a, b) => compareText(a.name, b.name));
};

const writtenGroup = (name: string, group: GroupFile, pointer: string): WrittenGroup => {
  const tasks =
    group.tasks === undefined
      ? [{ name, task: pick<TaskFile>(group, taskFields), pointer }]
      : Object.entries(group.tasks)
          .map(([task, file]) => ({
            name: task,
            task: file,
            pointer: `${pointer}${pointerOf(['tasks', task])}`,
          }))
          .toSorted((a, b) => compareText(a.name, b.name));
  return { name, group: pick<GroupFile>(group, groupOnlyFields), pointer, tasks };
};

/** The fields of one level out of a map that holds several levels. */
const pick = <T extends object>(from: object, fields: object): T =>
  Object.fromEntries(Object.entries(from).filter(([key]) => Object.hasOwn(fields, key))) as T;
