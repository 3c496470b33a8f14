// Markdown for forges, made so that no value of others can be read as anything but its own text.
// In: values of any origin. Out: text that shows them: words, code, tables, folds. Nobody is
// mentioned, nothing is linked, no HTML of theirs gets through. What is not escaped here was
// written by Purser. Not here: what fits into the forge's limits (cut), what is said.

import { plainLine, plainLines, shortened } from '../../schema/plain.ts';

/** A longer value says no more to a reviewer; the whole of it is in Git. */
const VALUE_LIMIT = 300;
/**
 * Runners cut what a program says at 500 characters. Longer ones come from nodes that do not, and
 * would take the room of what else there is to say.
 */
const SENTENCE_LIMIT = 1_000;

/** What Markdown or HTML reads; forges set formulas between dollar signs. */
const MARKS = /[\\`*_[\]~<>&"$|]|^[-+=#]|(?<=^\d{1,9})[.)](?= |$)/;
/**
 * What forges look for once Markdown is read, so that no escape helps: names after `@`, numbers
 * after `#` or `GH-`, links, emoji. Characters without width split them.
 */
const LIVELY = /@|#(?=\w)|(?<=\bgh)-(?=\d)|(?<=\bwww)\.|:(?=\/\/)|:(?=[a-z+-][\w+-]*:)/;
const ANY = new RegExp(`(${LIVELY.source})|${MARKS.source}`, 'gi');

const SPLIT = '&#8203;';
/** Numbers of characters stand for text wherever they are, in Markdown as between HTML tags. */
const numbered = (mark: string): string => `&#${mark.codePointAt(0)};`;

/** A value as text: in a sentence, in a table's cell, between HTML tags. */
export const words = (text: string): string =>
  plainLine(text).replaceAll(ANY, (mark, lively: string | undefined) =>
    lively === undefined ? numbered(mark) : `${SPLIT}${numbered(mark)}${SPLIT}`,
  );

/** A message of ours about values of others: what it sets between backticks is code. */
export const sentence = (text: string): string => {
  const line = shortened(plainLine(text), SENTENCE_LIMIT);
  const parts = line.split('`');
  if (parts.length % 2 === 0) return words(line);
  return parts
    .map((part, index) => {
      if (index % 2 === 1) return code(part);
      const [before = ''] = /^ */.exec(part) ?? [];
      const [after = ''] = / *$/.exec(part.slice(before.length)) ?? [];
      return `${before}${words(part)}${after}`;
    })
    .join('');
};

/** A value as it is written in files: names, versions, images. Nothing is linked in it. */
export const code = (text: string): string => {
  const shown = shortened(plainLine(text), VALUE_LIMIT);
  if (shown === '') return '<code></code>';
  return /[`|\\&]/.test(shown) ? `<code>${words(shown)}</code>` : `\`${shown}\``;
};

/** A commit, as short as forges show it. */
export const commitCode = (oid: string): string => code(oid.slice(0, 12));

/** Between HTML tags no Markdown is read: the head of a fold. */
export const codeInHtml = (text: string): string =>
  `<code>${words(shortened(plainLine(text), VALUE_LIMIT))}</code>`;

/** Lines as they are, such as those of a log; as many backticks as none of them holds. */
export const fenced = (lines: readonly string[]): string => {
  const shown = lines.flatMap(plainLines).map((line) => shortened(line, VALUE_LIMIT));
  const runs = shown.flatMap((line) => line.match(/`+/g) ?? []);
  const fence = '`'.repeat(runs.reduce((most, run) => Math.max(most, run.length), 2) + 1);
  return [fence, ...shown, fence].join('\n');
};

/** A row of a table; cells are Markdown already, of which `words` and `code` leave no bar. */
export const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

export const tableHead = (names: readonly string[]): string =>
  `${row(names)}\n${row(names.map(() => '---'))}`;

/** Opens on a click. `head` is HTML, `body` Markdown. */
export const fold = (head: string, body: string): string =>
  `${foldOpen(head)}\n\n${body}\n\n${FOLD_CLOSE}\n`;

export const foldOpen = (head: string): string => `<details><summary>${head}</summary>`;
export const FOLD_CLOSE = '</details>';
