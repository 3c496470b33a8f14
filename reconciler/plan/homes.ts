// Where named volumes live, by the slot that each belongs to (rules 14).
// In: desired state. Out: homes by a key that is asked for with a job, a volume and a slot.
// Not here: what follows for a want, or for folders on nodes (volumes).

import type { DesiredState, VolumeHome } from '../../schema/desired.ts';

export type Homes = ReadonlyMap<string, VolumeHome>;

export const homesOf = (desired: DesiredState): Homes =>
  new Map(desired.volumes.map((home) => [homeKey(home, home.volume, home), home]));

export const homeKey = (
  job: { readonly namespace: string; readonly job: string },
  volume: string,
  slot: { readonly group: string; readonly index: number },
): string => `${job.namespace}/${job.job}/${volume}/${slot.group}[${slot.index}]`;
