// When to look: a wake-up from anywhere, the time that the last plan named, or the slow timer.
// In: ports. Out: the newest view, for everyone who shows it. Wake-ups carry no data (invariant 4):
// starting is the same path as steady state. Not here: what one pass does (cycle).

import { type Bell, createBell } from './bell.ts';
import { abortWith } from '../schema/abort-with.ts';
import type { DesiredState } from '../schema/desired.ts';
import type { Ledger } from '../schema/ledger.ts';
import type { Ms } from '../schema/spec.ts';
import {
  FIRST_REPORTS_MS,
  LOOK_AGAIN_MS,
  RETRY_FIRST_MS,
  RETRY_LONGEST_MS,
  WOKEN,
} from './config.ts';
import type { View } from './cycle.ts';
import { cycle, isEdgeFailure } from './cycle.ts';
import { createLookups } from './lookups.ts';
import { createMemos, type Memos } from './memos.ts';
import type { ClockPort, ReconcilerPorts } from './ports.ts';
import type { WriteFailure, Writer } from './writer.ts';
import { createWriter } from './writer.ts';

/** What the command line is shown. */
export interface LoopState {
  /** null until the repository was read once. */
  readonly view: View | null;
  /** Reading or planning failed, in words for people. */
  readonly failure: string | null;
  readonly write: WriteFailure | null;
  /** The branch stands at a commit that is not followed, and why; null: it is, or nobody knows. */
  readonly refused: Refused | null;
}

export interface Refused {
  readonly commit: string;
  /** A few words; absent: the branch was rewritten. */
  readonly title?: string;
  readonly message: string;
}

export interface Loop {
  /** Runs until the signal; never throws. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly wake: () => void;
  readonly state: () => LoopState;
  /** Called after every pass. Returns the way to stop. */
  readonly watch: (listener: (state: LoopState) => void) => () => void;
}

