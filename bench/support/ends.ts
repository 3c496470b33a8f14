// What a benchmark starts and puts on disk is gone when it ends: well, by a failure, or because it
// was told to stop (Ctrl-C, `timeout`, `kill`). In: how each thing is ended. Out: all of them ended,
// the last one first, once. Not here: what is measured. SIGKILL cannot be met.

import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';

export interface Ends {
  readonly add: (end: End) => void;
  /** A folder that is removed at the end. */
  readonly folder: () => string;
}

export type End = () => Promise<void> | void;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export const withEnds = async <Value>(act: (ends: Ends) => Promise<Value>): Promise<Value> => {
  const all: End[] = [];
  let ending: Promise<void> | null = null;
  let isStopped = false;
  const endAll = (): Promise<void> => (ending ??= endEach(all));
  const add = (end: End): void => void all.push(end);
  const stop = (signal: (typeof SIGNALS)[number]): void => {
    isStopped = true;
    void endAll().finally(() => process.exit(128 + constants.signals[signal]));
  };
  const folder = (): string => {
    const made = fs.mkdtempSync(path.join(tmpdir(), 'pb-'));
    add(() => fs.rmSync(made, { recursive: true, force: true }));
    return made;
  };
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    return await act({ add, folder });
  } finally {
    // What it worked with was taken from it: it says no more, and the process ends in `stop`.
    if (isStopped) await new Promise<never>(() => {});
    await endAll();
    for (const signal of SIGNALS) process.off(signal, stop);
  }
};

/** One that fails keeps no other from its end; what is added meanwhile is ended too. */
const endEach = async (all: End[]): Promise<void> => {
  const failures: unknown[] = [];
  for (let end = all.pop(); end !== undefined; end = all.pop()) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
};
