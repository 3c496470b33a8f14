// A forecast as text: waves of steps, then what is blocked, then problems.
// In: waves of plans. Out: lines, without colour. Not here: JSON (the plan is data already).

import type { Plan } from '../../schema/plan.ts';
import type { Problem } from '../../schema/problems.ts';
import { blockedWords, stepWords } from './words.ts';

/** Steps shown of one wave; the rest is counted. */
const STEPS_SHOWN = 50;

export interface PlanCounts {
  readonly start: number;
  readonly stop: number;
  readonly update: number;
  readonly blocked: number;
}

/** Steps of all waves, by kind; blocked as in the first wave. */
export const countsOf = (waves: readonly Plan[]): PlanCounts => {
  const steps = waves.flatMap((wave) => wave.steps);
  const count = (kind: string) => steps.filter((step) => step.kind === kind).length;
  return {
    start: count('start'),
    stop: count('stop'),
    update: count('update'),
    blocked: new Set((waves.at(-1)?.blocked ?? []).map(blockedWords)).size,
  };
};

/** `file:line:column  code  what is wrong  how to fix it`. */
export const problemLine = (problem: Problem): string =>
  `${problem.file}:${problem.line}:${problem.column}  ${problem.code}  ${problem.message}  ${problem.advice}`;

export const planText = (waves: readonly Plan[]): readonly string[] => {
  const acting = waves.filter(({ steps }) => steps.length > 0);
  const counts = countsOf(waves);
  const title =
    acting.length === 0
      ? 'Nothing to do.'
      : `${counts.start} start, ${counts.stop} stop, ${counts.update} in place, in ${acting.length} ${acting.length === 1 ? 'wave' : 'waves'}`;
  const last = waves.at(-1);
  const blocked = [...new Set((last?.blocked ?? []).map(blockedWords))];
  const problems = last?.problems ?? [];
  return [
    title,
    ...acting.flatMap((wave, index) => ['', `Wave ${index + 1}`, ...stepLines(wave)]),
    ...(blocked.length === 0
      ? []
      : ['', 'Not done, and why', ...blocked.map((line) => `  ${line}`)]),
    ...(problems.length === 0
      ? []
      : ['', 'Problems', ...problems.map((p) => `  ${problemLine(p)}`)]),
  ];
};

const stepLines = ({ steps }: Plan): readonly string[] => {
  const shown = steps.slice(0, STEPS_SHOWN).map((step) => `  ${stepWords(step)}`);
  const rest = steps.length - shown.length;
  return rest > 0 ? [...shown, `  … and ${rest} more`] : shown;
};
