// When the state of a commit is told, and how a commit ends that is no longer the newest.
// In: what was told, what would be told now. Out: decisions. An end and its conclusion are told at
// once; progress, buttons that come and go with it included, every 15 s in the first minute and
// every 60 s after: GitHub counts writes. Not here: the words (reconciler/render), the writing (edge).

import type { CheckReport, Ended } from '../../schema/forge.ts';
import type { Ledger } from '../../schema/ledger.ts';
import type { CommitInfo } from '../../schema/source.ts';
import type { Ms } from '../../schema/spec.ts';

export interface ToldCommit {
  /** When this process saw it become the newest. */
  readonly since: Ms;
  readonly told: CheckReport | null;
  readonly toldAt: Ms;
  /** The cluster ran what it says, whether or not that could be told. */
  readonly wasSynced: boolean;
}

const FIRST_MINUTE_MS = 60_000;
const PROGRESS_FIRST_MS = 15_000;
const PROGRESS_MS = 60_000;

/** The instant from which the report may be written; null: it says nothing new. */
export const tellAt = (known: ToldCommit, report: CheckReport, now: Ms): Ms | null =>
  known.told !== null && isSame(known.told, report) ? null : heldUntil(known, report, now);

/** The same by how the commit stands alone: before it nothing that a report says is written. */
export const heldUntil = (
  { since, told, toldAt }: ToldCommit,
  { status, conclusion }: Standing,
  now: Ms,
): Ms => {
  if (told === null) return now;
  const isEnd = told.status === 'completed' || status === 'completed';
  if (isEnd && (told.status !== status || told.conclusion !== conclusion)) return now;
  const every = now - since < FIRST_MINUTE_MS ? PROGRESS_FIRST_MS : PROGRESS_MS;
  return toldAt + every;
};

export type Standing = Pick<CheckReport, 'status' | 'conclusion'>;

export const isSame = (a: CheckReport, b: CheckReport): boolean =>
  a.commit === b.commit &&
  a.status === b.status &&
  a.conclusion === b.conclusion &&
  a.title === b.title &&
  a.summary === b.summary &&
  a.text === b.text &&
  buttonsIn(a) === buttonsIn(b);

const buttonsIn = ({ buttons }: CheckReport): string =>
  buttons.map(({ id, covers = '' }) => `${id} ${covers}`).join();

/** How a commit begins that takes such a commit back again, and lands the change once more. */
const RELANDS = /^(Re-land |Reapply "|Revert "Revert ")/;

/** It took another commit back: what can be asked of it is to land that again. */
export const isReturn = ({
  message,
  trailers,
}: Pick<CommitInfo, 'message' | 'trailers'>): boolean =>
  !RELANDS.test(message) &&
  (trailers.some(([key]) => key === 'Purser-Reverts') ||
    /^This reverts commit [0-9a-f]{7,64}\b/m.test(message));

/**
 * Of a commit that another one follows. Where nothing was told of it while it was the newest, such
 * as when the forge was away, the ledger says whether a version of it settled.
 */
export const endOf = (
  { commit, told, wasSynced }: Pick<ToldCommit, 'told' | 'wasSynced'> & { readonly commit: string },
  ledger: Ledger,
): Ended => {
  const jobs = ledger.flatMap((record) => {
    if (record.kind !== 'failed' || record.commit !== commit) return [];
    const answer = ledger.findLast(
      (one) => one.kind === 'reverted' && one.deployment === record.deployment,
    );
    const revertedBy = answer?.kind === 'reverted' ? answer.commit : null;
    return [{ job: record.job, evidence: record.evidence, revertedBy }];
  });
  if (jobs.length > 0) return { kind: 'failed', jobs };
  const hasSettled = ledger.some((record) => record.kind === 'settled' && record.commit === commit);
  const isSynced = wasSynced || (told === null && hasSettled);
  return { kind: isSynced ? 'synced' : 'superseded' };
};