/** `memos`: what is known before the first pass; nothing, unless said otherwise. */
export const createLoop = (ports: ReconcilerPorts, memos: Memos = createMemos()): Loop => {
  const { clock } = ports;
  const bell = createBell();
  const wake = bell.ring('other');
  const lookups = createLookups(ports, wake);
  const writer = createWriter(ports, wake);
  const seen = withDecided(takingFrom(ports, bell), writer);
  // By ports that ring no bell: what comes until then is in the first plan.
  const firstReports = waitOnce(ports);
  const context = { ports: seen, lookups, memos, firstReports };
  const listeners = new Set<(state: LoopState) => void>();
  let state: LoopState = { view: null, failure: null, write: null, refused: null };
  let failures = 0;
  let said: string | null = null;

  const pass = async () => {
    const turn = writer.turn();
    const began = clock.now();
    try {
      const view = await cycle(context, state.view);
      if (leads(ports)) writer.offer(view, turn);
      reportViolations(ports, view);
      failures = view.stale === null ? 0 : failures + 1;
      const failure = view.stale?.message ?? null;
      state = { view, failure, write: writer.failure(), refused: refusedIn(view.stale) };
    } catch (error) {
      failures += 1;
      const message = isEdgeFailure(error) ? error.message : String(error);
      if (!isEdgeFailure(error)) ports.log.error({ error: describe(error) }, 'a pass failed');
      const refused = refusedIn(error);
      state = { ...state, failure: message, write: writer.failure(), refused };
      if (!isEdgeFailure(error)) said = message; // it was said already, with its place
    }
    if (state.failure !== said) sayFailure(ports, state);
    said = state.failure;
    for (const listener of listeners) listener(state);
    bell.end(clock.now(), plannedMs(state.view, began, clock.now()));
  };

  const nextAt = (): Ms => {
    const now = clock.now();
    const retry = failures === 0 ? null : now + backOff(failures);
    const times = [state.view?.plan.wakeAt ?? null, lookups.nextAt(), writer.nextAt(), retry];
    const known = times.filter((time): time is Ms => time !== null);
    return Math.min(now + LOOK_AGAIN_MS, ...known.map((time) => Math.max(time, now + 1)));
  };

  return {
    run: async (signal) => {
      const unwatch = watchAll(ports, bell);
      while (!signal.aborted) {
        // One pass for all that came together: reports of many nodes, a branch and its ledger.
        await clock.pause?.();
        bell.begin();
        await pass();
        await untilDue(() => Math.min(nextAt(), bell.dueAt()), { signal, bell, clock });
      }
      await unwatch();
    },
    wake,
    state: () => state,
    watch: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};

/** The ports by which a pass says that it has asked for reports. */
const takingFrom = (ports: ReconcilerPorts, bell: Bell): ReconcilerPorts => {
  const heard = () => {
    bell.take();
    return ports.nodes.heard();
  };
  return { ...ports, nodes: { ...ports.nodes, heard } };
};

/** The ports by which a pass reads what is in the ledger, and what is being written into it. */
const withDecided = (ports: ReconcilerPorts, { deciding }: Writer): ReconcilerPorts => {
  let last: { readonly from: Ledger; readonly news: Ledger; readonly whole: Ledger } | null = null;
  const read = async () => {
    const tree = await ports.source.read();
    const [from, news] = [tree.ledger, deciding()];
    if (news.length === 0) return tree;
    // The same object for the same records: whatever a tree holds is compared by identity.
    if (last?.from !== from || last.news !== news) last = { from, news, whole: [...from, ...news] };
    return { ...tree, ledger: last.whole };
  };
  return { ...ports, source: { ...ports.source, read } };
};

/** Planning, sending and telling of a pass that began then: what holds up reports and answers. */
const plannedMs = (view: View | null, began: Ms, now: Ms): Ms =>
  view === null || view.at < began ? 0 : now - view.at;

interface Sleeping {
  readonly bell: Bell;
  readonly clock: ClockPort;
  readonly signal: AbortSignal;
}

/** Sleeps until a pass is due; what rings meanwhile may bring that forward. */
const untilDue = async (dueAt: () => Ms, { bell, clock, signal }: Sleeping): Promise<void> => {
  for (;;) {
    const at = dueAt();
    const isDue = at <= clock.now();
    const woken = bell.woken();
    if (isDue) woken.abort(WOKEN);
    const apart = abortWith(signal, woken);
    await clock.sleepUntil(at, woken.signal);
    apart();
    if (isDue || signal.aborted || !woken.signal.aborted) return;
  }
};

const watchAll = ({ source, nodes, lead }: ReconcilerPorts, bell: Bell): (() => Promise<void>) => {
  const wake = bell.ring('other');
  const unwatchSource = source.watch(wake);
  const unwatchNodes = nodes.watch(bell.ring('report'), bell.ring('quiet'));
  const unwatchLead = lead?.watch(wake);
  return async () => {
    unwatchNodes();
    unwatchLead?.();
    await unwatchSource();
  };
};

const leads = ({ lead }: ReconcilerPorts): boolean => lead === undefined || lead.term() !== null;

/** Once at the start, and once each time that this reconciler begins to lead. */
const waitOnce = (ports: ReconcilerPorts) => {
  let waitedSince: Ms | null = null;
  return async (desired: DesiredState): Promise<void> => {
    if (waitedSince !== null && ports.lead === undefined) return;
    const { startedAt } = ports.nodes.heard();
    if (!leads(ports) || startedAt === waitedSince) return;
    waitedSince = startedAt;
    await untilReported(ports, desired);
  };
};

/** Until all nodes in Git have reported, or long enough. */
const untilReported = async (
  { nodes, clock }: ReconcilerPorts,
  desired: DesiredState,
): Promise<void> => {
  const until = clock.now() + FIRST_REPORTS_MS;
  const areHere = (): boolean => {
    const heard = new Set(nodes.heard().nodes.map(({ node }) => node));
    return desired.nodes.every(({ name }) => heard.has(name));
  };
  while (!areHere() && clock.now() < until) {
    const woken = new AbortController();
    const unwatch = nodes.watch(() => woken.abort(WOKEN));
    await clock.sleepUntil(until, woken.signal);
    unwatch();
  }
};

const refusedIn = (error: unknown): Refused | null =>
  isEdgeFailure(error) && error.refused !== undefined
    ? { commit: error.refused, message: error.message }
    : null;

const backOff = (failures: number): Ms =>
  Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 10), RETRY_LONGEST_MS);

/** Once when it begins, or is another one, and once when it is over. */
const sayFailure = ({ log }: ReconcilerPorts, { failure, refused }: LoopState): void => {
  if (failure === null) log.info({}, 'Git can be read again');
  else if (refused !== null) log.warn({}, `the branch is not followed: ${failure}`);
  else log.warn({}, `Git cannot be read: ${failure}`);
};

/** A violation is a bug of ours: nothing is sent, and it is loud. */
const reportViolations = (ports: ReconcilerPorts, view: View): void => {
  for (const violation of view.violations) {
    ports.log.error({ ...violation }, 'a plan broke a rule and was not sent');
  }
};

const describe = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
