// When the download of each layer of an image starts. In: the layers' bytes as they arrive, and how
// long each was waited for. Out: a turn for each layer, from the lowest up. The lowest is the one
// that can be unpacked first: where one download takes all that this machine can do, it is left
// alone; where the network or the registry is the limit, the next ones run beside it. Not here: the
// downloads themselves (pull.ts), and how many of them may run at a time.

import { setTimeout as sleep } from 'node:timers/promises';

export interface DownloadOrder {
  /** Resolves when this layer's download should start; rejects when the pull is given up. */
  readonly turn: (index: number) => Promise<void>;
  /** The same bytes; the time that their reader takes between them is noted. */
  readonly watched: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;
  /** This layer is here. */
  readonly ended: (index: number) => void;
}

/** How long downloads are watched before one more joins them: a few round trips, nearby. */
const WATCH_MS = 50;
/**
 * The share of that time for which some download had bytes that containerd had not taken yet. Above
 * it one more would only slow down the others; a network that brings a third of what the machine
 * can take leaves less.
 */
const BUSY_MAX = 0.35;

/** The order for one pull of so many layers. */
export const createDownloadOrder = (layers: number, signal: AbortSignal): DownloadOrder => {
  const ends = Array.from({ length: layers }, () => new AbortController());
  let busyMs = 0;

  /** Until the layer below is here, or leaves the machine idle. */
  const joinable = async (end: AbortSignal): Promise<void> => {
    const either = AbortSignal.any([signal, end]);
    while (!either.aborted) {
      const before = busyMs;
      await sleep(WATCH_MS, undefined, { signal: either }).catch(() => undefined);
      if (busyMs - before < WATCH_MS * BUSY_MAX) break;
    }
    signal.throwIfAborted();
  };

  const turns: Promise<void>[] = [];
  let last = Promise.resolve();
  for (const { signal: end } of ends) {
    turns.push(last);
    last = last.then(() => joinable(end));
    // Whoever waits for the turn hears of it; the last one is nobody's.
    last.catch(() => undefined);
  }
  return {
    turn: (index) => turns[index] ?? Promise.resolve(),
    watched: async function* (source) {
      for await (const chunk of source) {
        const given = performance.now();
        yield chunk;
        busyMs += performance.now() - given;
      }
    },
    ended: (index) => ends[index]?.abort(),
  };
};
