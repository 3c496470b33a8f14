// What commands print of others' texts: a commit's subject, an error, a line of a log. In: text that
// a terminal would obey. Out: what is written, by the one place that writes.

import { expect, test, vi } from 'vitest';
import { CommandError } from '../../../cli/command-error.ts';
import type { CommandSpec, Invocation } from '../../../cli/command.ts';
import { fatalWords } from '../../../cli/fatal.ts';
import { runProgram } from '../../../cli/program.ts';
import { table } from '../../../cli/table.ts';
import { filesUnder, read } from '../../support/tree-of-files.ts';

const FORGED = 'web\u001B[2J\u001B]0;x\u0007\u202Eog\u200B\r\u009Bdone';
const PLAIN = 'webogdone';

const ran = async (words: readonly string[], run: (of: Invocation) => Promise<number>) => {
  const written: string[] = [];
  const take = (text: unknown): boolean => written.push(String(text)) > 0;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(take),
    vi.spyOn(process.stderr, 'write').mockImplementation(take),
  ];
  const spec: CommandSpec = {
    usage: 'show',
    summary: 'shows',
    examples: [['purser show', 'shows']],
    define: (command) => command,
    run,
  };
  try {
    await runProgram(['show', ...words], async () => [{ title: 'All:', specs: [spec] }]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return written.join('');
};

test('a terminal obeys nothing of it', async () => {
  const said = await ran([], async ({ io }) => {
    io.out(`state: ${FORGED}\nnext`);
    io.err(FORGED);
    throw new CommandError(`it says ${FORGED}`);
  });
  expect(said).toBe(`state: ${PLAIN}\nnext\n${PLAIN}\npurser: it says ${PLAIN}\n`);
  const failed = await ran([], async () => {
    throw new Error(FORGED);
  });
  expect(failed).toBe(`purser: ${PLAIN}\n`);
});

test('JSON holds it whole, in letters that a terminal shows', async () => {
  const said = await ran(['--json'], async ({ io }) => {
    io.out(JSON.stringify({ subject: FORGED }));
    return 0;
  });
  expect(JSON.parse(said)).toEqual({ subject: FORGED });
  expect(said).toMatch(/^[ -~]*\n$/);
});

test('an error that nobody expected is shown with its places, and with nothing that it carries', () => {
  const login = 'http://bot:wr0ng-password@git.example/shop.git';
  const error = Object.assign(new TypeError(`${FORGED}\ncannot read ${login}`), { input: login });
  const said = fatalWords(error);
  expect(said).toContain(`TypeError: ${PLAIN}\n*** (this line may hold a secret)\n`);
  expect(said).toMatch(/^ {4}at .*terminal\.test\.ts/m);
  expect(said).not.toContain('wr0ng-password');
  expect(fatalWords('plain')).toBe('purser: ended by an error that nobody expected\nplain\n');
});

test('a cell with lines of its own is no row', () => {
  const rows = [
    ['JOB', 'WHY'],
    ['web', 'bad\nshop/db  running\r\n\tall well'],
  ];
  expect(table(rows, { columns: Number.POSITIVE_INFINITY }).split('\n')).toHaveLength(2);
});

test('nobody writes to the terminal but those who see to it', () => {
  const writers = filesUnder('cli')
    .filter((path) =>
      /process\.std(out|err)(\.write|\[)|process\[stream\]|console\./.test(read(path)),
    )
    .toSorted();
  // Logs and `exec` by attach.ts; words of their own by bootstrap.mjs and completion.ts.
  expect(writers).toEqual([
    'cli/attach.ts',
    'cli/bootstrap.mjs',
    'cli/completion.ts',
    'cli/fatal.ts',
    'cli/program.ts',
    'cli/screen.ts',
  ]);
});
