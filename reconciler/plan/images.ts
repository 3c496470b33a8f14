// Images before stops (rules 5.7): a copy that serves goes when the images of what follows are
// there, and what follows has failed where they cannot be had (rules 3, 6.2).
// In: specs, nodes, the copies of a slot. Out: what a node has to fetch first; which deaths and
// fetches are such a failure.
// Not here: the steps (placing), what follows from a failure (deployment).
//
// Where the new copy starts behind the stop on one node, the stop itself names the images, and the
// start that waits for it dies when they cannot be had. Elsewhere, and where the old copy must be
// gone first (singletons), nothing is ordered but the fetch: the stop follows its report.

import { unaged } from '../../schema/ageing.ts';
import type { LiveAllocation, LiveNode } from '../../schema/live.ts';
import type { StopImage } from '../../schema/orders.ts';
import type { GroupSpec, Ms } from '../../schema/spec.ts';

/** A node; null: it was not heard from. */
interface Seen {
  readonly live: LiveNode | null;
}

export const imagesOf = ({ tasks }: GroupSpec): readonly StopImage[] =>
  tasks.flatMap(({ image: { repository, digest } }) =>
    digest === null ? [] : [{ repository, digest }],
  );

export const imageKey = ({ repository, digest }: StopImage): string => `${repository}@${digest}`;

/** Those of the group that are not known to be on the node: a copy runs it, or it was fetched. */
export const missingImages = (spec: GroupSpec, { live }: Seen): readonly StopImage[] => {
  if (live === null) return imagesOf(spec);
  const here = new Set((live.fetched ?? []).flatMap((one) => (one.failure ? [] : [imageKey(one)])));
  for (const { body, phase } of unaged(live)) {
    if (phase === 'running') for (const image of imagesOf(body.spec)) here.add(imageKey(image));
  }
  return imagesOf(spec).filter((image) => !here.has(imageKey(image)));
};

/** Why the fetch of one of these has not worked so far; null: nothing failed. */
export const fetchFailure = (images: readonly StopImage[], { live }: Seen): string | null => {
  const wanted = new Set(images.map(imageKey));
  const failed = live?.fetched?.find((one) => one.failure !== null && wanted.has(imageKey(one)));
  return failed?.failure?.message ?? null;
};

export interface Unfetched {
  readonly message: string;
  /** For so long. */
  readonly forMs: Ms;
}

/** Images that the registry does not have, by key: of several nodes the one that asked longest. */
export const unfetchedOn = (nodes: Iterable<Seen>): ReadonlyMap<string, Unfetched> => {
  const found = new Map<string, Unfetched>();
  for (const { live } of nodes) {
    for (const one of live?.fetched ?? []) {
      if (one.failure?.blame !== 'version') continue;
      const { message, forMs } = one.failure;
      const key = imageKey(one);
      if ((found.get(key)?.forMs ?? -1) < forMs) found.set(key, { message, forMs });
    }
  }
  return found;
};

/**
 * All that was started at the wanted version in this slot has died: where a stop waits for it, the
 * stop is taken back, and the slot is tried again.
 */
export const successorDied = (
  { target }: { readonly target: GroupSpec | null },
  index: number,
  allocations: readonly LiveAllocation[],
): boolean => {
  const started = allocations.filter(
    ({ body }) => body.index === index && body.spec.hash === target?.hash,
  );
  return started.length > 0 && started.every(({ phase }) => phase === 'dead');
};

/** It died while the stop of the copy before it waits: for want of its image. */
export const diedWaiting = (
  { body, phase }: LiveAllocation,
  going: readonly LiveAllocation[],
): boolean =>
  phase === 'dead' &&
  going.some(
    (before) =>
      before.stopWaits !== undefined &&
      before.body.group === body.group &&
      before.body.index === body.index,
  );
