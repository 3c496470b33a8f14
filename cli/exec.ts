// `purser exec ALLOC -- CMD`: a process inside a running task; a terminal of its own where there is
// one.

import { kindOf } from '../schema/lifecycle.ts';
import { attach, toTerminal } from './attach.ts';
import type { CommandSpec } from './command.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { findCopy, readyState, refuseUnknownTask } from './state.ts';

export const exec: CommandSpec = {
  usage: 'exec <allocation> [command...]',
  summary: 'run a command inside a running copy',
  completes: 'allocation',
  examples: [
    ['purser exec "web[0]" -- sh', 'a shell, with a terminal'],
    ['purser exec "web[0]" -- cat /etc/hosts', "prints and ends with the command's exit code"],
    ['echo hi | purser exec "web[0]" -- cat', 'input from a pipe'],
  ],
  exits: "127 the program is not there, 2 it could not be run, else the command's own",
  define: (command) =>
    command
      .option('-t, --task <task>', 'task of the group (default: the first main one)')
      .option('-T, --no-tty', 'no terminal, even where there is one'),
  run: async ({ args, options, common, io }) => {
    const [name = '', ...words] = args;
    if (words.length === 0)
      throw new CommandError('write the command after `--`: purser exec ALLOC -- sh');
    const copy = findCopy(await readyState(common), name);
    const { tasks } = copy.body.spec;
    const first = tasks.find((one) => kindOf(one) === 'main') ?? tasks[0];
    const task = text(options['task']) ?? first?.name ?? '';
    refuseUnknownTask([copy], task);
    const tty = options['tty'] !== false && process.stdin.isTTY === true && io.tty;
    const { columns, rows } = process.stdout;
    return attach({
      common,
      // With a terminal Ctrl-C is a key for the process inside, and raw mode passes it on.
      signal: tty ? new AbortController().signal : io.signal,
      input: true,
      write: toTerminal,
      ask: {
        kind: 'exec',
        node: copy.node,
        allocation: copy.allocation,
        task,
        args: words,
        tty: tty ? { columns, rows } : null,
      },
    });
  },
};
