// Which fields of a job file go from one content to another: those that form the version, or those
// changed in place.
// In: two job files as written. Out: edits by JSON pointer, or null where one writes levels out
// that the other does not.
// Not here: applying them (schema/yaml-edit.ts), whether the result is right (revert.ts).

import type { FieldClass } from '../../schema/documents/field.ts';
import { groupOnlyClasses, type GroupFile } from '../../schema/documents/group.ts';
import { jobOnlyClasses, type JobFile } from '../../schema/documents/job.ts';
import { taskClasses } from '../../schema/documents/task.ts';
import { canonical, type Json } from '../../schema/hash.ts';
import { pointerOf } from '../../schema/places.ts';
import type { YamlEdit } from '../../schema/yaml-edit.ts';
import type { LongJob } from './long-form.ts';

export interface Transfer {
  readonly from: JobFile;
  /** The content that is edited. */
  readonly to: JobFile;
  /**
   * Fields of this class take the value that they have in `from`; with `version`, groups and tasks
   * come and go.
   */
  readonly fields: Exclude<FieldClass, 'identity'>;
}

/** The edits that bring fields of one class over. */
export const transferEdits = ({ from, to, fields }: Transfer): readonly YamlEdit[] | null => {
  const job = levelEdits('', [from, to], pickClass(jobOnlyClasses, fields));
  if (from.groups === undefined && to.groups === undefined) {
    const group = groupEdits('', [from, to], fields);
    return group && [...job, ...group];
  }
  if (from.groups === undefined || to.groups === undefined) return null;
  const edits = memberEdits('/groups', [from.groups, to.groups], {
    fields,
    each: (pointer, pair) => groupEdits(pointer, pair, fields),
  });
  return edits && [...job, ...edits];
};

type Pair<T> = readonly [from: T, to: T];

const groupEdits = (
  pointer: string,
  [from, to]: Pair<GroupFile>,
  fields: Transfer['fields'],
): readonly YamlEdit[] | null => {
  const own = levelEdits(pointer, [from, to], pickClass(groupOnlyClasses, fields));
  const names = pickClass(taskClasses, fields);
  if (from.tasks === undefined && to.tasks === undefined) {
    return [...own, ...levelEdits(pointer, [from, to], names)];
  }
  if (from.tasks === undefined || to.tasks === undefined) return null;
  const edits = memberEdits(`${pointer}/tasks`, [from.tasks, to.tasks], {
    fields,
    each: (place, pair) => levelEdits(place, pair, names),
  });
  return edits && [...own, ...edits];
};

type Map<T> = { readonly [name: string]: T };

/**
 * Members of both are edited; with the version, others come back whole or go. What comes, comes
 * before what goes.
 */
const memberEdits = <T extends object>(
  pointer: string,
  [from, to]: Pair<Map<T>>,
  rule: {
    readonly fields: Transfer['fields'];
    readonly each: (pointer: string, pair: Pair<T>) => readonly YamlEdit[] | null;
  },
): readonly YamlEdit[] | null => {
  const edits: YamlEdit[] = [];
  for (const [name, member] of Object.entries(from)) {
    const place = `${pointer}${pointerOf([name])}`;
    const other = to[name];
    if (other === undefined) {
      if (rule.fields === 'version') edits.push({ pointer: place, value: member as Json });
      continue;
    }
    const inside = rule.each(place, [member, other]);
    if (inside === null) return null;
    edits.push(...inside);
  }
  for (const name of Object.keys(to)) {
    if (from[name] === undefined && rule.fields === 'version') {
      edits.push({ pointer: `${pointer}${pointerOf([name])}`, value: undefined });
    }
  }
  return edits;
};

const levelEdits = (
  pointer: string,
  [from, to]: Pair<object>,
  names: readonly string[],
): readonly YamlEdit[] => {
  const [old, now] = [from as Map<Json>, to as Map<Json>];
  return names.flatMap((name) => valueEdits(`${pointer}/${name}`, [old[name], now[name]]));
};

/** Maps are edited entry by entry, so that comments beside what stays are kept. */
const valueEdits = (pointer: string, [from, to]: Pair<Json | undefined>): readonly YamlEdit[] => {
  if (canonical(from) === canonical(to) && (from === undefined) === (to === undefined)) return [];
  if (!isMap(from) || !isMap(to)) return [{ pointer, value: from }];
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  // An entry that goes last could leave an empty map behind for a moment; what comes, comes first.
  const edits = names.flatMap((name) =>
    valueEdits(`${pointer}${pointerOf([name])}`, [from[name], to[name]]),
  );
  return [
    ...edits.filter((edit) => edit.value !== undefined),
    ...edits.filter((edit) => edit.value === undefined),
  ];
};

const isMap = (value: Json | undefined): value is { readonly [key: string]: Json | undefined } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const pickClass = (
  classes: Readonly<Record<string, FieldClass>>,
  wanted: FieldClass,
): readonly string[] => Object.keys(classes).filter((name) => classes[name] === wanted);

const JOB_IN_PLACE = pickClass(jobOnlyClasses, 'in-place');
const GROUP_IN_PLACE = pickClass(groupOnlyClasses, 'in-place');
const TASK_IN_PLACE = pickClass(taskClasses, 'in-place');

/** Do the fields of rules 2.2 say the same, in all groups and tasks that both have? */
export const sameInPlace = (a: LongJob, b: LongJob): boolean =>
  sameFields([a.written, b.written], JOB_IN_PLACE) &&
  a.groups.every((group) => {
    const other = b.groups.find(({ name }) => name === group.name);
    if (other === undefined) return true;
    return (
      sameFields([group.group, other.group], GROUP_IN_PLACE) &&
      group.tasks.every((task) => {
        const same = other.tasks.find(({ name }) => name === task.name);
        return same === undefined || sameFields([task.task, same.task], TASK_IN_PLACE);
      })
    );
  });

const sameFields = ([a, b]: Pair<object>, names: readonly string[]): boolean => {
  const [left, right] = [a as Map<Json>, b as Map<Json>];
  return names.every((name) => canonical(left[name]) === canonical(right[name]));
};
