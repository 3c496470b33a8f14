// What a failed version leaves behind: which of its copies failed, where, with what last words.
// In: a job, the reason, the copies that failed. Out: the evidence for the ledger and the revert.
// Not here: when a version has failed (deployment.ts), how the message reads (proposals.ts).

import { holdingTask } from '../../schema/copy-words.ts';
import type { Evidence } from '../../schema/ledger.ts';
import type { LiveAllocation } from '../../schema/live.ts';
import { hideSecrets, maskedLine, secretsOf } from '../../schema/secret-text.ts';
import type { Ms } from '../../schema/spec.ts';
import type { Copy } from './classify.ts';
import type { JobView } from './slots.ts';

/**
 * At most so many allocations go into a record and a commit message: the rest tells nothing new.
 */
const EVIDENCE_LIMIT = 5;

/**
 * `copies`: those that failed, oldest slot first. Words only; nothing in it grows with time. The
 * reason ends with what the first of them says, as it is shown alone in lists and subjects.
 */
export const evidence = (view: JobView, reason: string, copies: readonly Copy[]): Evidence => {
  const { job } = view;
  const secrets = secretsIn(view);
  const allocations = copies.slice(0, EVIDENCE_LIMIT).map(({ allocation }) => {
    const { failure, tasks } = allocation;
    const afterMs = failedAfter(allocation, job.spec.update.healthyDeadlineMs);
    const failing = tasks.find((task) => task.lastCheck !== null);
    const holding = failing === undefined ? holdingTask(allocation) : null;
    const log = failure?.log ?? (failing ?? tasks.find(({ name }) => name === holding))?.log;
    return {
      allocation: allocation.allocation,
      node: allocation.node,
      task: failure?.task ?? failing?.name ?? holding,
      message: hideSecrets(
        failure?.message ?? failing?.lastCheck ?? (holding === null ? UNKNOWN : UNENDED),
        secrets,
      ),
      ...(afterMs === null ? {} : { afterMs }),
      // A node may still hold what it was allowed to send before; and the ledger is pushed, so what
      // may be a secret goes no further.
      ...(job.evidence === 'logs' && log !== undefined
        ? { log: log.map((line) => maskedLine(line, secrets)) }
        : {}),
    };
  });
  const first = allocations.find(({ message }) => message !== UNKNOWN);
  return {
    reason: first === undefined ? reason : `${reason}: ${wordsOf(job, first)}`,
    allocations,
  };
};

/** Of all versions that it has copies of: one that went may still print what is valid elsewhere. */
const secretsIn = ({ job, groups }: JobView): readonly string[] => {
  const there = groups.flatMap(({ copies }) =>
    copies.map(({ allocation }) => allocation.body.spec),
  );
  return [...new Set([...secretsOf(job.spec), ...secretsOf({ groups: there })])];
};

/** Its message, and its task where a group of the job has several. */
const wordsOf = (
  { spec }: JobView['job'],
  { task, message }: Evidence['allocations'][number],
): string =>
  task === null || spec.groups.every(({ tasks }) => tasks.length < 2)
    ? message
    : `${task}: ${message}`;

/** Nothing is known of a copy but that. */
const UNKNOWN = 'not healthy';
/** Of a prestart or poststart task that holds up its copy. */
const UNENDED = 'has not ended';

export const seconds = (ms: Ms): string => `${Math.round(ms / 1000)} s`;

/**
 * How long after its first start it failed; one that was never healthy did at the deadline.
 * Not its age: evidence is the same whenever it is looked at.
 */
const failedAfter = (
  { failure, firstStartedForMs }: LiveAllocation,
  healthyDeadlineMs: Ms,
): Ms | null => {
  if (firstStartedForMs === null) return null;
  if (failure !== null) return Math.max(0, firstStartedForMs - failure.ageMs);
  return firstStartedForMs >= healthyDeadlineMs ? healthyDeadlineMs : null;
};
