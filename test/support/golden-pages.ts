// Renders the golden files of checks, comments, offers and notes to pages that a browser shows much as a forge does.
// Run: npx tsx test/support/golden-pages.ts FOLDER, then open FOLDER/rollout.html.
// In: nothing but the scenes. Out: one page a scene. Not here: pictures of them; any browser makes
// those, such as `chromium --headless --screenshot=rollout.png rollout.html`.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { marked } from 'marked';
import type { CheckBody } from '../../schema/forge.ts';
import { pullChecks, syncChecks } from './forge-scenes.ts';
import { comments, endNotes, rareChecks } from './forge-texts.ts';

const STYLE = `
  body { font: 14px/1.5 "DejaVu Sans", sans-serif; color: #1f2328; margin: 24px; width: 880px; }
  h1 { font-size: 20px; margin: 0 0 8px; } table { border-collapse: collapse; margin: 0 0 16px; }
  td, th { border: 1px solid #d1d9e0; padding: 5px 12px; text-align: left; }
  tr:nth-child(even) td { background: #f6f8fa; }
  code { font: 12px "DejaVu Sans Mono", monospace; background: #eff1f3; padding: 2px 5px; border-radius: 5px; overflow-wrap: anywhere; }
  pre { background: #f6f8fa; padding: 12px; border-radius: 6px; white-space: pre-wrap; } pre code { background: none; padding: 0; }
  summary { cursor: pointer; } details { margin: 0 0 8px; } hr { border: 0; border-top: 1px solid #d1d9e0; }
  .badge { display: inline-block; color: #fff; border-radius: 12px; padding: 2px 10px; font-size: 12px; }
  .success { background: #1a7f37; } .failure { background: #cf222e; }
  .action_required { background: #9a6700; } .in_progress, .queued { background: #9a6700; }
  .cancelled { background: #59636e; } .button { border: 1px solid #d1d9e0; border-radius: 6px; background: #f6f8fa; padding: 4px 12px; margin-right: 8px; font-weight: 600; }
  .comment { border: 1px solid #d1d9e0; border-radius: 6px; padding: 4px 16px; } h3 { font-size: 17px; margin: 8px 0; }
  .note { border-left: 4px solid #cf222e; background: #fff8f8; padding: 6px 12px; margin: 8px 0; }
`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const rendered = (markdown: string, breaks = false): string =>
  String(marked.parse(markdown, { async: false, breaks }));

const headOf = (title: string): string =>
  `<!doctype html><meta charset="utf-8"><title>${escaped(title)}</title><style>${STYLE}</style>`;

const pageOf = (name: string, check: CheckBody): string => {
  const { title, summary, text, conclusion, status, buttons, annotations } = check;
  const badge = conclusion ?? status;
  const kind = name.startsWith('sync') || name.startsWith('ended') ? 'sync' : 'plan';
  return `${headOf(title)}
<p><b>${kind}/shop</b> <span class="badge ${badge}">${badge.replace('_', ' ')}</span></p>
<h1>${escaped(title)}</h1>
<p>${buttons.map(({ label, description }) => `<span class="button" title="${description}">${label}</span>`).join('')}</p>
${rendered(summary)}${text === '' ? '' : `<hr>${rendered(text).replace('<details>', '<details open>')}`}
${annotations
  .slice(0, 10)
  .map(
    ({ path, startLine, title: what, message }) =>
      `<div class="note"><code>${escaped(path)}:${startLine}</code> <b>${escaped(what)}</b><br>${escaped(message)}</div>`,
  )
  .join('')}`;
};

/** In comments and in the texts of pull requests a line's end is one, other than in checks. */
const commentOf = (name: string, text: string): string =>
  `${headOf(name)}<div class="comment"><p><b>purser</b> <span class="badge cancelled">bot</span></p>${rendered(text, true)}</div>`;

/** As `git log --notes` shows it. */
const noteOf = (name: string, text: string): string =>
  `${headOf(name)}<pre><code>Notes (purser/shop):\n${escaped(text.replaceAll(/^/gm, '    '))}</code></pre>`;

const folder = process.argv[2];
if (folder === undefined) throw new Error('say in which folder the pages should be written');
mkdirSync(folder, { recursive: true });
const checks = [...(await pullChecks()), ...syncChecks(), ...(await rareChecks())];
const pages = [
  ...checks.map(([name, check]) => [name, pageOf(name, check)] as const),
  ...[...comments()].map(([name, text]) => [name, commentOf(name, text)] as const),
  ...[...endNotes()].map(([name, text]) => [name, noteOf(name, text)] as const),
];
for (const [name, page] of pages) writeFileSync(join(folder, `${name}.html`), page);
