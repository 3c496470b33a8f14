// What stands beside the checks: the one comment on a pull request, and one line for
// deployments.
// In: a plan, or a check. Out: Markdown, or a line within the forge's limit. Not here: the mark by
// which the comment is found again (edge/forge).

import { MARKDOWN_LIMIT, STATUS_LIMIT } from '../../schema/forge.ts';
import type { CheckBody } from '../../schema/forge.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import { code, words } from './markdown.ts';
import { planCheck } from './plan-check.ts';
import type { PlanContext } from './plan-verdict.ts';

/** The check's summary below its title; details are in the check. */
export const pullComment = (plan: PullPlan, context: PlanContext): string => {
  const { title, summary, buttons } = planCheck(plan, context);
  const head = `### Plan for ${code(context.cluster)}: ${words(title)}`;
  const commands = [
    code('/purser plan'),
    ...(buttons.length === 0 ? [] : [code('/purser approve')]),
  ];
  const tail = `Details are in the check ${code(`plan/${context.cluster}`)}. As a comment: ${commands.join(' or ')}.`;
  const room = MARKDOWN_LIMIT - head.length - tail.length - 4;
  // Cut once, for the check; only a head as long as a title can go over.
  const text = summary.length <= room ? summary : 'The summary is in the check.';
  return [head, text, tail].join('\n\n');
};

/** What stays of it once the pull request is closed; the forge shows it folded. */
export const closedComment = (merged: boolean): string =>
  merged
    ? 'Merged. How the rollout goes is told by the check of the merged commit.'
    : 'Closed without a merge: nothing of it was done.';

/** Of a deployment, and of a commit status: the title, as far as it fits. */
export const deploymentWords = ({ title }: Pick<CheckBody, 'title'>): string =>
  shortened(plainLine(title), STATUS_LIMIT);
