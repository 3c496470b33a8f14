// Who is behind commits of the branch, asked of the forge once each, beside the loop.
// In: a way to ask. Out: answers for this session; what follows from one is recorded in the ledger
// (reconciler/screen). A forge that is away is asked again with back-off, and meanwhile nobody is
// known: what ran before goes on. Not here: judging.

import type { Behind } from '../schema/behind.ts';
import { RETRY_FIRST_MS, RETRY_LONGEST_MS } from './config.ts';
import { isEdgeFailure } from './cycle.ts';
import type { ClockPort, ForgePort, LogPort } from './ports.ts';
import type { People } from './screen.ts';
import type { ScreenedCommit } from './screened-line.ts';

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
  /** null: nobody is known yet. */
  answer: Behind | null;
  /** Why nobody can say more; null: it is being asked, or all is known. */
  why: string | null;
  failures: number;
  /** It is to be asked when somebody wants to know it. */
  isIdle: boolean;
}

type Answer = Pick<Asked, 'answer' | 'why'>;

export const createBehinds = ({ ask, clock, log, wake }: BehindsOptions): People => {
  const known = new Map<string, Asked>();
  let version = 0;
  const bump = (): void => {
    version += 1;
    wake();
  };

  const answerOf = async (info: ScreenedCommit, teams: readonly string[]): Promise<Answer> => {
    const { oid: commit, signedBy, merge } = info;
    const signed = signedBy === undefined ? {} : { signedBy };
    const merged = merge === undefined ? {} : { merge };
    try {
      const answer = await ask({ kind: 'commit', commit, ...signed, ...merged }, teams);
      return { answer, why: answer.unread?.why ?? null };
    } catch (error) {
      return { answer: null, why: isEdgeFailure(error) ? error.message : String(error) };
    }
  };

  /** Once; where not all could be said it is asked again as long as somebody wants to know it. */
  const begin = async (info: ScreenedCommit, teams: readonly string[], one: Asked) => {
    one.isIdle = false;
    const before = JSON.stringify([one.answer, one.why]);
    const { answer, why } = await answerOf(info, teams);
    if (one.why === null && why !== null) {
      log.warn({}, `who approved commit ${info.oid.slice(0, 12)} is not known: ${why}`);
    }
    one.answer = answer ?? one.answer;
    one.why = why;
    if (JSON.stringify([one.answer, one.why]) !== before) bump();
    if (why === null) return;
    const wait = Math.min(RETRY_FIRST_MS * 2 ** one.failures, RETRY_LONGEST_MS);
    one.failures = Math.min(one.failures + 1, 10);
    await clock.sleepUntil(clock.now() + wait, NEVER);
    one.isIdle = true;
    bump();
  };

  const keyOf = ({ oid, signedBy = [], merge }: ScreenedCommit, teams: readonly string[]) =>
    [oid, merge?.theirs, merge?.isExact, ...signedBy, '', ...teams].join(' ');

  return {
    behind: (info, teams) => {
      const key = keyOf(info, teams);
      const one = known.get(key) ?? { answer: null, why: null, failures: 0, isIdle: true };
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(key, one);
      if (one.isIdle) void begin(info, teams, one);
      return one.answer ?? undefined;
    },
    why: (info, teams) => known.get(keyOf(info, teams))?.why ?? null,
    version: () => version,
  };
};

const NEVER = new AbortController().signal;
