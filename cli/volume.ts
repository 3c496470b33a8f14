// `purser volume ls | rm`: the named volumes that the ledger knows, and ending one.
// In: the ledger by way of the reconciler. Out: a table; or a ledger record that ends the volume's
// home, and its folder gone where the node is on this machine. On another machine the folder stays,
// and its place is printed (rules 14).

import { readFile, rm as removeFiles } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeHome } from '../schema/desired.ts';
import type { LiveAllocation } from '../schema/live.ts';
import type { CommandSpec, Invocation } from './command.ts';
import { CommandError } from './command-error.ts';
import { confirm } from './confirm.ts';
import type { ReadyState } from './state.ts';
import { ask, readyState } from './state.ts';
import { table } from './table.ts';
import type { UpSettings } from './up/layout.ts';
import { layoutOf } from './up/layout.ts';

export const volume: CommandSpec = {
  usage: 'volume <ls-or-rm> [volume]',
  summary: 'list named volumes, or end one for good',
  examples: [
    ['purser volume ls', 'every volume: where it lives and who holds it'],
    ['purser volume rm "shop/store/orders[0]"', 'ends it; its data go with it'],
  ],
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
    folder: folderName(home),
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
  await ask(common, 'record', { records: [{ kind: 'volume', ...home, node: null }] });
  const local = await localFolder(common.root, home);
  if (local !== null) await removeFiles(local, { recursive: true, force: true });
  const folder = `volumes/${folderName(home)}`;
  if (common.json) {
    io.out(JSON.stringify({ ended: volumeName(home), node: home.node, removed: local, folder }));
  } else {
    io.out(`Ended ${volumeName(home)}: its slot may start anywhere from now on.`);
    io.out(
      local === null
        ? `Its data stay on ${home.node}, in ${folder} below the runner's folder: remove them there.`
        : `Its data are gone: ${local}`,
    );
  }
  return 0;
};

/** `shop/store/orders[0]`; the group stands in it where it is not named as the job. */
const volumeName = ({ namespace, job, group, volume: name, index }: VolumeHome): string =>
  [namespace, job, ...(group === job ? [] : [group]), `${name}[${index}]`].join('/');

/** As the runner names it on disk. */
const folderName = ({ namespace, job, group, index, volume: name }: VolumeHome): string =>
  [namespace, job, group, index, name].join('.');

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

const holderOf = ({ view }: ReadyState, home: VolumeHome): LiveAllocation | null =>
  view.live.nodes
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

/** The folder, where `purser up` runs the node on this machine; null: it is elsewhere. */
const localFolder = async (root: string, home: VolumeHome): Promise<string | null> => {
  const written = await readFile(layoutOf(root).settings, 'utf8').catch(() => null);
  if (written === null) return null;
  const settings = JSON.parse(written) as UpSettings;
  const node = settings.nodes.find(({ name }) => name === home.node);
  return node === undefined ? null : join(node.root, 'volumes', folderName(home));
};
