// Network namespaces for tests: one stands for a node, so that nothing of a test is seen by the
// machine.
// In: a name. Out: a namespace that can be entered and removed. Not here: what runs in it.

import { randomBytes } from 'node:crypto';

import { runCommand, tryCommand } from '../../node-runner/edge/command.ts';

export interface TestNetns {
  readonly name: string;
  readonly path: string;
  /** Runs a program inside; its standard output. */
  readonly run: (program: string, ...args: readonly string[]) => Promise<string>;
  readonly remove: () => Promise<void>;
}

/** A new namespace with only lo, which is up. */
export const makeNetns = async (purpose: string): Promise<TestNetns> => {
  const name = `test-${purpose}-${randomBytes(4).toString('hex')}`;
  const path = `/run/netns/${name}`;
  await runCommand({ program: 'ip', args: ['netns', 'add', name] });
  const run = (program: string, ...args: readonly string[]): Promise<string> =>
    runCommand({ program: 'nsenter', args: [`--net=${path}`, '--', program, ...args] });
  await run('ip', 'link', 'set', 'lo', 'up');
  return {
    name,
    path,
    run,
    remove: async () => {
      await tryCommand({ program: 'ip', args: ['netns', 'del', name] });
    },
  };
};

/** A command as it is run in this namespace; null: in the machine's own. */
export const inNetns = (
  netns: string | null,
  [program = '', ...args]: readonly string[],
): readonly [string, ...string[]] =>
  netns === null
    ? [program, ...args]
    : ['nsenter', `--net=/run/netns/${netns}`, '--', program, ...args];
