// Catalogues of services on their way to the runners: whole at the start of a session, then what
// changed since the one that this runner was given. In: the newest catalogue. Out: frames, made
// when a runner takes them, so that a slow one is given one difference and not all between. What
// many runners are given alike is made once. Not here: what is in a catalogue (reconciler/live).

import type { SessionResponse } from '../../schema/generated/purser/link/v1/link.ts';
import { type Catalogue, encodeCatalogue } from '../../schema/services.ts';
import { FRAME_BYTES } from '../../schema/wire.ts';

interface Revision {
  readonly number: bigint;
  readonly catalogue: Catalogue;
}

export interface Catalogues {
  readonly publish: (catalogue: Catalogue) => void;
  readonly taker: () => Taker;
}

/** Of one session. */
export interface Taker {
  readonly isBehind: () => boolean;
  /** What brings it to the newest one; it has that then. */
  readonly take: () => readonly SessionResponse[];
}

/** Room for the frame around a part. */
const FRAME_OVERHEAD_BYTES = 1024;

export const createCatalogues = (): Catalogues => {
  let newest: Revision | null = null;
  /** Frames that lead to `newest`, by the revision that they go on from; 0: whole. */
  let made = new Map<bigint, readonly SessionResponse[]>();
  const framesFrom = (before: Revision | null, to: Revision): readonly SessionResponse[] => {
    const from = before?.number ?? 0n;
    const known = made.get(from);
    if (known !== undefined) return known;
    const frame = encodeCatalogue(before?.catalogue ?? null, to.catalogue);
    const frames = partsOf(Buffer.from(JSON.stringify(frame)), { revision: to.number, from });
    made.set(from, frames);
    return frames;
  };
  return {
    publish: (catalogue) => {
      if (newest?.catalogue === catalogue) return;
      newest = { number: (newest?.number ?? 0n) + 1n, catalogue };
      made = new Map();
    },
    taker: () => {
      let has: Revision | null = null;
      return {
        isBehind: () => newest !== has,
        take: () => {
          if (newest === null || newest === has) return [];
          const frames = framesFrom(has, newest);
          has = newest;
          return frames;
        },
      };
    },
  };
};

const partsOf = (
  bytes: Buffer,
  { revision, from }: { readonly revision: bigint; readonly from: bigint },
): readonly SessionResponse[] => {
  const size = FRAME_BYTES - FRAME_OVERHEAD_BYTES;
  const count = Math.max(1, Math.ceil(bytes.length / size));
  return Array.from({ length: count }, (_, part) => {
    const chunk = bytes.subarray(part * size, (part + 1) * size);
    const value = { revision, from, chunk, last: part === count - 1 };
    return { frame: { $case: 'catalogue' as const, value } };
  });
};
