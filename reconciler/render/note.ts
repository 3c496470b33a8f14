// What a note on a commit says: what the commit was going to do, what it did, whether and when the
// cluster was in step with it, and how long that took. In: what was foreseen and seen of it, the
// note that is there. Out: plain text for `git log --notes`. A note has a part that begins with
// `plan/<cluster>: ` and one with `sync/<cluster>: `; what else stands in it is somebody else's and
// stays. Not here: what was seen (../notes), Git.

import { compareText } from '../../schema/ids.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { Ms } from '../../schema/spec.ts';
import type { JobChange, Summary } from '../../schema/summary.ts';
import { formatDuration } from '../../schema/units.ts';
import { planTitle } from './plan-title.ts';
import { problemLine } from './plan-text.ts';
import { judge } from './plan-verdict.ts';
import { KIND_WORDS, shortImage, versionWords, wavesWords } from './plan-words.ts';
import { FULL, type Visibility } from './visibility.ts';
import { besideApprovals, blockedLines, many, named } from './words.ts';

export interface CommitSeen {
  readonly cluster: string;
  /** By job: copies that were started, stopped and changed in place. */
  readonly jobs: ReadonlyMap<string, JobSeen>;
  readonly end: NoteEnd;
  /** Since the reconciler saw the commit. */
  readonly tookMs: Ms;
  /** ISO 8601. */
  readonly at: string;
  /** The commit was there already when the reconciler started. */
  readonly isPartial: boolean;
  /** Whoever fetches the notes reads them. Absent: all but log lines. */
  readonly visibility?: Visibility;
}

export type NoteEnd =
  | { readonly kind: 'under-way' }
  | { readonly kind: 'in-sync' }
  | { readonly kind: 'failed'; readonly reasons: ReadonlyMap<string, string> }
  /** A newer commit came first. */
  | { readonly kind: 'superseded'; readonly by: string };

export interface JobSeen {
  readonly starts: number;
  readonly stops: number;
  readonly updates: number;
}

export interface PlanForeseen {
  readonly summary: Summary;
  readonly isCut: boolean;
}

/** Of one line: with two images and their digests. */
const LINE_CHARACTERS = 300;
/** Of one list: a note has three at most and some 8 KiB, since `git log` shows all of it. */
const LIST_CHARACTERS = 2400;

/** `plan/shop: 3 start, 3 stop`, and a line for each job. */
export const planNote = (
  cluster: string,
  { summary, isCut }: PlanForeseen,
  visibility: Visibility = FULL,
): string => {
  const seen = ({ job }: { readonly job: string }): boolean => visibility.job(job);
  const { problems } = summary;
  const [jobs, guarded] = [summary.jobs.filter(seen), summary.guarded.filter(seen)];
  const verdict = judge({ summary, effects: { slots: [] } }, { approved: new Set() });
  const errors = problems.filter(({ severity }) => severity === 'error').map(problemLine);
  return [
    `plan/${cluster}: ${planTitle(summary, verdict)}${isCut ? ' at first' : ''}`,
    ...listed([
      ...errors,
      ...guarded.map(({ job, slots }) => `${job} waits for approval: ${named(slots)}`),
      ...jobs.map(jobLine),
      ...blockedLines(besideApprovals(summary).filter(seen)),
      ...hiddenLines(summary.jobs.length - jobs.length),
    ]),
  ].join('\n');
};

const hiddenLines = (count: number): readonly string[] =>
  count === 0 ? [] : [`${many(count, 'job')} not shown here: see plan_visibility`];

const jobLine = (job: JobChange): string => {
  const { from, to } = job.copies;
  const images = job.images.map(
    ({ task, from: was, to: now }) => `image of ${task} ${shortImage(was)} → ${shortImage(now)}`,
  );
  return [
    `${job.job} ${KIND_WORDS[job.kind]}`,
    ...(job.to === null ? [] : [`version ${versionWords(job)}`]),
    ...images,
    `copies ${from === to ? from : `${from} → ${to}`}`,
    ...(job.waves === 0 ? [] : [`waves ${wavesWords(job)}`]),
  ].join(', ');
};

