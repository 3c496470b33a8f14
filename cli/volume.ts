// `purser volume ls | rm`: the named volumes that the ledger knows, and ending one.
// In: the ledger by way of the reconciler. Out: a table; or a ledger record that ends the volume's
// home, followed until its node says that the folder is gone. A node that is away removes it when it
// is back (rules 14).

import { OF_LEADER, type StateAnswer } from '../schema/control.ts';
import type { VolumeHome } from '../schema/desired.ts';
import { volumeFolder, volumeName } from '../schema/ids.ts';
import type { LiveAllocation } from '../schema/live.ts';
import { connect } from './client.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import { confirm } from './confirm.ts';
import { patience } from './patience.ts';
import type { ReadyState } from './state.ts';
import { ask, isBetweenLeaders, ready, readyState } from './state.ts';
import { table } from './table.ts';

export const volume: CommandSpec = {
  usage: 'volume <ls-or-rm> [volume]',
  summary: 'list named volumes, or end one for good',
  examples: [
    ['purser volume ls', 'every volume: where it lives and who holds it'],
    ['purser volume rm "shop/store/orders[0]"', 'ends it; its data go with it'],
  ],
  exits: '0 well, 1 it is held or nobody could be asked, 2 an error',
  define: (command) => command.option('-y, --yes', 'do not ask'),
  run: async (invocation) => {
    const [action, name] = invocation.args;
    const state = await readyState(invocation.common);
    if (action === 'ls') return list(invocation, state);
    if (action !== 'rm')
      throw new CommandError('write `purser volume ls` or `purser volume rm VOLUME`');
    if (name === undefined)
      throw new CommandError('name the volume: `purser volume ls` lists them');
    return remove(invocation, state, name);
  },
};

const list = async ({ common, io }: Invocation, state: ReadyState): Promise<number> => {
  const homes = state.view.desired.volumes.map((home) => ({
    volume: volumeName(home),
    node: home.node,
    heldBy: holderOf(state, home)?.allocation ?? null,
    folder: volumeFolder(home, home.volume),
  }));
  if (common.json) io.out(JSON.stringify(homes, null, 2));
  else if (homes.length === 0) io.out('No named volumes.');
  else {
    const rows = homes.map((home) => [home.volume, home.node, home.heldBy ?? 'nobody']);
    io.out(table([['VOLUME', 'NODE', 'HELD BY'], ...rows], { columns: io.columns }));
  }
  return 0;
};

const remove = async (invocation: Invocation, state: ReadyState, name: string): Promise<number> => {
  const { common, io } = invocation;
  const home = findHome(state, name);
  const holder = holderOf(state, home);
  if (holder !== null) {
    throw new CommandError(
      `${volumeName(home)} is held by ${holder.allocation} on ${holder.node}: stop the job first (purser stop ${home.namespace}/${home.job})`,
      1,
    );
  }
  if (!(await confirm(invocation, `End ${volumeName(home)} on ${home.node}, with its data?`)))
    return 1;
  const record = { kind: 'volume', ...home, node: null, from: home.node };
  await ask(common, 'record', { records: [record] });
  const outcome = await followRemoval(invocation, home);
  const folder = volumeFolder(home, home.volume);
  if (common.json) {
    io.out(JSON.stringify({ ended: volumeName(home), node: home.node, data: outcome, folder }));
  } else {
    io.out(`Ended ${volumeName(home)}: its slot may start anywhere from now on.`);
    io.out(outcomeWords(outcome, home.node));
  }
  return 0;
};

/** What became of the data: `later` is said of a node that is away, or busy with them. */
type Outcome = 'removed' | 'later-away' | 'later';

/** A node is told at once; a large volume takes longer, and goes on without us. */
const REMOVAL_WAIT_MS = 20_000;

const followRemoval = async ({ common, io }: Invocation, home: VolumeHome): Promise<Outcome> => {
  const folder = volumeFolder(home, home.volume);
  const signal = patience(REMOVAL_WAIT_MS, io.signal);
  const control = await connect(common.socket);
  let ended = false;
  try {
    for await (const answer of control.watch<StateAnswer>('state', signal, OF_LEADER)) {
      if (isBetweenLeaders(answer)) continue;
      const { view } = ready(answer);
      // Its slot may have a new home elsewhere before we look.
      ended ||= !view.desired.volumes.some(
        (one) => volumeName(one) === volumeName(home) && one.node === home.node,
      );
      if (!ended) continue;
      const node = view.live.nodes.find(({ name }) => name === home.node);
      if (node === undefined || !node.connected) return 'later-away';
      if (node.volumes?.includes(folder) === false) return 'removed';
    }
    return 'later';
  } finally {
    control.close();
  }
};

const outcomeWords = (outcome: Outcome, node: string): string => {
  switch (outcome) {
    case 'removed':
      return `Its data are gone from ${node}.`;
    case 'later-away':
      return `${node} is away: its data are removed there when it is back.`;
    case 'later':
      return `${node} is still removing its data, and goes on by itself.`;
  }
};

const findHome = (state: ReadyState, name: string): VolumeHome => {
  const homes = state.view.desired.volumes;
  const found = homes.filter((home) => `/${volumeName(home)}`.endsWith(`/${name}`));
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  const known = (found.length > 0 ? found : homes).map(volumeName).join(', ');
  throw new CommandError(
    second === undefined
      ? `there is no volume \`${name}\`; there ${known === '' ? 'are none' : `is ${known}`}`
      : `\`${name}\` names several volumes: ${known}`,
  );
};

/**
 * A copy on a lost node holds nothing here: nobody can stop it, and a person who gives its data up
 * must be able to say so.
 */
const holderOf = ({ view }: ReadyState, home: VolumeHome): LiveAllocation | null =>
  view.live.nodes
    .filter((node) => node.connected || node.silentForMs < view.desired.cluster.lostAfterMs)
    .flatMap(({ allocations }) => allocations)
    .find(
      ({ body, phase }) =>
        phase !== 'dead' &&
        body.namespace === home.namespace &&
        body.job === home.job &&
        body.group === home.group &&
        body.index === home.index &&
        body.spec.volumes.some(({ name }) => name === home.volume),
    ) ?? null;
