// How long nothing was heard of a node (rules 9.1).
// In: live state, one of its nodes. Out: milliseconds. Not here: what follows from it.

import type { LiveNode, LiveState } from './live.ts';
import type { Ms } from './spec.ts';

/** It counts from this reconciler's own start at the earliest; null: nothing was heard since. */
export const silenceOf = (node: Pick<LiveNode, 'silentForMs'> | null, { upForMs }: LiveState): Ms =>
  Math.min(node?.silentForMs ?? upForMs, upForMs);
