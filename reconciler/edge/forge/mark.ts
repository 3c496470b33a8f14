// What Purser writes below its checks and comments to find them again: a hidden mark with what was
// written and which requests were answered, and the answers, for people.
// In: a body and what to remember. Out: Markdown, and back. So all state is on the forge: after the
// loss of the disk nothing is written twice and no click is answered twice. Pure.

import type { Button } from '../../../schema/forge.ts';

export interface Marks {
  /** Of what was asked to be written, so that equal things are not written twice; '' for unknown. */
  readonly hash: string;
  readonly folded: boolean;
  /** GitHub does not tell a check's buttons. */
  readonly buttons: readonly Button[];
  /** Requests that were answered here, newest last, at most ANSWERED_KEPT. */
  readonly answered: readonly string[];
  /** Answers in words, one line of Markdown each, newest last, at most ANSWERS_SHOWN. */
  readonly answers: readonly string[];
}

export const NO_MARKS: Marks = {
  hash: '',
  folded: false,
  buttons: [],
  answered: [],
  answers: [],
};

/** Answers that people see; older ones have been seen. */
export const ANSWERS_SHOWN = 3;
/** Requests remembered below one check: an older click than so many is past CLICK_AGE_MS. */
export const ANSWERED_KEPT = 20;
/** Characters of one answer. */
export const ANSWER_MAX = 300;

const ANSWERS = '<!-- purser:answers -->';
const MARK = /(?:^|\n\n)<!-- purser:mark (\{.*\}) -->\s*$/;

/** At most 3,400 characters longer than the body: what MARKDOWN_LIMIT leaves free. */
export const withMarks = (body: string, marks: Marks): string => {
  const { hash, folded, buttons } = marks;
  const answers = marks.answers.slice(-ANSWERS_SHOWN);
  const answered = marks.answered.slice(-ANSWERED_KEPT);
  // Only `-->` would end the comment.
  const json = JSON.stringify({ hash, folded, buttons, answered }).replaceAll('>', '\\u003e');
  const shown = answers.length === 0 ? [] : [ANSWERS, ...answers.map((line) => `> ${line}\n`)];
  return [body, ...shown, `<!-- purser:mark ${json} -->`].join('\n\n');
};

/** The body as it was asked for, and the marks; without a mark: all of it is body. */
export const splitMarks = (text: string): { readonly body: string; readonly marks: Marks } => {
  const normal = text.replaceAll('\r\n', '\n');
  const found = MARK.exec(normal);
  const mark = parsed(found?.[1]);
  if (found === null || mark === null) return { body: normal, marks: NO_MARKS };
  const above = normal.slice(0, found.index);
  const at = above.lastIndexOf(`\n\n${ANSWERS}`);
  if (at < 0) return { body: above, marks: { ...mark, answers: [] } };
  const answers = above
    .slice(at)
    .split('\n')
    .filter((line) => line.startsWith('> '))
    .map((line) => line.slice(2));
  return { body: above.slice(0, at), marks: { ...mark, answers } };
};

export const withAnswer = (marks: Marks, id: string, line: string): Marks => ({
  ...marks,
  answered: [...marks.answered.filter((known) => known !== id), id].slice(-ANSWERED_KEPT),
  answers: [...marks.answers, line].slice(-ANSWERS_SHOWN),
});

/** People can edit what stands there, so nothing of it is taken unseen. */
const parsed = (text: string | undefined): Marks | null => {
  if (text === undefined) return null;
  try {
    const json = JSON.parse(text) as Partial<Record<string, unknown>>;
    const { hash, folded, buttons, answered } = json;
    return {
      hash: typeof hash === 'string' ? hash : '',
      folded: folded === true,
      buttons: Array.isArray(buttons) ? buttons.filter(isButton) : [],
      answered: Array.isArray(answered) ? answered.map(String).slice(-ANSWERED_KEPT) : [],
      answers: [],
    };
  } catch {
    return null;
  }
};

const isButton = (value: unknown): value is Button => {
  if (typeof value !== 'object' || value === null) return false;
  const { id, label, description, covers = '' } = value as Partial<Record<string, unknown>>;
  return [id, label, description, covers].every((part) => typeof part === 'string');
};
