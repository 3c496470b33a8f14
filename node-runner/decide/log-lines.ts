// Log lines that may go with a failure, where the namespace allows it (rules 6.4).
// In: marks, the end of a log. Out: which logs are lacking, and lines that are fit for a commit's
// message. Not here: reading logs (evidence.ts), where the lines are shown (reconciler/plan).

import { runsToEnd } from '../../schema/lifecycle.ts';
import type { FailureRecord } from '../../schema/orders.ts';
import { plainLines, shortened } from '../../schema/plain.ts';
import type { EndOfLogAsk } from '../ports.ts';
import type { AllocationMark, FailureMark, TaskMark } from './inventory.ts';
import { lastCheck } from './probe.ts';

/** What was read for one failure, known by when it happened. */
export interface FailureLog {
  readonly at: number;
  readonly lines: readonly string[];
}

/** Lines of a failure: what a person reads first; the rest is in `purser logs`. */
const LINES = 10;
/** Longer lines are cut: a commit's message is read in a terminal. */
const LINE_CHARACTERS = 200;
/** So much is read: enough for LINES lines of characters of four bytes. */
export const END_OF_LOG_BYTES = 4 * LINES * LINE_CHARACTERS;

/** Failures of a task that ran; the others have written no log. */
const WITH_LOG: ReadonlySet<FailureRecord['kind']> = new Set([
  'exit',
  'out-of-memory',
  'check-failed',
]);

/** The failure whose log is wanted; null: there is none, or the namespace does not allow it. */
export const quotable = ({ body, failure }: AllocationMark): FailureMark | null =>
  body.evidence === 'logs' &&
  failure !== null &&
  failure.blame === 'version' &&
  failure.task !== null &&
  WITH_LOG.has(failure.kind)
    ? failure
    : null;

/** The log of the run that failed: a task that has started since writes to a newer one. */
export const logAsk = (mark: AllocationMark, { task, at }: FailureMark): EndOfLogAsk => {
  const now = mark.tasks.find(({ name }) => name === task);
  const isAgain = now?.run === 'open' && now.runSince !== null && now.runSince > at;
  return {
    allocation: mark.allocation,
    task: task ?? '',
    run: isAgain ? 'before' : 'newest',
    bytes: END_OF_LOG_BYTES,
  };
};

/** What a task has written that runs and does not get healthy. */
export interface CheckLog {
  readonly task: string;
  /** When it was read. */
  readonly at: number;
  readonly lines: readonly string[];
}

/**
 * The task whose log says why its copy was never healthy: it runs, and a check of it fails, or it
 * is to run to its end and others wait for that. null: there is none, or the namespace does not
 * allow it.
 */
export const neverHealthy = (mark: AllocationMark): string | null => {
  const { body, firstHealthyAt, stop, deadAt, tasks } = mark;
  if (body.evidence !== 'logs' || firstHealthyAt !== null) return null;
  if (stop !== null || deadAt !== null) return null;
  const holdsUp = (task: TaskMark, position: number): boolean => {
    const spec = body.spec.tasks[position];
    return lastCheck(task) !== null || (spec !== undefined && runsToEnd(spec));
  };
  return tasks.find((task, at) => task.run === 'open' && holdsUp(task, at))?.name ?? null;
};

export const checkLogAsk = (allocation: string, task: string): EndOfLogAsk => ({
  allocation,
  task,
  run: 'newest',
  bytes: END_OF_LOG_BYTES,
});

/**
 * The last lines, without what is not text. The first line of a long log may be cut in front; it
 * is one of the last LINES only if the lines are long.
 */
export const cleanLines = (text: string): readonly string[] =>
  plainLines(text)
    .slice(-LINES)
    .map((line) => shortened(line, LINE_CHARACTERS));
