// Text of others as one may show it: without what hides, turns or overwrites what a person reads.
// In: text of any origin: a log, a commit's message, a file. Out: the same without terminal codes,
// control and format characters (bidi marks among them), and without calling anybody. Not here: escaping for Markdown
// (reconciler/render/markdown), which lines of a log are kept (node-runner/decide/log-lines).

const ESC = String.fromCodePoint(0x1b);
const BEL = String.fromCodePoint(0x07);

/** Colours and cursor moves of terminals: CSI sequences, and OSC sequences up to their end. */
const ESCAPES = new RegExp(
  [
    `${ESC}\\[[0-?]*[ -/]*[@-~]`,
    `${ESC}\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)?`,
    `${ESC}[@-Z\\\\^_]`,
  ].join('|'),
  'g',
);

/** Control and format characters: they could hide, turn or overwrite what a person reads. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029]/gu;

/** The lines of a text, each without what is not text; empty ones left out. */
export const plainLines = (text: string): readonly string[] =>
  text
    .replaceAll(ESCAPES, '')
    .split(/\r\n|\n|\r/)
    .map((line) => line.replaceAll('\t', ' ').replaceAll(INVISIBLE, '').trimEnd())
    .filter((line) => line !== '');

/** The whole text as one line, white space as single spaces. */
export const plainLine = (text: string): string =>
  isPlain(text) ? text : plainLines(text).join(' ').replaceAll(/\s+/g, ' ').trim();

/** Colours that hide nothing: neither concealed, nor inverse, nor black, nor white. */
const COLOUR = '(?:0?[0-4]|2[2-4]|3[1-69]|9[0-6])';
const COLOURS = new RegExp(`(${ESC}\\[(?:${COLOUR}(?:;${COLOUR})*)?m)`);
const LAID_OUT = /[\t\n]/;

/**
 * For a terminal: lines and colours stay, what else a terminal would obey or not show goes.
 */
export const forTerminal = (text: string): string =>
  isPlain(text)
    ? text
    : text
        .split(COLOURS)
        .map((part) => (COLOURS.test(part) ? part : withoutCodes(part)))
        .join('');

const withoutCodes = (text: string): string =>
  text.replaceAll(ESCAPES, '').replaceAll(INVISIBLE, (mark) => (LAID_OUT.test(mark) ? mark : ''));

/** JSON that says the same, and holds nothing that a terminal obeys. */
export const jsonForTerminal = (json: string): string =>
  json.replaceAll(INVISIBLE, (mark) =>
    LAID_OUT.test(mark) ? mark : mark.split('').map(escaped).join(''),
  );

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Names, images and most values are: they need no work. */
const isPlain = (text: string): boolean => /^[!-~]+(?: [!-~]+)*$/.test(text);

/**
 * At most so many UTF-16 units, and so many characters at most, whichever a reader counts; the last
 * one is `…` where some were left out. No character is cut in two: half of one is no text, and a
 * forge that is sent it refuses the whole request.
 */
export const shortened = (text: string, most: number): string => {
  if (text.length <= most) return text;
  const end = Math.max(0, most - 1);
  const isInside = (text.codePointAt(end - 1) ?? 0) > 0xffff;
  return `${text.slice(0, isInside ? end - 1 : end)}…`;
};

/**
 * A text for where forges read text as it is and no escape helps, such as a commit's message: names
 * after `@`, numbers after `#` or `GH-` and addresses of pages are split, so that nobody is called,
 * nothing is closed and nothing is linked.
 */
export const uncalling = (text: string): string =>
  text.replaceAll(
    /@(?=[\w-])|#(?=\d)|(?<=\bgh)-(?=\d)|:(?=\/\/)|(?<=\bwww)\./gi,
    (mark) => `${mark}\u200b`,
  );

/** What is to be said, in one line; null: nothing. */
export const saidTogether = (...all: readonly (string | null)[]): string | null => {
  const said = all.filter((one) => one !== null);
  return said.length === 0 ? null : said.join('; ');
};
