// What is said beside checks: offers as pull requests, and answers to people. Values of others are
// shown as text, and nothing is cut in the middle of a mark.

import { marked } from 'marked';
import { expect, test } from 'vitest';
import { answerText, offerText } from '../../../reconciler/render/offer.ts';

const html = (markdown: string): string =>
  String(marked.parse(markdown, { async: false })).replaceAll(
    /<(code|pre)\b[^>]*>[^]*?<\/\1>/g,
    '',
  );

const MESSAGE = [
  'Revert shop/web: exit code 7',
  '',
  'The version of shop/web that commit 0123 ("@org/team <img src=x> Fixes #12") brought in',
  'failed: exit code 7.',
  '',
  '- web-1 on n1, task web: exit code 7',
  '  last lines of its log:',
  '    | @everyone ```',
  '    | </details><script>alert(1)</script>',
  '',
  'Purser-Reverts: 0123456789',
  'Purser-Job: shop/web',
].join('\n');

test('an offer shows what others wrote as text, its log as code, and its trailers as they are', () => {
  const { title, body } = offerText(MESSAGE);
  expect(title).toBe('Revert shop/web: exit code 7');
  expect(html(body)).not.toMatch(/@\w|#\d|<img|<script|<\/details/);
  expect(body).toContain('````\n@everyone ```\n</details><script>alert(1)</script>\n````');
  expect(body).toContain('\nPurser-Reverts: 0123456789\nPurser-Job: shop/web');
});

test('an offer that is too long goes without its log, and keeps its trailers', () => {
  const log = Array.from({ length: 1000 }, (_, at) => `    | ${at} ${'`'.repeat(100)}`).join('\n');
  const { body } = offerText(MESSAGE.replace('    | @everyone ```', log));
  expect(body.length).toBeLessThan(62_000);
  expect(body).toContain('Purser-Reverts: 0123456789');
});

test('an answer is one line of text, cut in no mark, however it is made', () => {
  for (const path of ['`a@b`', '<img src=x>', '@org/team', '#1', 'x\ny', '`', '|'.repeat(400)]) {
    for (const times of [1, 7, 100]) {
      const text = answerText(
        `Commit \`${path.repeat(times)}\` has changed since. Run: git revert 1`,
      );
      expect(text.length).toBeLessThanOrEqual(300);
      expect(text).not.toContain('\n');
      expect(html(text)).not.toMatch(/@\w|#\d|<img/);
      expect(text).not.toMatch(/&#?\d*$/);
    }
  }
  expect(answerText('Approved: 3 copies may stop for good.')).toBe(
    'Approved: 3 copies may stop for good.',
  );
});
