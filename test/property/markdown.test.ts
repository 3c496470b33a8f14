// Markdown of any input: read by a parser of GitHub's Markdown, it shows the input and does
// nothing else.
// In: texts that try to be more than text. Out: failures with the text. Not here: what checks say.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cut, type Block } from '../../reconciler/render/cut.ts';
import {
  code,
  codeInHtml,
  fenced,
  fold,
  foldOpen,
  FOLD_CLOSE,
  row,
  tableHead,
  words,
} from '../../reconciler/render/markdown.ts';
import { plainLine, plainLines } from '../../schema/plain.ts';
import {
  decoded,
  fencesClose,
  hostileText as text,
  livelyIn,
  render,
  tagsOf,
} from '../support/markdown.ts';

test('a value in a sentence is shown as its own text and is nothing else', () => {
  fc.assert(
    fc.property(text, (value) => {
      const html = render(`It says ${words(value)} here.`);
      expect(decoded(html).trim()).toBe(`It says ${plainLine(value)} here.`);
      expect(tagsOf(html).filter((tag) => tag !== 'p')).toEqual([]);
      expect(livelyIn(html)).toBeNull();
    }),
    { numRuns: 2_000 },
  );
});

test('a value that begins a line begins no list, heading or quotation', () => {
  fc.assert(
    fc.property(text, (value) => {
      const html = render(words(value));
      expect(decoded(html).trim()).toBe(plainLine(value));
      expect(tagsOf(html).filter((tag) => tag !== 'p')).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test('a value in code is shown as it is, also in a table and in the head of a fold', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      const shown = plainLine(a);
      const alone = render(`It is ${code(a)}.`);
      expect(decoded(alone).trim()).toBe(`It is ${shown}.`);
      const table = render(`${tableHead(['x', 'y'])}\n${row([code(a), words(b)])}`);
      const cells = [...table.matchAll(/<td>([\s\S]*?)<\/td>/g)].map(([, cell]) => cell ?? '');
      expect(cells.map(decoded)).toEqual([shown, plainLine(b)]);
      const folded = render(fold(codeInHtml(a), words(b)));
      const bare = (one: string) => one.replaceAll(/\s+/g, '');
      expect(bare(decoded(folded))).toBe(bare(shown + plainLine(b)));
      const tags = [alone, table, folded].flatMap(tagsOf);
      const ours = 'p code table thead tbody tr th td details summary'.split(' ');
      expect(tags.filter((tag) => !ours.includes(tag))).toEqual([]);
      expect([alone, table, folded].map(livelyIn)).toEqual([null, null, null]);
    }),
    { numRuns: 1_000 },
  );
});

test('lines of a log stay inside their fence', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), (lines) => {
      const html = render(`before\n\n${fenced(lines)}\n\nafter`);
      expect(tagsOf(html)).toEqual(['p', 'p', 'pre', 'code', 'code', 'pre', 'p', 'p']);
      const inside = /<code>([\s\S]*)<\/code>/.exec(html)?.[1] ?? '';
      expect(decoded(inside).trimEnd()).toBe(
        lines.flatMap(plainLines).join('\n').replaceAll('\u200b', '').trimEnd(),
      );
    }),
    { numRuns: 1_000 },
  );
});

const block: fc.Arbitrary<Block> = fc
  .record({
    kind: fc.constantFrom('table' as const, 'fold' as const, 'list' as const, 'fences' as const),
    values: fc.array(fc.tuple(text, fc.integer({ min: 0, max: 4 })), { maxLength: 30 }),
    long: fc.integer({ min: 1, max: 20 }),
  })
  .map(({ kind, values, long }): Block => {
    const rows = (make: (value: string) => string) =>
      values.map(([value, rank]) => ({ text: make(value.repeat(long)), rank }));
    switch (kind) {
      case 'table':
        return {
          open: tableHead(['a']),
          rows: rows((v) => row([words(v)])),
          close: '',
          noun: 'row',
        };
      case 'fold':
        return {
          open: `${foldOpen('head')}\n`,
          rows: rows((v) => fold(codeInHtml(v), words(v))),
          close: `\n${FOLD_CLOSE}`,
          noun: 'fold',
        };
      case 'fences':
        return { open: '', rows: rows((v) => `${fenced([v])}\n`), close: '', noun: 'log' };
      case 'list':
        return {
          open: '### A list\n',
          rows: rows((v) => `- ${words(v)}`),
          close: '',
          noun: 'item',
        };
    }
  });

test('what is cut stays under the limit, whole in its Markdown, and says what it leaves out', () => {
  fc.assert(
    fc.property(
      fc.array(block, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 6_000 }),
      (blocks, limit) => {
        const made = cut(blocks, limit);
        expect(made.length).toBeLessThanOrEqual(limit);
        const whole = cut(blocks, 10_000_000);
        expect(fencesClose(made)).toBe(true);
        for (const tag of ['details', 'summary', 'table', 'code', 'pre']) {
          const html = render(made);
          const opened = html.split(`<${tag}>`).length;
          expect([tag, html.split(`</${tag}>`).length]).toEqual([tag, opened]);
        }
        expect(livelyIn(render(made))).toBeNull();
        if (made !== whole && made !== '') expect(made).toMatch(/_(Left out|… and \d+ more)/);
      },
    ),
    { numRuns: 400 },
  );
});

test('what matters more is kept before what matters less', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 300, max: 3_000 }),
      fc.integer({ min: 1, max: 60 }),
      (limit, n) => {
        const rows = Array.from({ length: n }, (_, i) => ({
          text: `- row ${i} ${'x'.repeat(40)}`,
          rank: i % 3,
        }));
        const made = cut([{ open: '', rows, close: '', noun: 'row' }], limit);
        const kept = rows.filter(
          ({ text: one }) => made.includes(`${one}\n`) || made.endsWith(one),
        );
        const worst = Math.max(-1, ...kept.map(({ rank }) => rank));
        const lost = rows.filter((one) => !kept.includes(one));
        expect(lost.every(({ rank }) => rank >= worst)).toBe(true);
      },
    ),
  );
});
