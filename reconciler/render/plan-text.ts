// A preview as text: per job what changes, then waves of steps, what is blocked, problems, room.
// In: a summary. Out: lines, without colour. Not here: JSON (the summary is data already),
// markdown.

import { ownedName, type OwnedChange } from '../../schema/behind.ts';
import type { Blocked } from '../../schema/plan.ts';
import type { Problem } from '../../schema/problems.ts';
import type { RefusedInPull, Rehearsal } from '../../schema/pull-plan.ts';
import { refusalWords } from '../../schema/refusal.ts';
import type { JobChange, Summary, WaveGroup } from '../../schema/summary.ts';
import {
  capacityLine,
  KIND_WORDS,
  shortImage,
  stepGroupWords,
  versionWords,
  wavesWords,
} from './plan-words.ts';
import { rehearsalWords } from './rehearsal.ts';
import { FULL } from './visibility.ts';
import { besideApprovals, blockedLines, many, named } from './words.ts';

/** Lines shown of one list; the rest is counted. */
const LINES_SHOWN = 50;

/** `file:line:column  code  what is wrong  how to fix it`. */
export const problemLine = (problem: Problem): string =>
  `${problem.file}:${problem.line}:${problem.column}  ${problem.code}  ${problem.message}  ${problem.advice}`;

/** What is known of a change beside its plan. */
export interface Beside {
  /** Changed files that no owner has let through. */
  readonly waits: readonly OwnedChange[];
  readonly refusals: readonly RefusedInPull[];
  /** What the check of a pull request may know and this does not. */
  readonly unknown: readonly string[];
}

/** `rehearsal`: absent where nothing was rehearsed. */
export const planText = (
  summary: Summary,
  rehearsal?: Rehearsal,
  { waits, refusals, unknown }: Beside = { waits: [], refusals: [], unknown: [] },
): readonly string[] => {
  const { jobs, waves, problems, guarded, pending, assumed } = summary;
  const blocked = besideApprovals(summary);
  return [
    titleOf({ ...summary, blocked }),
    ...(summary.stopped === null ? [] : [`Nothing is done at all: ${summary.stopped}`]),
    ...section(
      'Commits that would not be accepted, and nothing of the branch be done',
      refusals.map(refusalLine),
    ),
    ...section('Waits for its owners', waits.map(waitLine)),
    ...jobs.flatMap((job) => ['', ...jobLines(job)]),
    ...section('Waves', waves.flatMap(waveLines)),
    ...section(
      'Waits for approval (purser approve)',
      guarded.map(({ job, slots, why }) => `${job}: ${named(slots)}: ${why}`),
    ),
    ...section('Not done, and why', blockedLines(blocked.filter(isNews))),
    ...section('Problems', problems.map(problemLine)),
    ...section(
      'Not resolved to a digest; taken for images that never ran',
      assumed.map((reference) => reference),
    ),
    ...section('Pending without this change too', pendingLines(pending)),
    ...(waves.length === 0 ? [] : ['', capacityLine(summary)]),
    ...(waves.length === 0 || rehearsal === undefined ? [] : rehearsalLines(rehearsal)),
    ...section('Not known here', unknown),
  ];
};

const refusalLine = ({ commit, author, reason }: RefusedInPull): string =>
  `${commit.slice(0, 12)} by ${author.email} ${refusalWords(reason)}`;

const waitLine = ({ path, owners }: OwnedChange): string =>
  `${ownedName(path)} needs an approval of ${owners.join(' or ')}`;

const rehearsalLines = (rehearsal: Rehearsal): readonly string[] => {
  const words = rehearsalWords(rehearsal, FULL);
  return words === '' ? [] : [`Rehearsal: ${words}`];
};

/** Said once for all jobs in the second line. */
const isNews = (blocked: Blocked): boolean =>
  blocked.kind !== 'waiting' || blocked.why !== 'stopped-sync';

const titleOf = ({ jobs, waves, guarded, problems, blocked }: Summary): string => {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const also = [
    ...(errors === 0 ? [] : [many(errors, 'error')]),
    ...(blocked.length === 0 ? [] : [`${blocked.length} not done`]),
    ...(guarded.length === 0 ? [] : ['removals wait for approval']),
  ];
  const rest = also.length === 0 ? '' : `; ${also.join(', ')}`;
  if (waves.length === 0) return `Nothing would change${rest}.`;
  const sum = (key: 'starts' | 'stops' | 'updates') => jobs.reduce((all, job) => all + job[key], 0);
  const count = waves.at(-1)?.last ?? 0;
  const counts = [
    `${sum('starts')} to start`,
    `${sum('stops')} to stop`,
    ...(sum('updates') === 0 ? [] : [`${sum('updates')} to update in place`]),
  ];
  return `${many(jobs.length, 'job')}: ${counts.join(', ')}, in ${many(count, 'wave')}${rest}.`;
};

const section = (title: string, lines: readonly string[]): readonly string[] => {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, LINES_SHOWN).map((line) => `  ${line}`);
  const rest = lines.length - shown.length;
  return ['', title, ...shown, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
};

const jobLines = (job: JobChange): readonly string[] => {
  const { from, to } = job.copies;
  const row = (name: string, value: string) => `  ${name.padEnd(9)}${value}`;
  const where = job.nodes.map(({ node, copies }) => `${node} ×${copies}`);
  return [
    `${job.job}  ${KIND_WORDS[job.kind]}  (${job.file})`,
    ...(job.to === null ? [] : [row('version', versionWords(job))]),
    ...job.images.map((image) =>
      row('image', `${shortImage(image.from)} → ${shortImage(image.to)} (${image.task})`),
    ),
    row(
      'copies',
      `${from === to ? from : `${from} → ${to}`}${where.length === 0 ? '' : `, on ${named(where)}`}`,
    ),
    ...(job.waves === 0 ? [] : [row('waves', wavesWords(job))]),
  ];
};

const waveLines = ({ first, last, steps }: WaveGroup): readonly string[] => {
  const name = first === last ? `${first}` : `${first}–${last}, one after the other`;
  return [`${name}`, ...steps.map((step) => `  ${stepGroupWords(step)}`)];
};

const pendingLines = ({ steps, blocked, problems }: Summary['pending']): readonly string[] => [
  ...(steps === 0 ? [] : [many(steps, 'step')]),
  ...blockedLines(blocked),
  ...problems.map(problemLine),
];
