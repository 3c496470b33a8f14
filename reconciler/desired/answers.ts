// Reverts of ours that are on the branch and not in the ledger: whoever pushed one died, or never
// heard that it had arrived, before its record was written (rules 6.4, 11).
// In: the commits since the synced one, the ledger. Out: the records that are owed. Without them the
// same deployment would be reverted again once people throw that commit away.
// Not here: how the commits are read (edge/git), the revert itself (plan/proposals).

import type { LedgerRecord } from '../../schema/ledger.ts';
import type { CommitInfo, SourceTree } from '../../schema/source.ts';
import { failedRecord, recordsOf, revertCommit, type LedgerIndex } from './ledger-index.ts';
import type { Survey } from './surveyed.ts';

/**
 * Oldest first. Only a deployment whose failure is on record can have been answered: its mark is
 * pushed before the revert.
 */
export const answersOwed = (
  { head, unsynced = [head] }: SourceTree,
  { index, frame }: Pick<Survey, 'index' | 'frame'>,
): readonly LedgerRecord[] =>
  unsynced.toReversed().flatMap((commit) => {
    if (trailer(commit, 'Purser-Cluster') !== frame.clusterSpec.name) return [];
    return answerOf(commit, index);
  });

const answerOf = (commit: CommitInfo, index: LedgerIndex): readonly LedgerRecord[] => {
  const job = trailer(commit, 'Purser-Job');
  const deployment = trailer(commit, 'Purser-Deployment');
  if (job === undefined || deployment === undefined) return [];
  const ledger = recordsOf(index, job);
  const isOpen =
    failedRecord(ledger, deployment) !== null && revertCommit(ledger, deployment) === null;
  return isOpen ? [{ kind: 'reverted', job, deployment, commit: commit.oid }] : [];
};

const trailer = ({ trailers }: CommitInfo, name: string): string | undefined =>
  trailers.find(([key]) => key === name)?.[1];
