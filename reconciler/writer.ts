// Writes that a plan proposes, one batch at a time and beside the loop: reverts, the ledger, other
// commits.
// In: a view. Out: a wake-up when something was written, a failure to show when not. What is not
// written now is proposed again by the next plan, so nothing is queued. Not here: how a commit is
// made (edge/git).

import { hashOf } from '../schema/hash.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { Proposal } from '../schema/plan.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import { isEdgeFailure } from './cycle.ts';
import { MACHINE_AUTHOR, PUSHED_TRAILER, RETRY_FIRST_MS, RETRY_LONGEST_MS } from './config.ts';
import type { Consequence, ReconcilerPorts } from './ports.ts';

export interface WriteFailure {
  readonly what: string;
  readonly message: string;
  readonly since: Ms;
  /** `broken`: only a person can clear the way. */
  readonly consequence: Consequence;
}

export interface Writer {
  /** How many batches began and ended: taken before a view is read, and offered with it. */
  readonly turn: () => number;
  /**
   * Begins what the view proposes, unless a batch is under way or waits after a failure. A view
   * that was read before a batch ended may not know of its records, and would say something else
   * in their place, such as another home for a volume: it writes nothing. The end wakes the loop.
   */
  readonly offer: (view: View, turn: number) => void;
  /**
   * Failures that are being written. They count for plans that are made meanwhile: a version that
   * is on its way to be given up may not be called settled, which copies are told at once.
   */
  readonly deciding: () => readonly LedgerRecord[];
  readonly failure: () => WriteFailure | null;
  readonly nextAt: () => Ms | null;
}

interface State {
  /** Failures in the batch that is under way; null: none is. */
  writing: readonly LedgerRecord[] | null;
  turn: number;
  failure: WriteFailure | null;
  failures: number;
  notBefore: Ms;
  /** HEAD of the view whose batch failed: somebody who commits may have cleared the way. */
  failedAt: string;
  /** Deployments whose failure or revert was in the last batch, whatever became of it. */
  tried: ReadonlySet<string>;
  /** The newest batch that was written, and how often it was proposed again since. */
  written: string;
  repeats: number;
  /**
   * Records of reverts that are on the branch, while the ledger could not be written: at most one,
   * since no commit is made before it is said. Without it a branch that is rewritten would have the
   * same deployment reverted again (rules 6.4).
   */
  unsaid: readonly LedgerRecord[];
}

const NONE: readonly LedgerRecord[] = [];

const atRest = (): State => ({
  writing: null,
  turn: 0,
  failure: null,
  failures: 0,
  notBefore: 0,
  failedAt: '',
  tried: new Set(),
  written: '',
  repeats: 0,
  unsaid: [],
});

export const createWriter = (ports: ReconcilerPorts, wake: () => void): Writer => {
  const state = atRest();

  /**
   * A batch that was written and is proposed again was not seen in Git: slower each time, never a
   * spin.
   */
  const holdBack = (view: View) => {
    const batch = batchOf(view);
    state.repeats = batch === state.written ? state.repeats + 1 : 0;
    state.written = batch;
    if (state.repeats === 0) return;
    const wait = Math.min(RETRY_FIRST_MS * 2 ** state.repeats, RETRY_LONGEST_MS);
    state.notBefore = ports.clock.now() + wait;
  };

  const run = async (view: View) => {
    try {
      await write(ports, state, view);
      Object.assign(state, { failure: null, failures: 0, notBefore: 0 });
      holdBack(view);
    } catch (error) {
      const now = ports.clock.now();
      const message = isEdgeFailure(error) ? error.message : String(error);
      const wait = Math.min(RETRY_FIRST_MS * 2 ** state.failures, RETRY_LONGEST_MS);
      const stale = isEdgeFailure(error) && error.consequence === 'stale';
      state.notBefore = stale ? now : now + wait;
      // The world moved on: what is written next is something else.
      if (!stale) state.failures += 1;
      state.failedAt = view.desired.commit.oid;
      const what = state.unsaid.length > 0 ? 'the ledger' : whatOf(view);
      const consequence = isEdgeFailure(error) ? error.consequence : 'broken';
      const since = state.failure?.since ?? now;
      state.failure = { what, message, since, consequence };
      if (!stale) ports.log.warn({ message }, 'a write to Git failed and will be tried again');
    } finally {
      state.writing = null;
      state.turn += 1;
      wake();
    }
  };

  return {
    turn: () => state.turn,
    offer: (view, turn) => {
      const isSaid = state.unsaid.length === 0 && recordsOf(view).length === 0;
      const wanted = !isSaid || commitsOf(view).length > 0;
      if (!wanted) state.failure = null;
      if (!wanted || state.writing !== null || turn !== state.turn) return;
      // Git is not read, so nothing could show that it was written.
      if (view.stale !== null && batchOf(view) === state.written) return;
      if (ports.clock.now() < state.notBefore && !mayNotWait(state, view)) return;
      state.tried = new Set(failuresIn(view));
      state.writing = recordsOf(view).filter(({ kind }) => kind === 'failed');
      state.turn += 1;
      void run(view);
    },
    deciding: () => state.writing ?? NONE,
    failure: () => state.failure,
    nextAt: () => (state.notBefore > ports.clock.now() ? state.notBefore : null),
  };
};