const listed = (lines: readonly string[]): readonly string[] => {
  const shown: string[] = [];
  let room = LIST_CHARACTERS;
  for (const line of lines) {
    const text = `  ${shortened(plainLine(line), LINE_CHARACTERS)}`;
    room -= text.length;
    if (room < 0) break;
    shown.push(text);
  }
  const left = lines.length - shown.length;
  return [...shown, ...(left > 0 ? [`  … and ${left} more`] : [])];
};

/** `sync/shop: in sync at …, after 42s`, and what was done to each job. */
export const syncNote = (seen: CommitSeen): string => {
  const { cluster, jobs, isPartial, end } = seen;
  const rows = shownRows(jobs, seen).toSorted(([a], [b]) => compareText(a, b));
  const did = listed([
    ...rows.map(([job, counts]) => `${job}: ${countsOf(counts)}`),
    ...hiddenLines(jobs.size - rows.length),
  ]);
  const nothing = end.kind === 'under-way' ? 'nothing yet' : 'nothing had to be done';
  return [
    `sync/${cluster}: ${endOf(seen)}`,
    ...(did.length === 0 ? [`  ${nothing}`] : did),
    ...(isPartial
      ? ['  (the reconciler started on this commit: what was before is not counted)']
      : []),
  ].join('\n');
};

const shownRows = <T>(
  byJob: ReadonlyMap<string, T>,
  { visibility = FULL }: Pick<CommitSeen, 'visibility'>,
): readonly (readonly [string, T])[] => [...byJob].filter(([job]) => visibility.job(job));

const endOf = (seen: CommitSeen): string => {
  const { end, tookMs, at } = seen;
  const took = formatDuration(Math.max(1000, Math.round(tookMs / 1000) * 1000));
  switch (end.kind) {
    case 'under-way':
      return `under way at ${at}, since ${took}`;
    case 'in-sync':
      return `in sync at ${at}, after ${took}`;
    case 'superseded':
      return `superseded by ${end.by.slice(0, 12)} at ${at}, after ${took}`;
    case 'failed': {
      const rows = shownRows(end.reasons, seen).toSorted(([a], [b]) => compareText(a, b));
      return [
        `failed at ${at}, after ${took}`,
        ...listed(rows.map(([job, why]) => `${job} failed: ${why}`)),
      ].join('\n');
    }
  }
};

const countsOf = ({ starts, stops, updates }: JobSeen): string =>
  [
    ...(starts > 0 ? [`${starts} started`] : []),
    ...(stops > 0 ? [`${stops} stopped`] : []),
    ...(updates > 0 ? [`${updates} changed in place`] : []),
  ].join(', ');

export interface NoteParts {
  readonly cluster: string;
  /** null: not known. */
  readonly plan: string | null;
  readonly sync: string;
  readonly isPartial: boolean;
}

/**
 * The note with what is there: words of others stay, an earlier life's plan and its end too, since
 * it saw more of the commit. null: there is nothing to write.
 */
export const noteWith = (
  before: string | null,
  { cluster, plan, sync, isPartial }: NoteParts,
): string | null => {
  const was = partsOf(before ?? '', cluster);
  const [told, now] = [wordOf(was.sync), wordOf(sync)];
  const isOld = told !== '' && (told === now || now === `sync/${cluster}: under way`);
  if (isOld) return null;
  const parts = [isPartial ? was.plan || plan : plan || was.plan, sync, was.others];
  return `${parts.filter((part) => part !== null && part !== '').join('\n')}\n`;
};

/** `sync/shop: in sync` and the like. */
const wordOf = (sync: string): string => sync.split(' at ')[0] ?? '';

const partsOf = (note: string, cluster: string) => {
  const parts = { plan: [] as string[], sync: [] as string[], others: [] as string[] };
  let current: keyof typeof parts = 'others';
  for (const line of note.trimEnd().split('\n')) {
    if (line.startsWith(`plan/${cluster}: `)) current = 'plan';
    else if (line.startsWith(`sync/${cluster}: `)) current = 'sync';
    else if (!line.startsWith('  ')) current = 'others';
    parts[current].push(line);
  }
  const { plan, sync, others } = parts;
  return { plan: plan.join('\n'), sync: sync.join('\n'), others: others.join('\n').trim() };
};
