// A plan in a few words: counts of what it does, then what is wrong with it.
// In: a summary and its judgement. Out: a title within the forge's limit. Not here: the check
// (plan-check), the note on a commit (note).

import type { OwnedChange } from '../../schema/behind.ts';
import { TITLE_LIMIT } from '../../schema/forge.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { StepGroup, Summary } from '../../schema/summary.ts';
import type { Verdict } from './plan-verdict.ts';
import { many, manyCopies, ownersNamed } from './words.ts';

/** `3 start, 3 stop, 1 moves, 1 job does not fit`. */
export const planTitle = (
  summary: Summary,
  verdict: Verdict,
  open: readonly OwnedChange[] = [],
): string => {
  const { starts, stops, moves, updates } = countsOf(summary);
  const removed = summary.jobs.filter(({ kind }) => kind === 'removed').length;
  const counts = [
    ...(starts === 0 ? [] : [`${starts} start`]),
    ...(stops === 0 ? [] : [`${stops} stop`]),
    ...(moves === 0 ? [] : [`${moves} ${moves === 1 ? 'moves' : 'move'}`]),
    ...(updates === 0 ? [] : [`${updates} updated in place`]),
    ...(removed === 0 ? [] : [`${many(removed, 'job')} removed`]),
  ];
  const { refused, errors, unplaced, waiting, uncovered } = verdict;
  const troubles = [
    ...(refused === 0 ? [] : [`${many(refused, 'commit')} would not be accepted`]),
    ...(errors === 0 ? [] : [many(errors, 'error')]),
    ...(unplaced === 0
      ? []
      : [`${many(unplaced, 'job')} ${unplaced === 1 ? 'does' : 'do'} not fit`]),
    ...(waiting === 0 ? [] : [`${many(waiting, 'job')} cannot run`]),
    ...(uncovered === 0 ? [] : [`${manyCopies(uncovered)} would stop once approved`]),
    ...(summary.stopped === null ? [] : ['nothing would be done at all']),
  ];
  const isQuiet = counts.length === 0 && troubles.length === 0;
  const waits = open.length === 0 ? [] : [`waits for ${ownersNamed(open)}`];
  const all = [...(isQuiet ? ['Nothing starts or stops'] : [...counts, ...troubles]), ...waits];
  return shortened(plainLine(all.join(', ')), TITLE_LIMIT);
};

/** What stops for a move or a drain and starts elsewhere is counted once, as a move. */
const countsOf = ({ jobs, waves }: Summary) => {
  const sum = (key: 'starts' | 'stops' | 'updates') => jobs.reduce((all, job) => all + job[key], 0);
  const steps = waves.flatMap((wave) => wave.steps);
  const leaving = new Set(steps.filter(isLeaving).flatMap(slotsOf));
  const moves = steps
    .filter(({ kind }) => kind === 'start')
    .flatMap(slotsOf)
    .filter((slot) => leaving.delete(slot)).length;
  return {
    starts: sum('starts') - moves,
    stops: sum('stops') - moves,
    moves,
    updates: sum('updates'),
  };
};

const isLeaving = ({ kind, reason }: StepGroup): boolean =>
  kind === 'stop' && (reason === 'moved' || reason === 'drain');

const slotsOf = ({ job, group, indexes }: StepGroup): readonly string[] =>
  indexes.map((index) => `${job}/${group}[${index}]`);