/**
 * The ledger first, then at most one commit, then what has to be said of it. A revert goes before
 * the ledger, which has had its failure: a broken version does not wait for news of hundreds of
 * other jobs.
 */
const write = async (ports: ReconcilerPorts, state: State, view: View): Promise<void> => {
  const { unsaid } = state;
  const records = recordsOf(view);
  // The view was made without them, and may ask for the same revert again.
  if (unsaid.length > 0) {
    await ports.source.record([...unsaid, ...records]);
    state.unsaid = [];
    return;
  }
  const isRevert = commitsOf(view)[0]?.kind === 'revert';
  if (!isRevert && records.length > 0) await ports.source.record(records);
  const { answers, failure } = await writeCommit(ports, view);
  state.unsaid = answers;
  const rest = isRevert ? [...answers, ...records] : answers;
  if (rest.length > 0) await ports.source.record(rest);
  state.unsaid = [];
  if (failure !== null) throw failure.error;
};

/**
 * While Git is not followed nothing is called in sync: the record would stand behind that of a
 * person who said where a rewritten branch goes on, and void it (rules 12.1).
 */
const recordsOf = ({ desired, plan, stale }: View): readonly LedgerRecord[] =>
  [
    ...desired.owed,
    ...plan.proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : [])),
  ].filter(({ kind }) => stale === null || kind !== 'synced');

const batchOf = ({ desired, plan }: View): string => hashOf([desired.owed, plan.proposals]);

/**
 * Somebody committed, who may have cleared the way; or a version failed: what cannot be written
 * now, or is not seen yet, keeps no other version's revert waiting.
 */
const mayNotWait = ({ failure, failedAt, tried }: State, view: View): boolean =>
  (failure !== null && view.desired.commit.oid !== failedAt) ||
  failuresIn(view).some((deployment) => !tried.has(deployment));

/** `failed d`, `revert d`: each is urgent once. */
const failuresIn = (view: View): readonly string[] => [
  ...recordsOf(view).flatMap((one) => (one.kind === 'failed' ? [`failed ${one.deployment}`] : [])),
  ...view.plan.proposals.flatMap((one) =>
    one.kind === 'revert' ? [`revert ${one.deployment}`] : [],
  ),
];

const whatOf = (view: View): string => {
  const [first] = commitsOf(view);
  return first === undefined ? 'the ledger' : WORDS[first.kind];
};

const WORDS = { revert: 'a revert', scale: 'a count' } as const;

type CommitProposal = Exclude<Proposal, { kind: 'ledger' }>;

/** Reverts before the rest: they end what is broken. */
const commitsOf = ({ plan }: View): readonly CommitProposal[] => {
  const commits = plan.proposals.filter((proposal) => proposal.kind !== 'ledger');
  const [reverts, others] = [
    commits.filter(({ kind }) => kind === 'revert'),
    commits.filter(({ kind }) => kind !== 'revert'),
  ];
  return [...reverts, ...others];
};

interface Written {
  /** Of a revert, the record that its deployment was answered: at most one (rules 6.4). */
  readonly answers: readonly LedgerRecord[];
  /** What stood in the way of a commit. */
  readonly failure: { readonly error: unknown } | null;
}

/**
 * One commit a batch, since the next plan sees its HEAD. One that cannot be made (a file of its job
 * is dirty, say) keeps no other from being made.
 */
const writeCommit = async (ports: ReconcilerPorts, view: View): Promise<Written> => {
  let failure: Written['failure'] = null;
  for (const proposal of commitsOf(view)) {
    try {
      return { answers: await make(ports, view, proposal), failure };
    } catch (error) {
      failure ??= { error };
    }
  }
  return { answers: [], failure };
};

const make = async (
  ports: ReconcilerPorts,
  view: View,
  proposal: CommitProposal,
): Promise<Written['answers']> => {
  const { job, edits } = proposal;
  const head = view.desired.commit.oid;
  const message = `${proposal.message.trimEnd()}\n${PUSHED_TRAILER}: ${view.tree.branch}\n`;
  const commit = await ports.source.commit({ head, edits, message, author: MACHINE_AUTHOR });
  switch (proposal.kind) {
    case 'revert': {
      const { deployment } = proposal;
      ports.log.info({ job, deployment, commit }, 'reverted a failed deployment by a commit');
      return [{ kind: 'reverted', job, deployment, commit }];
    }
    case 'scale':
      ports.log.info({ job, commit }, 'wrote down a count by a commit');
      return [];
    default:
      return proposal satisfies never;
  }
};
