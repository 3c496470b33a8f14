// The written fields of jobs that differ between two trees, with what may be a secret masked.
// In: files before and after, the paths that differ. Out: a list by job and field. Short forms are
// written out first, so a job that is only written otherwise has no change.
//
// What is masked: every value below `environment`, `env_file` and `files`, for that is where
// programs get their secrets from; a field whose own name says secret; a text that looks like one.
// It is told that it changed, and whether it is new: `*** (before)`, `*** (after)`.
// Not here: what a change does (the plan), words (render).

import { compareText } from '../../schema/ids.ts';
import { kindOf } from '../../schema/paths.ts';
import type { FieldChange } from '../../schema/pull-plan.ts';
import { isSecretName, looksSecret } from '../../schema/secret-text.ts';
import type { Files } from '../../schema/source.ts';
import { longForm } from './long-form.ts';
import { jobNames } from './draft.ts';
import type { Reader } from './read.ts';
import { sourcePaths } from './sources.ts';

export interface FieldInput {
  readonly before: Files;
  readonly after: Files;
  /** Jobs that are looked at, `<namespace>/<job>`. */
  readonly jobs: readonly string[];
  readonly read: Reader;
}

/** Rows of one pull request; 1,000 changed jobs with three fields each, and then it is cut. */
const FIELDS = 3000;
/** Characters of a value: a longer one is cut. */
const VALUE_CHARACTERS = 500;

export const fieldChanges = ({ before, after, jobs, read }: FieldInput): readonly FieldChange[] => {
  const rows: FieldChange[] = [];
  for (const job of jobs.toSorted(compareText)) {
    const [was, now] = [before, after].map((files) => fieldsOf(job, files, read));
    if (was === undefined || now === undefined || rows.length >= FIELDS) break;
    const names = new Set([...was.keys(), ...now.keys()]);
    for (const field of [...names].toSorted(compareText)) {
      const [from, to] = [was.get(field), now.get(field)];
      if (from?.key === to?.key) continue;
      const isMasked = from?.isSecret === true || to?.isSecret === true;
      const shown = (value: Written | undefined, when: string): string | null => {
        if (value === undefined) return null;
        return isMasked ? `*** (${when})` : value.text;
      };
      rows.push({ job, field, from: shown(from, 'before'), to: shown(to, 'after') });
    }
  }
  return rows.slice(0, FIELDS);
};

interface Written {
  /** Equal for equal values. */
  readonly key: string;
  readonly text: string;
  readonly isSecret: boolean;
}

const fieldsOf = (job: string, files: Files, read: Reader): ReadonlyMap<string, Written> => {
  const fields = new Map<string, Written>();
  const path = `jobs/${job}.yaml`;
  const file = files.get(path);
  if (file === undefined || kindOf(path) !== 'job') return fields;
  const { value } = read('job', path, file);
  if (value === null) return fields;
  const long = longForm(value, jobNames(path).job);
  const note = (place: readonly string[], written: unknown): void => {
    if (typeof written === 'object' && written !== null && !Array.isArray(written)) {
      for (const [key, inner] of Object.entries(written)) note([...place, key], inner);
    } else if (written !== undefined) fields.set(place.join('.'), writtenAt(place, written));
  };
  for (const [key, written] of Object.entries(long.written)) {
    if (JOB_FIELDS.has(key)) note([key], written);
  }
  for (const group of long.groups) {
    const place = ['groups', group.name];
    note(place, { ...group.group, tasks: undefined });
    for (const { name, task } of group.tasks) {
      note([...place, 'tasks', name], task);
      for (const source of new Set(sourcePaths(task))) {
        const blob = files.get(source)?.blob ?? 'missing';
        const content = { key: blob, text: blob, isSecret: true };
        fields.set([...place, 'tasks', name, 'content', source].join('.'), content);
      }
    }
  }
  return fields;
};

/** Of the job itself; the rest of a short form stands in `groups`. */
const JOB_FIELDS: ReadonlySet<string> = new Set([
  'priority',
  'update',
  'stopped',
  'restarted_at',
  'type',
]);

const writtenAt = (place: readonly string[], written: unknown): Written => {
  const plain = typeof written === 'string' ? written : JSON.stringify(written);
  const text = plain.length > VALUE_CHARACTERS ? `${plain.slice(0, VALUE_CHARACTERS)}…` : plain;
  return { key: JSON.stringify(written), text, isSecret: isSecret(place, plain) };
};

const SECRET_PLACES: ReadonlySet<string> = new Set(['environment', 'env_file', 'files']);

const isSecret = (place: readonly string[], text: string): boolean =>
  place.some((name) => SECRET_PLACES.has(name)) ||
  isSecretName(place.at(-1) ?? '') ||
  looksSecret(text);
