// The check of a change that is not merged: what it would do, and whether it may be merged.
// In: the plan of its merge beside that of what stands, approvals. Out: title, verdict, summary for
// a reviewer, details, remarks on lines, and at most one button. Not here: the comment (comment),
// rows of single jobs (plan-jobs), when it is told (reconciler/forge).

import { MARKDOWN_LIMIT } from '../../schema/forge.ts';
import type { CheckBody } from '../../schema/forge.ts';
import type { PullPlan, RefusedInPull } from '../../schema/pull-plan.ts';
import { approveButton } from './buttons.ts';
import { cut, paragraph, RANK } from './cut.ts';
import { code, commitCode, sentence } from './markdown.ts';
import { planAnnotations } from './plan-annotations.ts';
import { planDetails, planSummary } from './plan-blocks.ts';
import { planTitle } from './plan-title.ts';
import { judge, type PlanContext, type Planned } from './plan-verdict.ts';
import { refusalBlock } from './refusals.ts';
import { FULL } from './visibility.ts';
import { many } from './words.ts';

export const planCheck = (plan: PullPlan, context: PlanContext): CheckBody => {
  switch (plan.kind) {
    case 'planned':
      return plannedCheck(plan, context);
    case 'untouched': {
      const { refusals = [] } = plan;
      const refused = `${many(refusals.length, 'commit')} would not be accepted`;
      if (refusals.length > 0) return refusedCheck(refused, refusals);
      return ended('success', 'Nothing of this cluster changes', [
        `No file below ${where(context)} differs from ${commitCode(plan.base)}.`,
      ]);
    }
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

/** No file of the cluster differs, but with `strict` its commits would stand in the way of others. */
const refusedCheck = (title: string, refusals: readonly RefusedInPull[]): CheckBody => ({
  ...ended('failure', title, []),
  summary: cut([refusalBlock(refusals)], MARKDOWN_LIMIT),
});

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

const toldOf = ({ unjudged, place = 'check' }: PlanContext) => ({
  place,
  ...(unjudged === undefined ? {} : { unjudged }),
});

/** The comment says the same between a head and a line of commands, which have their room so. */
const COMMENT_ROOM = 2000;

const plannedCheck = (plan: Planned, context: PlanContext): CheckBody => {
  const verdict = judge(plan, context);
  const visibility = context.visibility ?? FULL;
  const covered = { slots: plan.effects.slots, files: context.open ?? [] };
  const seen = { plan, verdict, visibility, open: context.open ?? [], ...toldOf(context) };
  return {
    status: 'completed',
    conclusion: verdict.conclusion,
    title: planTitle(plan.summary, verdict, seen.open),
    summary: cut(planSummary(seen), MARKDOWN_LIMIT - COMMENT_ROOM),
    text: cut(planDetails(seen), MARKDOWN_LIMIT),
    annotations: planAnnotations(seen, context.directory),
    buttons: verdict.conclusion === 'action_required' ? [approveButton(covered)] : [],
    covered,
  };
};
