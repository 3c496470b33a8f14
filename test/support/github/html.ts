// HTML of the local GitHub's pages: a template that escapes whatever is put into it, and Markdown
// as GitHub shows it.
// In: texts of anybody. Out: HTML in which they are text. Not here: pages (pages.ts).

import { Marked } from 'marked';

/** HTML that was made here. Only `html` and `markdown` make it. */
export interface Safe {
  readonly safe: string;
}

type Part = Safe | string | number | null | readonly Part[];

export const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');

const textOfPart = (part: Part): string => {
  if (part === null) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  return 'safe' in part ? part.safe : part.map(textOfPart).join('');
};

/** `html`<b>${name}</b>``: what is put in is text, unless it came out of here. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Safe => ({
  safe: strings.map((text, at) => text + textOfPart(parts[at] ?? null)).join(''),
});

/** The few tags that comments and checks use on GitHub, without attributes; the rest is text. */
const TAG = /<\/?(?:details|summary|br|sub|sup|kbd|b|i|code|pre)>|<details open>|<!--[\s\S]*?-->/g;

const onlyKnownTags = (text: string): string => {
  let out = '';
  let at = 0;
  for (const match of text.matchAll(TAG)) {
    out += escapeHtml(text.slice(at, match.index));
    if (!match[0].startsWith('<!--')) out += match[0];
    at = match.index + match[0].length;
  }
  return out + escapeHtml(text.slice(at));
};

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text }) => onlyKnownTags(text),
    link({ href, tokens }) {
      const inside = this.parser.parseInline(tokens);
      if (!/^(https?:\/\/|#|\/(?!\/))/i.test(href)) return inside;
      return `<a href="${escapeHtml(href)}" rel="nofollow noreferrer">${inside}</a>`;
    },
    // Nothing is loaded from elsewhere.
    image: ({ text }) => escapeHtml(text),
  },
});

export const markdown = (text: string): Safe => ({
  safe: `<div class="markdown">${marked.parse(text) as string}</div>`,
});
