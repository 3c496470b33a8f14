// `purser drain NODE` and `undrain NODE`: copies move off a node, or may come back, by a commit.
// In: a node. Out: a commit; a drain is followed until the node is empty, or shows what remains and
// why (rules 14).

import { OF_LEADER, type StateAnswer } from '../schema/control.ts';
import type { LiveAllocation } from '../schema/live.ts';
import type { YamlEdit } from '../schema/yaml-edit.ts';
import { blockedLines } from '../reconciler/render/words.ts';
import { connect } from './client.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import type { ReadyState } from './state.ts';
import { isBetweenLeaders, readyState, ready } from './state.ts';
import { editFile, lookingAgain, tell } from './write.ts';

export const drain: CommandSpec = {
  usage: 'drain <node>',
  summary: 'move all copies off a node (writes a commit)',
  completes: 'node',
  examples: [
    ['purser drain n1', 'copies with named volumes stay, and are named'],
    ['purser drain n1 --volumes', 'those stop too; they start again when the node is back'],
  ],
  exits: '0 the node is empty, 1 copies stay, 2 an error',
  define: (command) =>
    command
      .option('--volumes', 'stop copies with named volumes too')
      .option('-d, --detach', 'do not wait until the node is empty'),
  run: async (invocation) => {
    const { args, options } = invocation;
    const node = args[0] ?? '';
    const value = options['volumes'] === true ? { volumes: 'stop' } : true;
    const message = `Drain ${node}`;
    const commit = await editNode(invocation, node, {
      edit: { pointer: '/drain', value },
      message,
    });
    if (options['detach'] === true) return 0;
    return followDrain(invocation, node, commit);
  },
};

export const undrain: CommandSpec = {
  usage: 'undrain <node>',
  summary: 'let a drained node take copies again (writes a commit)',
  completes: 'node',
  examples: [['purser undrain n1', 'takes `drain` out of nodes/n1.yaml']],
  define: (command) => command,
  run: async (invocation) => {
    const node = invocation.args[0] ?? '';
    const edit = { pointer: '/drain', value: undefined };
    await editNode(invocation, node, { edit, message: `Undrain ${node}` });
    return 0;
  },
};

const editNode = async (
  invocation: Invocation,
  node: string,
  { edit, message }: { readonly edit: YamlEdit; readonly message: string },
): Promise<string | null> => {
  const { common } = invocation;
  const { view } = await readyState(common);
  const known = view.desired.nodes.map(({ name }) => name);
  if (!known.includes(node)) {
    throw new CommandError(
      `Git lists no node \`${node}\`; it lists ${known.length === 0 ? 'none' : known.join(', ')}`,
    );
  }
  const path = `nodes/${node}.yaml`;
  const commit = await lookingAgain(() =>
    editFile({ common, path, edits: [edit], message, fresh: null }),
  );
  tell(invocation, commit, message);
  return commit;
};

/** Until the node is empty, 0, or what remains there can go nowhere, 1. */
export const followDrain = async (
  { common, io }: Invocation,
  node: string,
  commit: string | null,
): Promise<number> => {
  const control = await connect(common.socket);
  let said = '';
  let seen = commit === null;
  try {
    for await (const answer of control.watch<StateAnswer>('state', io.signal, OF_LEADER)) {
      if (isBetweenLeaders(answer)) continue;
      const state = ready(answer);
      seen ||= state.view.desired.commit.oid === commit;
      if (!seen) continue;
      const left = copiesOn(state, node);
      const line = `  ${node}: ${left.length} ${left.length === 1 ? 'copy' : 'copies'} left`;
      if (line !== said && !common.json) io.out(line);
      said = line;
      if (left.length === 0) return 0;
      const stuck = reasonsWhy(state, left);
      if (stuck === null) continue;
      if (!common.json) for (const reason of stuck) io.out(`  stays: ${reason}`);
      else io.out(JSON.stringify({ node, left: left.map(({ allocation }) => allocation), stuck }));
      return 1;
    }
    return 1;
  } finally {
    control.close();
  }
};

const copiesOn = ({ view }: ReadyState, node: string): readonly LiveAllocation[] =>
  view.live.nodes
    .filter(({ name }) => name === node)
    .flatMap(({ allocations }) => allocations)
    .filter(({ phase }) => phase !== 'dead');

/** What a plan that wakes by itself waits for. */
const TIMED = new Set(['min-healthy-time', 'max-parallel', 'image-fetch', 'reschedule-delay']);

/** What holds the rest, once nothing is under way any more; null while something still is. */
const reasonsWhy = (
  { view }: ReadyState,
  left: readonly LiveAllocation[],
): readonly string[] | null => {
  const moving = view.plan.steps.length > 0 || left.some(({ stopping }) => stopping);
  const starting = view.live.nodes.some(({ allocations }) =>
    allocations.some(({ phase, health }) => phase === 'pending' || health === 'unproven'),
  );
  if (moving || starting) return null;
  const jobs = new Set(left.map(({ body }) => `${body.namespace}/${body.job}`));
  const blocked = view.plan.blocked.filter(({ job }) => jobs.has(job));
  const isTimed = blocked.every((one) => one.kind === 'waiting' && TIMED.has(one.why));
  if (isTimed && view.plan.wakeAt !== null) return null;
  const reasons = blockedLines(blocked);
  return reasons.length === 0 ? null : reasons;
};
