// Which network an allocation's tasks live in, as far as the runner has to see to it.
// In: the group, the facts. Out: nothing to do, what there is, or that it must be set up first.
// Not here: setting up (edge/network), the specification (oci-spec.ts).

import type { GroupSpec } from '../../schema/spec.ts';
import type { NetworkFacts } from '../ports.ts';
import type { Inventory } from './inventory.ts';

/** A name space apart from the machine's. */
export interface OwnNetwork extends Pick<NetworkFacts, 'reachesDns' | 'resolvConf'> {
  /** null: the runtime makes a fresh one with the container, and it goes with it. */
  readonly path: string | null;
  /** null in mode none. */
  readonly address: string | null;
}

/**
 * Does something have to be made before the first container? In mode none a single task needs only
 * a name space with its loopback up, which runc makes anyway: that saves two programs a copy. Tasks
 * that share one need it by name, since each may be started again alone.
 */
export const needsNetwork = ({ networkMode, tasks }: GroupSpec): boolean =>
  networkMode === 'bridge' || (networkMode === 'none' && tasks.length > 1);

/**
 * `host`: the machine's own; `missing`: to be set up first. What an earlier runner has set up for a
 * single task is in use as long as it is there.
 */
export const networkOf = (
  allocation: string,
  group: GroupSpec,
  inventory: Pick<Inventory, 'networks'>,
): OwnNetwork | 'host' | 'missing' => {
  if (group.networkMode === 'host') return 'host';
  const known = inventory.networks.get(allocation);
  if (known !== undefined) return known;
  return needsNetwork(group) ? 'missing' : { path: null, address: null };
};
