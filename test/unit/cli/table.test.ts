// Tables that fit: what is dropped, what is cut, what is left alone.

import { expect, test } from 'vitest';
import { cut, table, width } from '../../../cli/table.ts';

const ROWS = [
  ['JOB', 'VERSION', 'STATUS'],
  ['shop/web', '0123456789ab', 'rolling out, the copy before it is dead'],
  ['shop/store', 'ba9876543210', 'settled'],
];

const widest = (text: string) => Math.max(...text.split('\n').map(width));

test('without a terminal nothing is cut', () => {
  expect(table(ROWS, { columns: Number.POSITIVE_INFINITY })).toBe(
    [
      'JOB         VERSION       STATUS',
      'shop/web    0123456789ab  rolling out, the copy before it is dead',
      'shop/store  ba9876543210  settled',
    ].join('\n'),
  );
});

test.each([
  { columns: 60, droppable: [], shows: ['0123456789ab', 'rolling out, the copy'] },
  { columns: 55, droppable: ['VERSION'], shows: ['the copy before it is dead'] },
  { columns: 30, droppable: ['VERSION'], shows: ['shop/store', '…'] },
  { columns: 20, droppable: [], shows: ['…'] },
])('fits into $columns columns', ({ columns, droppable, shows }) => {
  const text = table(ROWS, { columns, droppable });
  expect(widest(text)).toBeLessThanOrEqual(Math.max(columns, 22));
  for (const part of shows) expect(text).toContain(part);
  if (droppable.length > 0) expect(text).not.toContain('0123');
});

test('no rows, no table', () => expect(table([], { columns: 80 })).toBe(''));

test('colours are nothing wide, and are closed when a text is cut', () => {
  const green = '\u001B[32msettled\u001B[39m';
  expect(width(green)).toBe(7);
  expect(cut(green, 7)).toBe(green);
  expect(cut(green, 4)).toBe('\u001B[32mset\u001B[39m…');
  expect(cut('settled', 0)).toBe('');
});
