// Writes that a plan proposes, one batch at a time and beside the loop: the ledger first, then commits.
// In: a view. Out: a wake-up when something was written, a failure to show when not. What is not written now is
// proposed again by the next plan, so nothing is queued. Not here: how a commit is made (edge/git).

import { hashOf } from '../schema/hash.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { Proposal } from '../schema/plan.ts';
import type { Ms } from '../schema/spec.ts';
import type { View } from './cycle.ts';
import { isEdgeFailure } from './cycle.ts';
import { MACHINE_AUTHOR, RETRY_FIRST_MS, RETRY_LONGEST_MS } from './config.ts';
import type { ReconcilerPorts } from './ports.ts';

export interface WriteFailure {
  readonly what: string;
  readonly message: string;
  readonly since: Ms;
}

export interface Writer {
  /** Begins what the view proposes, unless a batch is under way or waits after a failure. */
  readonly offer: (view: View) => void;
  readonly failure: () => WriteFailure | null;
  readonly nextAt: () => Ms | null;
}

interface State {
  busy: boolean;
  failure: WriteFailure | null;
  failures: number;
  notBefore: Ms;
  /** The newest batch that was written, and how often it was proposed again since. */
  written: string;
  repeats: number;
}

export const createWriter = (ports: ReconcilerPorts, wake: () => void): Writer => {
  const state: State = {
    busy: false,
    failure: null,
    failures: 0,
    notBefore: 0,
    written: '',
    repeats: 0,
  };

  const write = async (view: View): Promise<void> => {
    const records = recordsOf(view);
    if (records.length > 0) await ports.source.record(records);
    for (const proposal of view.plan.proposals) {
      if (proposal.kind === 'revert') return revert(ports, view, proposal);
    }
  };

  /** A batch that was written and is proposed again was not seen in Git: slower each time, never a spin. */
  const holdBack = (view: View) => {
    const batch = hashOf([view.desired.owed, view.plan.proposals]);
    state.repeats = batch === state.written ? state.repeats + 1 : 0;
    state.written = batch;
    if (state.repeats === 0) return;
    const wait = Math.min(RETRY_FIRST_MS * 2 ** state.repeats, RETRY_LONGEST_MS);
    state.notBefore = ports.clock.now() + wait;
  };

  const run = async (view: View) => {
    try {
      await write(view);
      Object.assign(state, { failure: null, failures: 0, notBefore: 0 });
      holdBack(view);
    } catch (error) {
      const now = ports.clock.now();
      const message = isEdgeFailure(error) ? error.message : String(error);
      const wait = Math.min(RETRY_FIRST_MS * 2 ** state.failures, RETRY_LONGEST_MS);
      const stale = isEdgeFailure(error) && error.consequence === 'stale';
      state.notBefore = stale ? now : now + wait;
      state.failures += 1;
      state.failure = { what: whatOf(view), message, since: state.failure?.since ?? now };
      if (!stale) ports.log.warn({ message }, 'a write to Git failed and will be tried again');
    } finally {
      state.busy = false;
      wake();
    }
  };

  return {
    offer: (view) => {
      const wanted = recordsOf(view).length > 0 || view.plan.proposals.length > 0;
      if (!wanted) state.failure = null;
      if (!wanted || state.busy || ports.clock.now() < state.notBefore) return;
      state.busy = true;
      void run(view);
    },
    failure: () => state.failure,
    nextAt: () => (state.notBefore > ports.clock.now() ? state.notBefore : null),
  };
};

const recordsOf = ({ desired, plan }: View): readonly LedgerRecord[] => [
  ...desired.owed,
  ...plan.proposals.flatMap((proposal) => (proposal.kind === 'ledger' ? proposal.records : [])),
];

const whatOf = ({ plan }: View): string =>
  plan.proposals.some(({ kind }) => kind === 'revert') ? 'a revert' : 'the ledger';

type Revert = Extract<Proposal, { kind: 'revert' }>;

/** The commit, then the record that this deployment was answered: at most one machine revert a deployment (6.4). */
const revert = async (ports: ReconcilerPorts, view: View, proposal: Revert): Promise<void> => {
  const commit = await ports.source.commit({
    head: view.desired.commit.oid,
    edits: proposal.edits,
    message: proposal.message,
    author: MACHINE_AUTHOR,
  });
  const { job, deployment } = proposal;
  ports.log.info({ job, deployment, commit }, 'reverted a failed deployment by a commit');
  await ports.source.record([{ kind: 'reverted', job, deployment, commit }]);
};
