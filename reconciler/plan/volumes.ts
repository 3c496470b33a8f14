// Named volumes and where they live (rules 14).
// In: a want, homes from the ledger. Out: the node that the want is bound to, records to write
// first, or why it waits.
// Not here: host paths (they need no home).

import type { DesiredState, VolumeHome } from '../../schema/desired.ts';
import type { LedgerRecord } from '../../schema/ledger.ts';
import type { WaitReason } from '../../schema/plan.ts';
import type { SlotWant } from './scope.ts';
import type { NodeViews } from './nodes.ts';

export type Homes = ReadonlyMap<string, VolumeHome>;

export const homesOf = (desired: DesiredState): Homes =>
  new Map(desired.volumes.map((home) => [homeKey(home, home.volume, home.index), home]));

const homeKey = (
  job: { readonly namespace: string; readonly job: string },
  volume: string,
  index: number,
): string => `${job.namespace}/${job.job}/${volume}/${index}`;

export type Binding =
  | { readonly kind: 'free' }
  | { readonly kind: 'bound'; readonly node: string }
  | { readonly kind: 'waits'; readonly why: WaitReason; readonly detail: string };

/**
 * Where the slot's volumes say that it must run. Lost homes are waited for, unless the volume may
 * be made anew.
 */
export const bindingOf = (want: SlotWant, homes: Homes, nodes: NodeViews): Binding => {
  const found = want.spec.volumes.flatMap((volume) => {
    const home = homes.get(homeKey(want.version.spec, volume.name, want.slot.index));
    return home === undefined ? [] : [{ volume, home }];
  });
  for (const { volume, home } of found) {
    const node = nodes.byName.get(home.node);
    const gone = node === undefined || node.expected === null || node.standing === 'lost';
    if (!gone) return { kind: 'bound', node: home.node };
    if (volume.onLoss === 'wait') {
      const detail = `volume ${volume.name} lives on ${home.node}, which is lost or left Git`;
      return { kind: 'waits', why: 'volume-node-lost', detail };
    }
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
    .filter(({ name }) => homes.get(homeKey({ namespace, job }, name, index))?.node !== node)
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
