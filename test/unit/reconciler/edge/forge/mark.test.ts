// The hidden mark below what Purser writes: whatever is put in comes out again, people's edits of it
// are taken with care, and it stays within the room that the limits leave.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANSWER_MAX,
  ANSWERED_KEPT,
  ANSWERS_SHOWN,
  NO_MARKS,
  splitMarks,
  withAnswer,
  withMarks,
  type Marks,
} from '../../../../../reconciler/edge/forge/mark.ts';
import { BUTTONS_LIMIT, MARKDOWN_LIMIT } from '../../../../../schema/forge.ts';

/** GitHub's limit of a comment and of a check's summary. */
const GITHUB_LIMIT = 65_535;
const APPROVE = { id: 'approve', label: 'Approve', description: 'Three copies may go' } as const;

const marks = (change: Partial<Marks> = {}): Marks => ({ ...NO_MARKS, hash: 'a1', ...change });

describe('what was written is read again', () => {
  test.each<[string, string, Marks]>([
    ['a body alone', 'Three start.', marks()],
    ['an empty body', '', marks()],
    ['buttons', 'Three start.', marks({ buttons: [APPROVE] })],
    ['folded', 'Closed.', marks({ folded: true })],
    [
      'answers',
      'Body.',
      marks({ answered: ['c1/0123'], answers: ['**Retry**, asked by ada: no'] }),
    ],
    [
      'an end of a comment within a button',
      'B',
      marks({ buttons: [{ ...APPROVE, label: '-->' }] }),
    ],
    ['a body that ends in lines', 'a\n\nb\n', marks()],
    ['a body that talks of marks', 'see <!-- purser:mark {} --> here', marks()],
    ['a body that holds a mark of its own', 'a\n\n<!-- purser:mark {"hash":"x"} -->\nb', marks()],
  ])('%s', (_, body, given) => {
    expect(splitMarks(withMarks(body, given))).toEqual({ body, marks: given });
  });

  test('any body, and as GitHub hands it back: with \\r\\n', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', '<', '!', '-', '>', '{', '"') });
    fc.assert(
      fc.property(text, fc.string(), (body, hash) => {
        const written = withMarks(body, marks({ hash }));
        expect(splitMarks(written)).toEqual({ body, marks: marks({ hash }) });
        expect(splitMarks(written.replaceAll('\n', '\r\n')).body).toBe(body);
      }),
    );
  });
});

test.each<[string, string]>([
  ['no mark', 'I wrote this'],
  ['a mark that is cut', 'x\n\n<!-- purser:mark {"hash":"a" -->'],
  ['a mark above other text', 'x\n\n<!-- purser:mark {"hash":"a"} -->\n\nand more'],
  ['a mark within a line', 'x <!-- purser:mark {"hash":"a"} -->'],
])('%s: all of it is body', (_, text) => {
  expect(splitMarks(text)).toEqual({ body: text, marks: NO_MARKS });
});

test('of a mark that people have edited only what has the right shape is taken', () => {
  const json = '{"hash":5,"folded":"yes","buttons":[{"id":"approve"},7],"answered":[1,"b"]}';
  const { marks: read } = splitMarks(`x\n\n<!-- purser:mark ${json} -->`);
  expect(read).toEqual({ ...NO_MARKS, answered: ['1', 'b'] });
  expect(splitMarks('x\n\n<!-- purser:mark {"buttons":{},"answered":"b"} -->').marks).toEqual(
    NO_MARKS,
  );
});

test('the newest answers stay, each request once', () => {
  let now = NO_MARKS;
  for (let index = 0; index < 50; index += 1) now = withAnswer(now, `c${index}`, `line ${index}`);
  now = withAnswer(now, 'c49', 'line 50');
  expect(now.answered).toHaveLength(ANSWERED_KEPT);
  expect(now.answered.at(-1)).toBe('c49');
  expect(now.answered.filter((id) => id === 'c49')).toHaveLength(1);
  expect(now.answers).toEqual(['line 48', 'line 49', 'line 50']);
  expect(splitMarks(withMarks('x', now)).marks).toEqual(now);
});

test('the fullest mark fits below the longest body', () => {
  const asker = '**Plan again**, asked by '.length + 39 + 2;
  const full = marks({
    hash: 'f'.repeat(16),
    buttons: Array.from({ length: BUTTONS_LIMIT }, () => ({
      id: 'rollback' as const,
      label: '<'.repeat(20),
      description: '>'.repeat(40),
    })),
    answered: Array.from({ length: ANSWERED_KEPT }, () => 'c'.repeat(36 + 1 + 16)),
    answers: Array.from({ length: ANSWERS_SHOWN }, () => 'w'.repeat(asker + ANSWER_MAX)),
  });
  const body = 'b'.repeat(MARKDOWN_LIMIT);
  expect(withMarks(body, full).length).toBeLessThanOrEqual(GITHUB_LIMIT);
  expect(withMarks(body, full).length - body.length).toBeLessThanOrEqual(3_400);
});
