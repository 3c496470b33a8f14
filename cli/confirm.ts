// Asks before what cannot be taken back.
// In: a question. Out: yes or no. Without a terminal nobody can be asked: then `--yes` must say it.

import { createInterface } from 'node:readline/promises';
import type { Invocation } from './command.ts';
import { CommandError } from './command-error.ts';

export const confirm = async (
  { options, io }: Pick<Invocation, 'options' | 'io'>,
  question: string,
): Promise<boolean> => {
  if (options['yes'] === true) return true;
  if (!io.tty || process.stdin.isTTY !== true) {
    throw new CommandError('nobody can be asked without a terminal: add --yes', 1);
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: io.signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
};
