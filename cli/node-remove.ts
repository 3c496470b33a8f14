// `purser node remove NODE`: a machine leaves the cluster for good.
// In: a node. Out: a commit that takes its file away, which drains it; then its certificate counts no
// more. Not here: its copies, which the plan moves.

import type { FileAnswer } from '../schema/control.ts';
import type { Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import { confirm } from './confirm.ts';
import { followDrain } from './drain.ts';
import { ask, readyState } from './state.ts';
import { lookingAgain, write } from './write.ts';

export const removeNode = async (invocation: Invocation): Promise<number> => {
  const { args, options, common, io } = invocation;
  const node = args[1];
  if (node === undefined) throw new CommandError('name the node: purser node remove NODE');
  const { view } = await readyState(common);
  const listed = view.desired.nodes.some(({ name }) => name === node);
  if (!listed && !view.live.nodes.some(({ name }) => name === node)) {
    const names = view.desired.nodes.map(({ name }) => name).join(', ');
    throw new CommandError(
      `there is no node \`${node}\`; there ${names === '' ? 'are none' : `is ${names}`}`,
    );
  }
  if (!(await confirm(invocation, `Remove ${node} from the cluster?`))) return 1;
  const say = (line: string) => {
    if (!common.json) io.out(line);
  };
  const commit = listed ? await lookingAgain(() => unlist(invocation, node)) : null;
  say(commit === null ? `Git does not list ${node}` : `Remove node ${node}\n  commit ${commit}`);
  if (options['now'] !== true) {
    const left = await followDrain(invocation, node, commit);
    if (left !== 0) {
      io.err(
        `purser: ${node} still holds copies, and its certificate counts on: run this again, or with --now where the machine is lost`,
      );
      return left;
    }
  }
  await ask(common, 'expel', { node });
  if (common.json) io.out(JSON.stringify({ removed: node, commit }));
  else io.out(`The certificate of ${node} counts no more.`);
  return 0;
};

const unlist = async ({ common }: Invocation, node: string): Promise<string | null> => {
  const path = `nodes/${node}.yaml`;
  const { head, blob } = await ask<FileAnswer>(common, 'file', { path });
  if (blob === null) return null;
  const edits = [{ path, content: null, base: blob }];
  return write({ common, edits, head, message: `Remove node ${node}` });
};
