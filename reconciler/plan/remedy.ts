// What a person does about a job that does not serve as it should, in one place for all who say it.
// In: a job. Out: a command or an edit. Not here: commands for other reasons to wait (group, job),
// which say their own.

import type { DesiredJob } from '../../schema/desired.ts';

/**
 * For a version that failed or is degraded. `purser rollback` is named only where it can do
 * something: it refuses what the automatic revert may not do either (rules 6.3).
 */
export const remedyFor = (job: DesiredJob): string => {
  const { id, file, standing, settled, revert, isOnlySettled = false } = job;
  const mayGoBack = settled && standing.kind === 'head' && !isOnlySettled;
  const canGoBack = revert.kind === 'possible' || mayGoBack;
  if (canGoBack) return `purser rollback ${id}`;
  return standing.kind === 'held'
    ? `correct ${file}: purser validate`
    : `purser logs ${id}, then commit a correction`;
};
