// The check of a change that is not merged: what it would do, and whether it may be merged.
// In: the plan of its merge beside that of what stands, approvals. Out: title, verdict, summary for
// a reviewer, details, remarks on lines, and at most one button. Not here: the comment (comment),
// rows of single jobs (plan-jobs), when it is told (reconciler/forge).

import type { OwnedChange } from '../../schema/behind.ts';
import { MARKDOWN_LIMIT, TITLE_LIMIT } from '../../schema/forge.ts';
import type { CheckBody } from '../../schema/forge.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import type { StepGroup, Summary } from '../../schema/summary.ts';
import { BUTTONS } from './buttons.ts';
import { cut, paragraph, RANK } from './cut.ts';
import { code, commitCode, sentence } from './markdown.ts';
import { planAnnotations } from './plan-annotations.ts';
import { ownersNamed, planDetails, planSummary } from './plan-blocks.ts';
import { judge, type PlanContext, type Planned, type Verdict } from './plan-verdict.ts';
import { FULL } from './visibility.ts';
import { many, manyCopies } from './words.ts';

export const planCheck = (plan: PullPlan, context: PlanContext): CheckBody => {
  switch (plan.kind) {
    case 'planned':
      return plannedCheck(plan, context);
    case 'untouched':
      return ended('success', 'Nothing of this cluster changes', [
        `No file below ${where(context)} differs from ${commitCode(plan.base)}.`,
      ]);
    case 'conflict':
      return ended('failure', `Conflicts with the branch in ${many(plan.files.length, 'file')}`, [
        `It cannot be merged onto ${commitCode(plan.base)} as it stands, so there is no plan.`,
        plan.files
          .slice(0, FILES_SHOWN)
          .map((file) => `- ${code(file)}`)
          .join('\n'),
        ...(plan.files.length > FILES_SHOWN
          ? [`… and ${plan.files.length - FILES_SHOWN} more.`]
          : []),
        'Merge the branch into yours, or rebase yours onto it, and push.',
      ]);
    case 'failed':
      return ended('failure', 'The plan was not worked out', [
        sentence(plan.message),
        `Nothing is known against the change: comment ${code('/purser plan')} to try again.`,
      ]);
    default:
      return plan satisfies never;
  }
};

/** Conflicting files that are listed. */
const FILES_SHOWN = 50;

const where = ({ directory }: PlanContext): string =>
  directory === '' ? 'the root of the repository' : code(directory);

const ended = (
  conclusion: 'success' | 'failure',
  title: string,
  paragraphs: readonly string[],
): CheckBody => ({
  status: 'completed',
  conclusion,
  title,
  summary: cut(
    paragraphs.map((text) => paragraph(text, RANK.verdict)),
    MARKDOWN_LIMIT,
  ),
  text: '',
  annotations: [],
  buttons: [],
});

const plannedCheck = (plan: Planned, context: PlanContext): CheckBody => {
  const verdict = judge(plan, context);
  const visibility = context.visibility ?? FULL;
  const seen = { plan, verdict, visibility, open: context.open ?? [] };
  return {
    status: 'completed',
    conclusion: verdict.conclusion,
    title: planTitle(plan.summary, verdict, seen.open),
    summary: cut(planSummary(seen), MARKDOWN_LIMIT),
    text: cut(planDetails(seen), MARKDOWN_LIMIT),
    annotations: planAnnotations(seen, context.directory),
    buttons: verdict.conclusion === 'action_required' ? [BUTTONS.approve] : [],
  };
};

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
  const { errors, unplaced, waiting, uncovered } = verdict;
  const troubles = [
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
