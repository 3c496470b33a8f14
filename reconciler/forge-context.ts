// What the parts of the forge's loop are given.
// In: nothing. Out: types, the earliest of several instants, a walk that no failure ends early. Not
// here: the parts (commit-reports, pull-reports, forge-requests), the loop (forge-loop).

import type { CommitInfo } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import type { Loop } from './loop.ts';
import type {
  ClockPort,
  CommitAsk,
  ForgePort,
  LogPort,
  PullPlansPort,
  SourcePort,
} from './ports.ts';

export interface ForgeContext {
  readonly forge: ForgePort;
  readonly plans: PullPlansPort;
  readonly source: Pick<SourcePort, 'commit' | 'complete' | 'record'> & {
    /** The commit under a branch of its own; nothing where that branch exists. */
    readonly offer: (ask: CommitAsk, branch: string) => Promise<void>;
    /** Commits on the first-parent line, newest first. */
    readonly listCommits: (limit: number) => Promise<readonly CommitInfo[]>;
  };
  /** Where people see what the cluster runs; absent: nowhere. */
  readonly environmentUrl?: string;
  readonly clock: ClockPort;
  readonly log: LogPort;
  /** The main loop: what is known, and how to have it look again. */
  readonly loop: Pick<Loop, 'state' | 'wake' | 'watch'>;
}

/** Each part of a pass does what it can; the earliest instant at which it has something to do. */
export type Part = (view: View) => Promise<Ms | null>;

/** Each one is tried, whatever the others meet; the first failure is thrown afterwards. */
export const tryEach = async <T>(
  ones: Iterable<T>,
  act: (one: T) => Promise<void>,
): Promise<void> => {
  const failures: unknown[] = [];
  for (const one of ones) {
    try {
      await act(one);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
};

export const earliest = (instants: readonly (Ms | null)[]): Ms | null => {
  const known = instants.filter((at): at is Ms => at !== null);
  return known.length === 0 ? null : Math.min(...known);
};
