// Who is behind commits of the branch, asked of the forge once each, beside the loop.
// In: a way to ask. Out: answers for this session; what follows from one is recorded in the ledger
// (reconciler/screen). A forge that is away is asked again with back-off, and meanwhile nobody is
// known: what ran before goes on. Not here: judging.

import type { Behind } from '../schema/behind.ts';
import { RETRY_FIRST_MS, RETRY_LONGEST_MS } from './config.ts';
import { isEdgeFailure } from './cycle.ts';
import type { ClockPort, ForgePort, LogPort } from './ports.ts';
import type { People } from './screen.ts';

export interface BehindsOptions {
  readonly ask: ForgePort['behind'];
  readonly clock: ClockPort;
  readonly log: LogPort;
  /** Called once an answer is there. */
  readonly wake: () => void;
}

/** Answers remembered: commits that are not judged yet are few. */
const KNOWN_MAX = 1000;

interface Asked {
  answer: Behind | null;
  failures: number;
}

export const createBehinds = ({ ask, clock, log, wake }: BehindsOptions): People => {
  const known = new Map<string, Asked>();
  let version = 0;

  const begin = async (commit: string, teams: readonly string[], one: Asked): Promise<void> => {
    while (one.answer === null) {
      try {
        one.answer = await ask({ kind: 'commit', commit }, teams);
      } catch (error) {
        const message = isEdgeFailure(error) ? error.message : String(error);
        const words = `who approved commit ${commit.slice(0, 12)} cannot be asked: ${message}`;
        if (one.failures === 0) log.warn({}, words);
        const wait = Math.min(RETRY_FIRST_MS * 2 ** one.failures, RETRY_LONGEST_MS);
        one.failures = Math.min(one.failures + 1, 10);
        await clock.sleepUntil(clock.now() + wait, NEVER);
      }
    }
    version += 1;
    wake();
  };

  return {
    behind: ({ oid }, teams) => {
      const key = `${oid} ${teams.join(' ')}`;
      const one = known.get(key) ?? { answer: null, failures: -1 };
      if (one.failures < 0) {
        if (known.size >= KNOWN_MAX) known.clear();
        one.failures = 0;
        known.set(key, one);
        void begin(oid, teams, one);
      }
      return one.answer ?? undefined;
    },
    version: () => version,
  };
};

const NEVER = new AbortController().signal;
