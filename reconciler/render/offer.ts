// What is said to people beside checks and plans: a commit that is offered as a pull request, and what
// became of their click or comment. In: a commit's message, an answer. Out: Markdown. What a program
// printed and what others called things is shown as text. Not here: the message, the decision.

import { MARKDOWN_LIMIT, TITLE_LIMIT } from '../../schema/forge.ts';
import { plainLine, shortened } from '../../schema/plain.ts';
import { fenced, sentence } from './markdown.ts';

/** Of one answer; three of them stand below a check beside 62,000 characters. */
const ANSWER_LIMIT = 300;
/** Longer than any trailer; the message has some twenty lines, and a mark may be 19 characters. */
const SHORT_LINE = 120;
/** A line of a log in a commit's message (plan/proposals). */
const LOG_LINE = /^ {4}\| /;

export interface OfferText {
  readonly title: string;
  readonly body: string;
}

export const offerText = (message: string): OfferText => {
  const [title = '', ...rest] = message.trim().split('\n');
  const body = rest.join('\n').trim();
  const whole = bodyOf(body.split('\n'));
  // Without the logs, and with the beginnings of long lines: the trailers must stand there, by them
  // the offer is known.
  const bare = body.split('\n').filter((line) => !LOG_LINE.test(line));
  const short = (): string => bodyOf(bare.map((line) => shortened(line, SHORT_LINE)));
  const shown = whole.length <= MARKDOWN_LIMIT ? whole : short();
  return { title: shortened(plainLine(title), TITLE_LIMIT), body: shown.slice(0, MARKDOWN_LIMIT) };
};

const bodyOf = (lines: readonly string[]): string => {
  const made: string[] = [];
  let log: string[] = [];
  const close = (): void => {
    if (log.length > 0) made.push('', fenced(log), '');
    log = [];
  };
  for (const line of lines) {
    if (LOG_LINE.test(line)) {
      log.push(line.replace(LOG_LINE, ''));
      continue;
    }
    close();
    made.push(line.startsWith('- ') ? `- ${sentence(line.slice(2))}` : sentence(line));
  }
  close();
  return made.join('\n');
};

/** One line; cut before it is Markdown, so that no mark of it is cut in two. */
export const answerText = (words: string): string => {
  const line = plainLine(words);
  for (let most = ANSWER_LIMIT; ; most = Math.floor(most * 0.8)) {
    const made = sentence(shortened(line, most));
    if (made.length <= ANSWER_LIMIT) return made;
  }
};
