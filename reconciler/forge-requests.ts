// Clicks and comments of people, answered one after the other.
// In: requests that the forge has confirmed the sender of. Out: ledger records, commits, and a word
// to the person. What was done before a crash is found in Git again and is not done twice. Not here:
// what a request may do (forge/requests).

import { teamsIn, type OwnedChange, type Person } from '../schema/behind.ts';
import type { Account, ForgeRequest } from '../schema/forge.ts';
import type { Ms } from '../schema/spec.ts';
import type { CommitInfo } from '../schema/source.ts';
import type { View } from './cycle.ts';
import type { PlannedPull } from './forge/pulls.ts';
import { answerTo, filesId, REQUEST_TRAILER, type Answer } from './forge/requests.ts';
import { tryEach, type ForgeContext } from './forge-context.ts';
import type { CommitAsk } from './ports.ts';
import type { PullReports } from './pull-reports.ts';

/** Requests answered in one pass: a storm of clicks does not keep checks from being told. */
const REQUESTS_A_PASS = 20;
/** Commits in which an answered request is looked for. */
const COMMITS_BACK = 50;

export interface ForgeRequests {
  readonly answer: (view: View, requests: readonly ForgeRequest[]) => Promise<Ms | null>;
}

export const createForgeRequests = (
  { forge, source, clock, log, loop }: ForgeContext,
  pulls: PullReports,
): ForgeRequests => {
  const decide = async (view: View, request: ForgeRequest): Promise<Answer> => {
    const { desired, plan, tree } = view;
    const at = new Date(clock.epochMs?.() ?? 0).toISOString();
    const pull = request.pull === null ? null : pulls.planned(request.pull);
    const authors = await authorsOf(forge, request);
    const person = await personOf(forge, request, ownedOf(request, pull, desired));
    const context = { desired, plan, tree, pull, authors, person, at, change: undefined };
    const answer = answerTo(request, context);
    if (answer.kind !== 'read') return answer;
    const changes = [request.commit];
    const read = await source.complete(tree, { digests: [], histories: [], changes });
    const change = read.changes?.get(request.commit) ?? { commit: request.commit, files: null };
    return answerTo(request, { ...context, change });
  };

  const act = async (view: View, request: ForgeRequest, answer: Answer): Promise<boolean> => {
    switch (answer.kind) {
      case 'read':
      case 'refuse':
        return false;
      case 'replan':
        if (request.pull !== null) pulls.forget(request.pull);
        return true;
      case 'record':
        await source.record(answer.records);
        return true;
      case 'commit': {
        const { edits, message } = answer;
        const { by, action } = request;
        const head = view.desired.commit.oid;
        const commit = await source.commit({ head, edits, message, author: authorOf(by) });
        log.info({ commit, action, by: by.login }, 'a commit that a person asked for');
        return true;
      }
      default:
        return answer satisfies never;
    }
  };

  /** True when something was changed by it. */
  const one = async (view: View, request: ForgeRequest): Promise<boolean> => {
    const answer = await decide(view, request);
    const done = await act(view, request, answer);
    if (answer.kind === 'record' || answer.kind === 'commit') loop.wake();
    await forge.answer(request, wordsOf(answer), done);
    return done;
  };

  return {
    answer: async (view, requests) => {
      if (requests.length === 0) return null;
      const commits = await source.listCommits(COMMITS_BACK);
      let isChanged = false;
      await tryEach(requests.slice(0, REQUESTS_A_PASS), async (request) => {
        // What follows is decided on what the one before it has changed.
        if (isChanged) return;
        if (isDone(request, view, commits)) {
          await forge.answer(request, 'This is done already.', true);
        } else {
          isChanged = await one(view, request);
        }
      });
      return isChanged || requests.length > REQUESTS_A_PASS ? clock.now() + 1 : null;
    },
  };
};

const authorsOf = async (
  forge: ForgeContext['forge'],
  { action, pull }: ForgeRequest,
): Promise<readonly Account[]> =>
  action === 'approve' && pull !== null ? forge.authors(pull) : [];

/** Which owners the one who approves speaks for; asked where somebody owns what is changed. */
const personOf = async (
  forge: ForgeContext['forge'],
  { action, by }: ForgeRequest,
  owned: readonly OwnedChange[],
): Promise<Person | null> => {
  if (action !== 'approve' || owned.length === 0) return null;
  const { approvals } = await forge.behind({ kind: 'account', account: by }, teamsIn(owned));
  return approvals[0] ?? null;
};

const ownedOf = (
  request: ForgeRequest,
  pull: PlannedPull | null,
  { heldFiles }: View['desired'],
): readonly OwnedChange[] => {
  if (request.pull === null) return heldFiles ?? [];
  return pull?.plan.kind === 'planned' ? (pull.plan.owned ?? []) : [];
};

/** GitHub shows the person by this address, which it keeps for them. */
const authorOf = ({ login, id }: Account): CommitAsk['author'] => ({
  name: login,
  email: `${id}+${login}@users.noreply.github.com`,
});

/** A crash between the act and its answer: the act is in Git. */
const isDone = ({ id }: ForgeRequest, { tree }: View, commits: readonly CommitInfo[]): boolean =>
  tree.ledger.some(
    (record) => record.kind === 'approval' && (record.id === id || record.id === filesId(id)),
  ) ||
  commits.some(({ trailers }) =>
    trailers.some(([key, value]) => key === REQUEST_TRAILER && value === id),
  );

const wordsOf = (answer: Answer): string =>
  answer.kind === 'read' ? 'What the commit changed cannot be read.' : answer.words;
