// What a start has read, kept for the next one, so that a restarted reconciler need neither read
// Git's objects nor parse and check files that are as they were.
// In: what was kept; views. Out: a memo that knows it; a write now and then, in quiet moments.
// Not here: the file (edge/keep.ts), what a document is as plain data (schema/kept.ts).

import type { Kept, KeptDocument } from '../schema/kept.ts';
import type { View } from './cycle.ts';
import { documentsToKeep, recall, type ReadMemo } from './desired/read.ts';

export interface KeepingOptions {
  readonly reads: ReadMemo;
  /** All texts that were read last, by blob id. */
  readonly texts: () => Kept['texts'];
  readonly keep: (texts: Kept['texts'], documents: Iterable<KeptDocument>) => Promise<void>;
}

export interface Keeping {
  /** A text that was kept, until the first view; undefined: not kept. */
  readonly known: (blob: string) => string | undefined;
  readonly offer: (view: View) => void;
  readonly close: () => void;
}

/** So long after a pass nothing is urgent: the plan is made, and the orders are sent. */
const QUIET_MS = 2000;
/** Not written again sooner: a busy hour costs sixty writes of some megabytes. */
const EVERY_MS = 60_000;
/** With fewer new files the next start reads these, in a few milliseconds. */
const NEW_AT_LEAST = 32;

export const createKeeping = (kept: Kept, { reads, texts, keep }: KeepingOptions): Keeping => {
  /** Until the first view. */
  let recalled: Kept['texts'] | null = kept.texts;
  let blobs: ReadonlySet<string> = new Set(kept.texts.keys());
  let newest: View | null = null;
  let timer: NodeJS.Timeout | null = null;
  let notBefore = 0;
  recall(reads, kept.documents);

  const look = async (): Promise<void> => {
    const now = texts();
    const news = [...now.keys()].filter((blob) => !blobs.has(blob)).length;
    if (newest === null || news < NEW_AT_LEAST) return;
    await keep(now, documentsToKeep(reads, newest.tree.files));
    blobs = new Set(now.keys());
    notBefore = performance.now() + EVERY_MS;
  };

  const lookLater = (): void => {
    const wait = Math.max(QUIET_MS, notBefore - performance.now());
    timer = setTimeout(() => {
      void look().finally(() => {
        timer = null;
      });
    }, wait);
    timer.unref();
  };

  return {
    known: (blob) => recalled?.get(blob),
    offer: (view) => {
      if (recalled !== null) {
        recalled = null;
        recall(reads, []);
      }
      newest = view;
      if (timer === null) lookLater();
    },
    close: () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
};
