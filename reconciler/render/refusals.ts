// Commits of a pull request that the signature policy would not accept: what is said before anyone
// merges. In: commits with reasons. Out: Markdown, a few words for a title. Not here: the judgement
// (schema/acceptance.ts).

import type { RefusedInPull } from '../../schema/pull-plan.ts';
import { refusalWords, remedyWords } from '../../schema/refusal.ts';
import { RANK, type Block } from './cut.ts';
import { commitCode, sentence, words } from './markdown.ts';
import { many } from './words.ts';

/** Lines of commits: with more, these say enough. */
const LISTED = 20;

export const refusalBlock = (refusals: readonly RefusedInPull[]): Block => {
  const lines = refusals
    .slice(0, LISTED)
    .map(
      ({ commit, author, reason }) =>
        `- ${commitCode(commit)} by ${words(author.email)} ${words(refusalWords(reason))}`,
    );
  const rest = refusals.length - lines.length;
  const all = [...lines, ...(rest === 0 ? [] : [`- … and ${many(rest, 'more commit')}`])];
  const remedies = [...new Set(refusals.map(({ reason }) => remedyWords(reason)))];
  return {
    open: '**Once merged these commits would not be accepted, and nothing of the branch be done**\n',
    rows: all.map((line) => ({ text: () => line, rank: RANK.verdict })),
    close: `\n${remedies.map((one) => `${sentence(one)}.`).join('\n\n')}`,
    noun: 'commit',
  };
};
