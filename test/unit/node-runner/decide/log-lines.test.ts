// Which lines of a log go with a failure, and what is taken out of them.
import { expect, it } from 'vitest';
import { cleanLines, logAsk, quotable } from '../../../../node-runner/decide/log-lines.ts';
import { newMark } from '../../../../node-runner/decide/marks.ts';
import { testBody } from '../../../support/runner-specs.ts';

it('takes the last ten lines, without empty ones', () => {
  const text = Array.from({ length: 30 }, (_, at) => `line ${at}\n\n`).join('');
  expect(cleanLines(text)).toEqual(Array.from({ length: 10 }, (_, at) => `line ${at + 20}`));
  expect(cleanLines('')).toEqual([]);
});

it('takes out colours, cursor moves, titles and what cannot be seen', () => {
  const bell = '\u0007';
  const text = [
    '\u001B[1;31mred\u001B[0m \u001B]0;title\u0007end',
    `bell${bell} nul\u0000 del\u007F c1\u0085`,
    'turned \u202Etxt\u202C zero\u200Bwidth',
    'a\tb',
    '10%\r20%',
    '\u001B[2K\u001B[1A',
  ].join('\n');
  expect(cleanLines(text)).toEqual([
    'red end',
    'bell nul del c1',
    'turned txt zerowidth',
    'a b',
    '10%',
    '20%',
  ]);
});

it('cuts a long line by characters, not inside one', () => {
  const [line = ''] = cleanLines('ü😀'.repeat(500));
  // 200 UTF-16 units, or one less where the last would be half a character.
  expect([199, 200]).toContain(line.length);
  expect(line.endsWith('…')).toBe(true);
  expect(line).not.toContain('\uFFFD');
});

const failed = (kind: 'exit' | 'command-not-found', blame: 'version' | 'platform' = 'version') => ({
  ...newMark(testBody('a-0-1', { evidence: 'logs' }), 0),
  failure: { blame, kind, task: 'server', message: 'm', at: 500 },
});

it('asks only for failures of a task that ran, by the version', () => {
  expect(quotable(failed('exit'))).not.toBeNull();
  expect(quotable(failed('command-not-found'))).toBeNull();
  expect(quotable(failed('exit', 'platform'))).toBeNull();
  expect(quotable({ ...failed('exit'), body: testBody('a-0-1') })).toBeNull();
});

it('asks for the run that failed, also when the next one has begun', () => {
  const mark = failed('exit');
  expect(logAsk(mark, mark.failure)).toMatchObject({ run: 'newest', task: 'server' });
  const again = {
    ...mark,
    tasks: mark.tasks.map((task) => ({ ...task, run: 'open' as const, runSince: 600 })),
  };
  expect(logAsk(again, mark.failure)).toMatchObject({ run: 'before' });
});
