// Written fields of jobs that a change makes others: a few a job in the summary, all behind its fold.
// In: fields with secrets masked, the jobs that change. Out: lines and a table. Not here: what is
// masked (desired/field-changes), which jobs may be shown (plan-blocks).

import type { FieldChange } from '../../schema/pull-plan.ts';
import type { JobChange } from '../../schema/summary.ts';
import { shortened } from '../../schema/plain.ts';
import { code, row, tableHead } from './markdown.ts';
import { many } from './words.ts';

/** Changed fields that the table behind a fold shows of one job: the rest is counted. */
const FIELDS_SHOWN = 40;
/** Of a job with more, and of more jobs, the summary shows how many, and a fold which. */
const FIELDS_IN_SUMMARY = 3;
const JOBS_IN_SUMMARY = 10;
/** Characters of a value in the summary: two of them stand in one line. */
const VALUE_IN_SUMMARY = 60;

export type Fields = ReadonlyMap<string, readonly FieldChange[]>;

/** Jobs that change and are neither new nor gone: of those the file says it all. */
export const configured = (fields: Fields): Fields =>
  new Map([...fields].filter(([, all]) => !isWhole(all, 'from') && !isWhole(all, 'to')));

/** No job is without an image. */
const isWhole = (changes: readonly FieldChange[], side: 'from' | 'to'): boolean =>
  changes.every((one) => one[side] === null) && changes.some(({ field }) => IMAGE.test(field));

/**
 * `shop/web`: `environment.LOG_LEVEL` `*** (before)` → `*** (after)`. Images that are told beside
 * it are left out.
 */
export const fieldItems = (
  fields: Fields,
  jobs: ReadonlyMap<string, JobChange>,
): readonly (() => string)[] => {
  const all = [...configured(fields)].flatMap(([job, changes]) => {
    const hasImages = (jobs.get(job)?.images.length ?? 0) > 0;
    const rest = changes.filter(({ field }) => !(hasImages && IMAGE.test(field)));
    return rest.length === 0 ? [] : [{ job, changes: rest }];
  });
  const more = all.length - JOBS_IN_SUMMARY;
  return [
    ...all.slice(0, JOBS_IN_SUMMARY).flatMap(itemsOf),
    ...(more > 0 ? [() => `${many(more, 'more job')}: the details have each field.`] : []),
  ];
};

const IMAGE = /^groups\.[^.]+\.tasks\.[^.]+\.image$/;

interface Changed {
  readonly job: string;
  readonly changes: readonly FieldChange[];
}

const itemsOf = ({ job, changes }: Changed): readonly (() => string)[] =>
  changes.length > FIELDS_IN_SUMMARY
    ? [() => `${code(job)}: ${many(changes.length, 'field')}, each in its details.`]
    : changes.map(
        ({ field, from, to }) =>
          () =>
            `${placeOf(job, field)} ${shortValue(from)} → ${shortValue(to)}`,
      );

const FIELD = /^groups\.([^.]+)(?:\.tasks\.([^.]+))?\.(.+)$/;

/** Names that repeat the job's are left out, as images have them. */
const placeOf = (job: string, field: string): string => {
  const [, group, task, rest] = FIELD.exec(field) ?? [];
  if (rest === undefined) return `${code(job)}: ${code(field)}`;
  const name = job.slice(job.indexOf('/') + 1);
  const where = [group, task].filter((part) => part !== undefined && part !== name).join('/');
  return `${code(job)}${where === '' ? '' : `, ${code(where)}`}: ${code(rest)}`;
};

const shortValue = (value: string | null): string =>
  value === null ? '–' : code(shortened(value, VALUE_IN_SUMMARY));

/** All of one job, as far as its fold has room. */
export const fieldsTable = (fields: readonly FieldChange[]): string => {
  if (fields.length === 0) return '';
  const rows = fields
    .slice(0, FIELDS_SHOWN)
    .map(({ field, from, to }) => row([code(field), valueOf(from), valueOf(to)]));
  const rest = fields.length - rows.length;
  const more = rest > 0 ? `\n\n… and ${many(rest, 'more field')}.` : '';
  return `${tableHead(['field', 'from', 'to'])}\n${rows.join('\n')}${more}`;
};

const valueOf = (value: string | null): string => (value === null ? '–' : code(value));
