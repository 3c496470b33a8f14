// Where there is only a token: commit statuses in place of checks. They have 140 characters, no
// buttons and no details; those are in the comment.
// In: reports. Out: statuses, written when they differ. Not here: checks of an App.

import type { CheckKind, CheckReport } from '../../../schema/forge.ts';
import { checkName, STATUS_LIMIT } from '../../../schema/forge.ts';
import { shortened } from '../../../schema/plain.ts';
import type { Self } from './account.ts';
import type { ApiStatus } from './answers.ts';
import type { Checks } from './checks.ts';
import { ForgeFailure } from './failure.ts';
import type { WriteOf } from './gate.ts';
import { createTurns } from './turns.ts';
import type { Wire } from './wire.ts';

export interface Statuses {
  readonly check: (kind: CheckKind, commit: string) => Promise<CheckReport | null>;
  readonly write: Checks['write'];
  readonly beganAt: (kind: CheckKind, commit: string) => Promise<number | null>;
}

/** GitHub takes 1,000 statuses of one context on one commit. */
const PAGES_MAX = 10;
const KNOWN_MAX = 2000;

export const createStatuses = (
  wire: Wire,
  { cluster, self }: { readonly cluster: string; readonly self: () => Promise<Self> },
): Statuses => {
  const known = wire.memory<string, string>();
  const inTurn = createTurns();

  /** Of ours on a commit, newest first, as GitHub lists them. */
  const all = async (kind: CheckKind, commit: string): Promise<readonly ApiStatus[]> => {
    const { login } = await self();
    const context = checkName(kind, cluster);
    const found = await wire.pages<ApiStatus>(
      {
        route: 'GET /repos/{owner}/{repo}/commits/{ref}/statuses',
        params: { ref: commit },
        pick: (data) =>
          (data as readonly ApiStatus[]).filter(
            (one) => one.context === context && one.creator?.login === login,
          ),
      },
      PAGES_MAX,
    );
    return found;
  };

  const write = async (report: CheckReport, of: WriteOf): Promise<void> => {
    const { kind, commit } = report;
    const key = `${kind} ${commit}`;
    const state = stateOf(report);
    const description = shortened(report.title, STATUS_LIMIT);
    const [newest] = known.has(key) ? [] : await all(kind, commit);
    const there = newest === undefined ? known.get(key) : textOf(newest.state, newest.description);
    if (there === textOf(state, description)) return;
    known.delete(key);
    try {
      const context = checkName(kind, cluster);
      const params = { sha: commit, state, description, context };
      await wire.send('POST /repos/{owner}/{repo}/statuses/{sha}', params, of);
    } catch (error) {
      const isFull = error instanceof ForgeFailure && error.status === 422;
      if (!isFull || !/maximum number of statuses/i.test(error.message)) throw error;
    }
    known.set(key, textOf(state, description));
    const oldest = known.keys().next().value;
    if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
  };

  return {
    check: async (kind, commit) => {
      const [newest] = await all(kind, commit);
      if (newest === undefined) return null;
      return reportOf(newest, kind, commit);
    },
    write: (report, of = report.kind === 'plan' ? 'plan' : 'rest') =>
      inTurn(`${report.kind} ${report.commit}`, () => write(report, of)),
    beganAt: async (kind, commit) => {
      const [newest] = await all(kind, commit);
      return newest === undefined ? null : Date.parse(newest.created_at);
    },
  };
};

const reportOf = (newest: ApiStatus, kind: CheckKind, commit: string): CheckReport => {
  const isOpen = newest.state === 'pending';
  return {
    kind,
    commit,
    status: isOpen ? 'in_progress' : 'completed',
    conclusion: isOpen ? null : newest.state === 'success' ? 'success' : 'failure',
    title: newest.description ?? '',
    summary: '',
    text: '',
    annotations: [],
    buttons: [],
  };
};

/** `error` for what was superseded: neither its failure nor its success. */
const stateOf = ({ status, conclusion }: CheckReport): ApiStatus['state'] => {
  if (status !== 'completed') return 'pending';
  switch (conclusion) {
    case 'success':
      return 'success';
    case 'cancelled':
      return 'error';
    case 'failure':
    case 'action_required':
    case null:
      return 'failure';
    default:
      return conclusion satisfies never;
  }
};

const textOf = (state: string, description: string | null): string =>
  `${state} ${description ?? ''}`;
