// A reconciler's loop in a process of its own (bench/timed-loop.ts), and what it says about its
// plans. In: a repository, names of nodes. Out: when the plan of a commit was there. Not here: what
// runs in that process.

import { forkProgram, endProgram } from './program.ts';

export type TimedMessage =
  /** The first plan of this commit is there. */
  | { readonly kind: 'planned'; readonly commit: string; readonly atMs: number }
  /** This commit needs nothing more. */
  | { readonly kind: 'rest'; readonly commit: string }
  | { readonly kind: 'problem'; readonly text: string };

export interface TimedPlans {
  /** When the plan of this commit was there, on the clock of `monotonicMs`. */
  readonly planned: (commit: string) => Promise<number>;
  /** Every copy of this commit runs, and nothing is left to write. */
  readonly rest: (commit: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Whatever a model needs a digest for. */
export const MODEL_DIGEST = `sha256:${'a'.repeat(64)}`;

/** Milliseconds of the machine's own clock, the same in every process. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

interface TimedPlansOptions {
  readonly repository: string;
  readonly nodes: readonly string[];
  /** Folder for the bundle. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** Longest wait for a plan or for rest; 10,000 jobs are placed in some ten seconds. */
const LIMIT_MS = 120_000;

export const startTimedPlans = (options: TimedPlansOptions): TimedPlans => {
  const { repository, nodes, folder, say } = options;
  const args = [repository, ...nodes];
  const child = forkProgram({ entry: 'bench/timed-loop.ts', folder, args });
  const seen = new Map<string, number>();
  const waiting = new Map<string, (atMs: number) => void>();
  child.on('message', (message: TimedMessage) => {
    if (message.kind === 'problem') return say(message.text);
    const key = `${message.kind} ${message.commit}`;
    const atMs = message.kind === 'planned' ? message.atMs : 0;
    seen.set(key, atMs);
    waiting.get(key)?.(atMs);
  });
  const until = (key: string): Promise<number> =>
    new Promise((done, fail) => {
      const atMs = seen.get(key);
      if (atMs !== undefined) return done(atMs);
      const timer = setTimeout(() => fail(new Error(`the loop did not say: ${key}`)), LIMIT_MS);
      waiting.set(key, (at) => {
        clearTimeout(timer);
        waiting.delete(key);
        done(at);
      });
    });
  return {
    planned: (commit) => until(`planned ${commit}`),
    rest: async (commit) => void (await until(`rest ${commit}`)),
    stop: () => endProgram(child),
  };
};
