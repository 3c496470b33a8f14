// Nodes of `up` in a repository without a work tree here: a remote one, or a bare one.
// In: a reconciler that follows it, and names. Out: a commit of `nodes/<node>.yaml` for those that
// Git does not list, made by the reconciler, which may push. Not here: work trees (repository.ts).

import { OF_LEADER, type StateAnswer } from '../../schema/control.ts';
import type { FileEdit } from '../../schema/desired.ts';
import type { Control } from '../client.ts';
import type { Common, Io } from '../command.ts';
import { CommandError } from '../command-error.ts';
import { nodeFile, nodesMessage } from '../../schema/node-file.ts';
import { patience } from '../patience.ts';
import { write } from '../write.ts';

/** A clone of a large repository over a slow line takes its time. */
const READ_WAIT_MS = 120_000;

export const addNodes = async (
  control: Control,
  { common, io }: { readonly common: Common; readonly io: Io },
  nodes: readonly string[],
): Promise<void> => {
  const { desired } = await firstView(control, io);
  const known = new Set(desired.nodes.map(({ name }) => name));
  const added = nodes.filter((name) => !known.has(name));
  if (added.length === 0) return;
  const edits = added.map((name): FileEdit => ({
    path: `nodes/${name}.yaml`,
    content: nodeFile(name),
    base: null,
  }));
  const message = nodesMessage(added);
  const commit = await write({ common, edits, head: desired.commit.oid, message });
  io.out(`${message}\n  commit ${commit}`);
};

const firstView = async (
  control: Control,
  { signal }: Io,
): Promise<NonNullable<StateAnswer['view']>> => {
  let failure: string | null = null;
  const waiting = patience(READ_WAIT_MS, signal);
  for await (const state of control.watch<StateAnswer>('state', waiting, OF_LEADER)) {
    if (state.view !== null) return state.view;
    failure = state.failure ?? failure;
    if (state.failure !== null) break;
  }
  throw new CommandError(failure ?? 'the reconciler has not read its repository in time');
};
