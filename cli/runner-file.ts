// `purser-runner.mjs`: a node runner in one file, which needs nothing but Node beside it. It takes the
// words of `purser node`. In: argv. Out: a runner until it is ended. Not here: all other commands.

import type { CommandSpec } from './command.ts';
import { tellFatal } from './fatal.ts';
import { runOptions } from './node-options.ts';
import { runProgram } from './program.ts';

const runner: CommandSpec = {
  usage: 'node',
  summary: 'run the node runner of a machine that has joined',
  examples: [
    ['purser-runner.mjs', 'the node that has joined on this machine'],
    ['purser-runner.mjs --name n1 --cluster shop', 'on the machine of the reconciler'],
  ],
  define: runOptions,
  run: async (invocation) => (await import('./node-run.ts')).runNode(invocation),
};

tellFatal();
const words = process.argv.slice(2);
const argv = words[0] === '--version' ? words : ['node', ...words];
process.exitCode = await runProgram(argv, async () => [{ title: '', specs: [runner] }]);
process.exit();
