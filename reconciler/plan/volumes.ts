// Named volumes and where they live (rules 14).
// In: a want, homes from the ledger, folders that nodes report. Out: the node that the want is bound
// to, records to write first, or why it waits; the folders that a node is to remove.
// Not here: host paths (they need no home).

import { unaged } from '../../schema/ageing.ts';
import type { DesiredState } from '../../schema/desired.ts';
import { compareText, volumeFolder, volumeName } from '../../schema/ids.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { LiveNode } from '../../schema/live.ts';
import type { WaitReason } from '../../schema/plan.ts';
import { homeKey, type Homes } from './homes.ts';
import type { SlotWant } from './scope.ts';
import { neverSpoke, unseenRemedy, type NodeViews } from './nodes.ts';

/** Two groups may each have a volume of one name: a volume is its slot's (rules 14). */
const slotOf = ({ group, slot }: SlotWant) => ({ group: group.name, index: slot.index });

export type Binding =
  | { readonly kind: 'free' }
  | { readonly kind: 'bound'; readonly node: string }
  | {
      readonly kind: 'waits';
      readonly why: WaitReason;
      readonly detail: string;
      readonly remedy: string | null;
    };

export interface Known {
  readonly homes: Homes;
  /** A ledger is gone, and nodes that never spoke may hold volumes that it knew (rules 11). */
  readonly isUnsure: boolean;
}

/**
 * Where the slot's volumes say that it must run. Lost homes are waited for, unless the volume may
 * be made anew; so are those that nobody can say.
 */
export const bindingOf = (
  want: SlotWant,
  { homes, isUnsure }: Known,
  nodes: NodeViews,
): Binding => {
  const found = want.spec.volumes.flatMap((volume) => {
    const home = homes.get(homeKey(want.version.spec, volume.name, slotOf(want)));
    return home === undefined ? [] : [{ volume, home }];
  });
  for (const { volume, home } of found) {
    const node = nodes.byName.get(home.node);
    const gone = node === undefined || node.expected === null || node.standing === 'lost';
    if (!gone) return { kind: 'bound', node: home.node };
    if (volume.onLoss === 'wait') {
      const detail = `volume ${volume.name} lives on ${home.node}, which is lost or left Git`;
      const giveUp = `purser volume rm '${volumeName(home)}'`;
      const remedy = `bring ${home.node} back, or give the data up: ${giveUp}`;
      return { kind: 'waits', why: 'volume-node-lost', detail, remedy };
    }
  }
  const unknown = want.spec.volumes.find(
    ({ name, onLoss }) => onLoss === 'wait' && !found.some(({ volume }) => volume.name === name),
  );
  if (isUnsure && unknown !== undefined) {
    const detail = `nobody can say where volume ${unknown.name} lives: ${neverSpoke(nodes)}`;
    return {
      kind: 'waits',
      why: 'volume-node-lost',
      detail: `${detail}; ${unseenRemedy(nodes)}`,
      remedy: null,
    };
  }
  return { kind: 'free' };
};

/** Homes that must be in the ledger before the want may start on this node (rules 11, 14). */
export const homesOwed = (
  want: SlotWant,
  node: string,
  homes: Homes,
): readonly Extract<LedgerRecord, { kind: 'volume' }>[] => {
  const { namespace, job } = want.version.spec;
  const { index } = want.slot;
  return want.spec.volumes
    .filter(({ name }) => homes.get(homeKey({ namespace, job }, name, slotOf(want)))?.node !== node)
    .map(({ name }) => ({
      kind: 'volume',
      namespace,
      job,
      volume: name,
      group: want.group.name,
      index,
      node,
    }));
};

/** Folders of homes that were ended, by node. */
export type EndedFolders = ReadonlyMap<string, ReadonlySet<string>>;

export const endedFoldersOf = ({ endedVolumes = [] }: DesiredState): EndedFolders => {
  const byNode = new Map<string, Set<string>>();
  for (const home of endedVolumes) {
    const folder = volumeFolder(home, home.volume);
    const mine = byNode.get(home.node);
    if (mine === undefined) byNode.set(home.node, new Set([folder]));
    else mine.add(folder);
  }
  return byNode;
};

/**
 * What the node is to remove: folders of ended homes that it says are there, unless a copy uses
 * them. Sorted; empty nearly always.
 */
export const foldersToRemove = (node: LiveNode, ended: EndedFolders): readonly string[] => {
  const mine = ended.get(node.name);
  if (mine === undefined || node.volumes === undefined) return [];
  const there = node.volumes.filter((folder) => mine.has(folder));
  if (there.length === 0) return there;
  const used = new Set(
    unaged(node).flatMap(({ body, phase }) =>
      phase === 'dead' ? [] : body.spec.volumes.map(({ name }) => volumeFolder(body, name)),
    ),
  );
  return there.filter((folder) => !used.has(folder)).toSorted(compareText);
};

/** The first of the want's volumes whose old data are still on that node; null: none. */
export const oldData = (
  { spec, version, group, slot }: SlotWant,
  node: LiveNode | null,
  ended: EndedFolders,
): string | null => {
  const mine = node === null ? undefined : ended.get(node.name);
  if (mine === undefined) return null;
  const { namespace, job } = version.spec;
  const owner = { namespace, job, group: group.name, index: slot.index };
  const found = spec.volumes.find(({ name }) => {
    const folder = volumeFolder(owner, name);
    return mine.has(folder) && node?.volumes?.includes(folder) === true;
  });
  return found?.name ?? null;
};
