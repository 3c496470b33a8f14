// Markdown as a forge reads it, and texts that try to be more than text.
// In: Markdown; chance. Out: HTML, and what of it is more than text; hostile texts. Not here: what is
// asked of it (test/property).

import fc from 'fast-check';
import { marked } from 'marked';

const PIECES = [
  '@everyone',
  'ada@example.org',
  '#123',
  'GH-7',
  'org/repo#1',
  'https://evil.example',
  'www.evil.example',
  '<script>alert(1)</script>',
  '<!-- ',
  '</details>',
  '</code>',
  '![x](y)',
  '[a]: b',
  '**b**',
  '__c__',
  '~~~',
  '```',
  '`',
  '|',
  '\\',
  '\\|',
  '$x$',
  ':tada:',
  '&lt;',
  '&#35;',
  '# h',
  '- l',
  '1. n',
  '> q',
  '===',
  '---',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '\u001b[31mred\u001b[0m',
  '\u001b]0;title\u0007',
  '\u202edlrow',
  '\u200b',
  '\ud800',
  '日本語',
  '🙂',
  'a',
  'Z9',
];
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

export const render = (markdown: string): string =>
  String(marked.parse(markdown, { async: false }));

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', amp: '&' };

const decodedText = (html: string): string =>
  html
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&(?:#(\d+)|(\w+));/g, (whole, number: string | undefined, name: string) =>
      number === undefined ? (NAMED[name] ?? whole) : String.fromCodePoint(Number(number)),
    );

export const decoded = (html: string): string => decodedText(html).replaceAll('\u200b', '');

/** Whether every fence that is opened is closed again. */
export const fencesClose = (markdown: string): boolean => {
  let open: string | null = null;
  for (const line of markdown.split('\n')) {
    const fence = /^`{3,}/.exec(line)?.[0] ?? null;
    if (open === null) open = fence;
    else if (line === fence && fence.length >= open.length) open = null;
  }
  return open === null;
};

export const tagsOf = (html: string): readonly string[] =>
  [...html.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, name]) => name ?? '');

/** What a forge would look for in the text of a page, code left out. */
export const livelyIn = (html: string): string | null => {
  const bare = decodedText(html.replaceAll(/<(code|pre)\b[^>]*>[\s\S]*?<\/\1>/g, ''));
  return /@\w|#\d|\bgh-\d|:\/\/|\bwww\./i.exec(bare)?.[0] ?? null;
};
