// What stands beside the checks: the one comment on a pull request, and one line for
// deployments.
// In: a plan, or a check. Out: Markdown, or a line within the forge's limit. Not here: the mark by
// which the comment is found again (edge/forge).

import { utf8Bytes } from '../../schema/body-size.ts';
import { MARKDOWN_LIMIT, STATUS_LIMIT, TITLE_LIMIT } from '../../schema/forge.ts';
import type { CheckBody } from '../../schema/forge.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import type { PullPlan } from '../../schema/pull-plan.ts';
import { code, words } from './markdown.ts';
import { withoutAsking } from './plan-blocks.ts';
import { planCheck } from './plan-check.ts';
import type { PlanContext } from './plan-verdict.ts';

/**
 * The check's summary below its title; details are in the check. Where there are no checks, they are
 * here, as far as there is room.
 */
export const pullComment = (
  plan: PullPlan,
  context: PlanContext,
  hasChecks: boolean = true,
): string => {
  const {
    title,
    summary,
    text: details,
    buttons,
  } = planCheck(plan, {
    ...context,
    place: hasChecks ? 'comment' : 'only-comment',
  });
  const head = `### Plan for ${code(context.cluster)}: ${words(title)}`;
  const commands = [
    code('/purser plan'),
    ...(buttons.length === 0 ? [] : [code('/purser approve')]),
  ];
  const name = code(`plan/${context.cluster}`);
  const where = hasChecks ? `Details are in the check ${name}. ` : '';
  const tail = `${where}As a comment: ${commands.join(' or ')}.`;
  const room = MARKDOWN_LIMIT - utf8Bytes(head) - utf8Bytes(tail) - 4;
  // Cut once, for the check; only a head as long as a title can go over.
  const text = utf8Bytes(summary) <= room ? summary : TOO_LONG[hasChecks ? 'check' : 'nowhere'];
  const isAllHere = hasChecks || details === '' || utf8Bytes(text) + utf8Bytes(details) + 2 > room;
  return [head, text, ...(isAllHere ? [] : [details]), tail].join('\n\n');
};

const TOO_LONG = {
  check: 'The summary is in the check.',
  nowhere: 'The summary is too long for a comment: see `purser plan`.',
} as const;

/** What stays of it once the pull request is closed; the forge shows it folded. */
export const closedComment = (merged: boolean): string =>
  merged
    ? 'Merged. How the rollout goes is told at the merged commit, where removals that wait are approved.'
    : 'Closed without a merge: nothing of it was done.';

/** What was said of a pull request that is closed, as it ends. */
export const closedCheck = (
  { title, summary }: Pick<CheckBody, 'title' | 'summary'>,
  merged: boolean,
): Pick<CheckBody, 'status' | 'conclusion' | 'title' | 'summary' | 'buttons'> => ({
  status: 'completed',
  conclusion: 'cancelled',
  title: shortened(`${merged ? 'Merged' : 'Closed'}: ${title}`, TITLE_LIMIT),
  summary: withinLimit(
    `**${closedComment(merged)}** The last plan was:\n\n`,
    withoutAsking(summary),
  ),
  buttons: [],
});

/** A summary that fills its room keeps it: nothing is cut in the middle. */
const withinLimit = (head: string, text: string): string =>
  utf8Bytes(head) + utf8Bytes(text) <= MARKDOWN_LIMIT ? head + text : text;

/** Of a deployment, and of a commit status: the title, as far as it fits. */
export const deploymentWords = ({ title }: Pick<CheckBody, 'title'>): string =>
  shortened(plainLine(title), STATUS_LIMIT);
