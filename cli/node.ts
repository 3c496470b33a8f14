// `purser node`: a node runner in the foreground; how machines become nodes, and cease to be.
// In: words. Out: what one of the files beside this one does.

import type { CommandSpec } from './command.ts';
import { CommandError } from './command-error.ts';
import { runOptions } from './node-options.ts';

export const node: CommandSpec = {
  usage: 'node [action] [words...]',
  summary: 'let machines join or leave the cluster; run a node runner',
  examples: [
    ['purser node token', 'prints the line that makes another machine a node'],
    ['purser node token --machines 20 --lasts 1d', 'for twenty machines'],
    ['purser node token --role view', "a person's token: view, operate or admin"],
    ['sudo purser node join 10.0.0.1 TOKEN', 'on the new machine: joins, and runs it'],
    ['purser node tokens', 'those that count now; `purser node revoke ID` ends one'],
    ['purser node remove n3', 'drains it, takes its file out of Git, and its certificate back'],
    ['purser node --name n3', 'runs a node that has joined'],
    ['purser node --name n1 --cluster shop', 'on the machine of the reconciler'],
  ],
  exits: '0 well, 1 refused, or copies stay, 2 an error',
  define: (command) =>
    runOptions(command)
      .option('--role <role>', 'token: for a person, view, operate or admin')
      .option('--node <name>', 'token: for a machine that takes the place of this node')
      .option('--machines <count>', 'token: how many may join by it (default 1)')
      .option('--lasts <time>', 'token: until it ends (default 1h; with --role 90d)')
      .option('--only', 'join: do not run the node then')
      .option('--now', 'remove: at once, where the machine is lost: copies there are not stopped')
      .option('-y, --yes', 'remove: do not ask'),
  run: async (invocation) => {
    const [action] = invocation.args;
    switch (action) {
      case undefined:
        return (await import('./node-run.ts')).runNode(invocation);
      case 'join':
        return (await import('./node-join.ts')).joinAndRun(invocation);
      case 'token':
        return (await import('./node-tokens.ts')).giveToken(invocation);
      case 'tokens':
        return (await import('./node-tokens.ts')).listTokens(invocation);
      case 'revoke':
        return (await import('./node-tokens.ts')).endToken(invocation);
      case 'remove':
        return (await import('./node-remove.ts')).removeNode(invocation);
      default:
        throw new CommandError(
          `there is no \`purser node ${action}\`: it is join, token, tokens, revoke or remove; without a word it runs a node`,
        );
    }
  },
};
