// Reads the logs of failed tasks before the failure is reported, so that it is told once and whole;
// and of tasks that run and do not get healthy, which fail by a deadline that the runner does not
// know.
// In: the ports, the marks. Out: lines in the state, by allocation. Nothing is read where the body
// does not say `evidence: logs` (rules 6.4), and no line is ever written to the runner's own log.
// Not here: which lines (decide/log-lines.ts).

import type { Ms } from '../schema/spec.ts';
import { NODE_ALLOCATIONS } from '../schema/wire.ts';
import type { AllocationMark } from './decide/inventory.ts';
import { checkLogAsk, cleanLines, logAsk, neverHealthy, quotable } from './decide/log-lines.ts';
import { asFailure } from './perform.ts';
import type { RunnerPorts } from './ports.ts';
import type { RunnerState } from './state.ts';

/** The end of a task is heard before its shim has written down the last of its output. */
const SETTLE_MS: Ms = 200;
/** Logs read at once: a file each. */
const READS_AT_ONCE = 50;
/** What fails while logs are read is read too; after so many rounds the rest waits. */
const ROUNDS = NODE_ALLOCATIONS / READS_AT_ONCE + 2;

interface Reading {
  readonly ports: RunnerPorts;
  readonly state: RunnerState;
  readonly signal: AbortSignal;
}

/** Resolves when the log of every failure that may be quoted was read, or could not be. */
export const readEvidence = async ({ ports, state, signal }: Reading): Promise<void> => {
  forgetOld(state);
  await readCheckLogs({ ports, state, signal });
  for (let round = 0; round < ROUNDS && !signal.aborted; round += 1) {
    const lacking = [...state.marks.values()].filter((mark) => isLacking(state, mark));
    if (lacking.length === 0) return;
    const now = lacking.slice(0, READS_AT_ONCE);
    const newest = Math.max(...now.map(({ failure }) => failure?.at ?? 0));
    await ports.clock.sleepUntil(newest + SETTLE_MS, signal).catch(() => undefined);
    await Promise.all(now.map((mark) => readOne(ports, state, mark)));
  }
};

const isLacking = ({ logs }: RunnerState, mark: AllocationMark): boolean => {
  const failure = quotable(mark);
  return failure !== null && logs.get(mark.allocation)?.at !== failure.at;
};

/** What a task that does not get healthy writes is read again after this, at the earliest. */
const CHECK_LOG_AGAIN_MS: Ms = 10_000;

/** Some at a time: the rest comes with the next report. */
const readCheckLogs = async ({ ports, state }: Reading): Promise<void> => {
  for (const [allocation, { task }] of state.checkLogs) {
    const mark = state.marks.get(allocation);
    if (mark === undefined || neverHealthy(mark) !== task) state.checkLogs.delete(allocation);
  }
  const now = ports.clock.now();
  const due = [...state.marks.values()].flatMap((mark) => {
    const task = neverHealthy(mark);
    const read = state.checkLogs.get(mark.allocation);
    const isFresh = read !== undefined && now - read.at < CHECK_LOG_AGAIN_MS;
    return task === null || isFresh ? [] : [{ allocation: mark.allocation, task }];
  });
  await Promise.all(
    due.slice(0, READS_AT_ONCE).map(async ({ allocation, task }) => {
      const text = await ports.store.endOfLog(checkLogAsk(allocation, task)).catch(() => '');
      state.checkLogs.set(allocation, { task, at: now, lines: cleanLines(text) });
    }),
  );
};

const forgetOld = (state: RunnerState): void => {
  for (const allocation of state.logs.keys()) {
    const mark = state.marks.get(allocation);
    if (mark === undefined || quotable(mark) === null) state.logs.delete(allocation);
  }
};

/** Which run is asked is decided now: the task may have started again meanwhile. */
const readOne = async (ports: RunnerPorts, state: RunnerState, was: AllocationMark) => {
  const mark = state.marks.get(was.allocation) ?? was;
  const failure = quotable(mark);
  if (failure === null) return;
  const { at } = failure;
  try {
    const text = await ports.store.endOfLog(logAsk(mark, failure));
    state.logs.set(mark.allocation, { at, lines: cleanLines(text) });
  } catch (thrown) {
    // A failure without its log is told all the same.
    state.logs.set(mark.allocation, { at, lines: [] });
    ports.log.warn({}, `a log could not be read: ${asFailure(thrown).message}`);
  }
};
