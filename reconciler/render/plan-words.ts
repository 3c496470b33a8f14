// Words for what a plan does to a job, a copy and the cluster's room: for a terminal as for a forge.
// In: parts of a summary. Out: phrases. Not here: lines and columns (plan-text), Markdown
// (plan-check).

import type { JobChange, StepGroup, Summary } from '../../schema/summary.ts';
import type { Resources } from '../../schema/spec.ts';
import { formatCpu, formatSize } from '../../schema/units.ts';
import { named, START_WORDS, STOP_WORDS } from './words.ts';

export const KIND_WORDS: Readonly<Record<JobChange['kind'], string>> = {
  new: 'new job',
  removed: 'is removed',
  changed: 'changes',
};

/** Twelve characters of a digest are enough for people. */
export const shortImage = (reference: string | null): string =>
  reference === null ? 'none' : reference.replace(/(@sha256:[0-9a-f]{12})[0-9a-f]+$/, '$1…');

export const versionWords = ({ from, to }: JobChange): string => {
  const short = (hash: string | null) => hash?.slice(0, 12) ?? 'none';
  return from === to ? `${short(to)}, unchanged` : `${short(from)} → ${short(to)}`;
};

export const wavesWords = ({ waves, downAtMost, copies, kind }: JobChange): string => {
  if (kind !== 'changed') return String(waves);
  const of = Math.min(copies.from, copies.to);
  return downAtMost === 0
    ? `${waves}, no copy is missing at any time`
    : `${waves}, at most ${downAtMost} of ${of} copies down at once`;
};

export const stepGroupWords = (step: StepGroup): string => {
  const { kind, job, group, indexes } = step;
  const slots = indexes.map((index) => String(index));
  const slot = `${job}/${group}[${named(slots)}]`;
  const where = `on ${named(step.nodes)}`;
  return `${kind.padEnd(6)} ${slot} ${where} (${reasonWords(step)})`;
};

const reasonWords = ({ kind, reason, changes }: StepGroup): string => {
  if (kind === 'update') return `in place: ${changes.join(', ')}`;
  const words: Readonly<Record<string, string>> = kind === 'stop' ? STOP_WORDS : START_WORDS;
  return words[reason] ?? reason;
};

/** Worked example: of 4 cores, 1.2 promised before and 1.5 after. */
export const capacityLine = ({ capacity: { before, after, total } }: Summary): string =>
  `Promised to copies: ${roomWords(before, after, total)}.`;

/** A limit of a quota that is not written has the largest integer: nothing to say about it. */
const isLimit = (amount: number): boolean => amount < Number.MAX_SAFE_INTEGER;

export const roomWords = (before: Resources, after: Resources, total: Resources): string => {
  const cpu = `CPU ${formatCpu(before.cpuMilli)} → ${formatCpu(after.cpuMilli)} of ${formatCpu(total.cpuMilli)}`;
  const memory = `memory ${formatSize(before.memoryBytes)} → ${formatSize(after.memoryBytes)} of ${formatSize(total.memoryBytes)}`;
  return [
    ...(isLimit(total.cpuMilli) ? [cpu] : []),
    ...(isLimit(total.memoryBytes) ? [memory] : []),
  ].join(', ');
};
