// One job of a plan: its row in the summary, its images, its details behind a fold.
// In: what the job goes through, its changed fields, its steps. Out: Markdown of bounded length, so
// that a job stands or is left out as a whole. Not here: which jobs, and in which order.

import type { FieldChange } from '../../schema/pull-plan.ts';
import type { JobChange, StepGroup } from '../../schema/summary.ts';
import { shortened } from '../../schema/plain.ts';
import { code, codeInHtml, fold, row, words } from './markdown.ts';
import { fieldsTable } from './plan-fields.ts';
import { KIND_WORDS, shortImage, stepGroupWords, versionWords } from './plan-words.ts';
import { many, named } from './words.ts';

/** Images and steps that are shown of one job: the rest is counted. */
const IMAGES_SHOWN = 40;
const STEPS_SHOWN = 20;
/** Nodes that a row names, and characters of a name: a table is as wide as a comment. */
const NODES_IN_ROW = 3;
const NODE_NAME = 20;

/** What the cells of `jobRow` are. */
export const JOB_COLUMNS = [
  'job',
  'version',
  'copies',
  'nodes',
  'waves',
  'most down at once',
] as const;

export const jobRow = (job: JobChange): string =>
  row([
    code(job.job),
    versionCell(job),
    arrow(job.copies.from, job.copies.to),
    nodesWords(job),
    String(job.waves),
    job.kind === 'changed' ? downWords(job) : '',
  ]);

/** As narrow as it can be: what is new has no version before, what goes has none after. */
const versionCell = (job: JobChange): string => {
  if (job.kind === 'removed' || job.to === null) return KIND_WORDS.removed;
  return job.kind === 'new' ? `new: ${words(job.to.slice(0, 12))}` : words(versionWords(job));
};

/** `n1 ×2, n2, +3`: where its copies are after the last wave. */
const nodesWords = ({ nodes }: JobChange): string => {
  const shown = nodes.length > NODES_IN_ROW ? nodes.slice(0, NODES_IN_ROW - 1) : nodes;
  const left = nodes.length - shown.length;
  const names = shown.map(({ node, copies }) => {
    const name = words(shortened(node, NODE_NAME));
    return copies === 1 ? name : `${name} ×${copies}`;
  });
  return [...names, ...(left === 0 ? [] : [`+${left}`])].join(', ');
};

const arrow = (from: number, to: number): string =>
  from === to ? String(from) : `${from} → ${to}`;

const downWords = ({ downAtMost, copies }: JobChange): string =>
  downAtMost === 0 ? 'none' : `${downAtMost} of ${Math.min(copies.from, copies.to)}`;

/** The summary shows twelve characters of a digest, the details all. */
export const imageItems = ({ job, images }: JobChange): readonly (() => string)[] =>
  images.map(
    ({ task, from, to }) =>
      () =>
        `${code(job)}, ${code(task)}: ${code(shortImage(from))} → ${code(shortImage(to))}`,
  );

interface Parts {
  readonly fields: readonly FieldChange[];
  readonly steps: readonly {
    readonly first: number;
    readonly last: number;
    readonly step: StepGroup;
  }[];
}

export const jobDetails = (job: JobChange, { fields, steps }: Parts): string => {
  const counts = [
    ...(job.starts === 0 ? [] : [`${job.starts} start`]),
    ...(job.stops === 0 ? [] : [`${job.stops} stop`]),
    ...(job.updates === 0 ? [] : [`${job.updates} updated in place`]),
  ];
  const head = `${codeInHtml(job.job)} ${[KIND_WORDS[job.kind], ...counts].join(', ')}`;
  return fold(
    head,
    [factsOf(job), fieldsTable(fields), stepsOf(steps)].filter(isThere).join('\n\n'),
  );
};

const isThere = (text: string): boolean => text !== '';

const factsOf = (job: JobChange): string => {
  const where = job.nodes.map(({ node, copies }) => `${node} ×${copies}`);
  return [
    `- File ${code(job.file)}`,
    ...(job.to === null ? [] : [`- Version ${words(versionWords(job))}`]),
    ...job.images
      .slice(0, IMAGES_SHOWN)
      .map(
        ({ task, from, to }) =>
          `- Image of ${code(task)}: ${code(from ?? 'none')} → ${code(to ?? 'none')}`,
      ),
    `- Copies ${arrow(job.copies.from, job.copies.to)}${where.length === 0 ? '' : `, on ${words(named(where))}`}`,
    ...(job.waves === 0 ? [] : [`- ${many(job.waves, 'wave')}${missing(job)}`]),
  ].join('\n');
};

const missing = (job: JobChange): string =>
  job.kind !== 'changed'
    ? ''
    : job.downAtMost === 0
      ? ', no copy is missing at any time'
      : `, at most ${downWords(job)} copies down at once`;

const stepsOf = (steps: Parts['steps']): string => {
  if (steps.length === 0) return '';
  const lines = steps.slice(0, STEPS_SHOWN).map(({ first, last, step }) => {
    const name = first === last ? `Wave ${first}` : `Waves ${first}–${last}`;
    return `- ${name}: ${words(stepGroupWords(step))}`;
  });
  const rest = steps.length - lines.length;
  return ['Steps:\n', ...lines, ...(rest > 0 ? [`- … and ${rest} more`] : [])].join('\n');
};
