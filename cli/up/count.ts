// How many nodes `purser up` plays: what is asked for, else as many as the last time.
// In: the flag as written, what the last `up` of this root was asked. Out: a count, or why not. A
// single node lives in the machine's own network and several have one each, so neither becomes the
// other; and a node that is left out would go on with its containers, which nobody would find.

import { CommandError } from '../command-error.ts';
import { many } from '../../reconciler/render/words.ts';
import type { UpSettings } from './layout.ts';

/** Most nodes that one machine is asked to play. */
const MOST_NODES = 50;

export const nodeCount = (
  asked: string | null,
  before: Pick<UpSettings, 'nodes'> | null,
): number => {
  const had = before?.nodes.length ?? null;
  const count = asked === null ? (had ?? 1) : Number(asked);
  if (!Number.isInteger(count) || count < 1 || count > MOST_NODES) {
    throw new CommandError(`--nodes takes a whole number from 1 to ${MOST_NODES}`);
  }
  if (had === null || count === had || (had > 1 && count > had)) return count;
  const why =
    count < had
      ? 'those left out would go on with their containers; `purser drain NODE` empties one'
      : 'its one node lives in the network of the machine, and several have one each';
  throw new CommandError(
    `this cluster has ${many(had, 'node')}, and ${why}. Leave --nodes out, or begin anew: purser down`,
  );
};
