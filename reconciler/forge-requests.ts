// Clicks and comments of people, answered one after the other.
// In: requests that the forge has confirmed the sender of. Out: ledger records, commits, and a word
// to the person. What was done before a crash is found in Git again and is not done twice. Not here:
// what a request may do (forge/requests).

import { teamsIn, type OwnedChange } from '../schema/behind.ts';
import type { Covered } from '../schema/covered.ts';
import type { Account, ForgeRequest } from '../schema/forge.ts';
import type { Ms } from '../schema/spec.ts';
import type { CommitInfo } from '../schema/source.ts';
import { isEdgeFailure, type View } from './cycle.ts';
import type { PlannedPull } from './forge/pulls.ts';
import {
  answerTo,
  filesId,
  removersToKnow,
  REQUEST_TRAILER,
  type Answer,
  type RequestContext,
} from './forge/requests.ts';
import { tryEach, type ForgeContext } from './forge-context.ts';
import type { PullReports } from './pull-reports.ts';
import { answerText, offerText } from './render/offer.ts';
import type { Shown } from './shown.ts';

/** Requests answered in one pass: a storm of clicks does not keep checks from being told. */
const REQUESTS_A_PASS = 20;
/** Commits in which an answered request is looked for. */
const COMMITS_BACK = 50;

export interface ForgeRequests {
  readonly answer: (view: View, requests: readonly ForgeRequest[]) => Promise<Ms | null>;
}

export const createForgeRequests = (
  context: ForgeContext,
  pulls: PullReports,
  shown: Pick<Shown, 'of' | 'since'>,
): ForgeRequests => {
  const { forge, source, clock, loop } = context;
  const act = createActs(context, pulls);
  /** Asked again and again without an answer: they let others go first. */
  const failed = new Set<string>();

  /** True when something was changed by it. */
  const one = async (view: View, request: ForgeRequest): Promise<boolean> => {
    const { covers, commit } = request;
    const known = { view, request, shown: shown.of(covers), shownAt: shown.since(commit) };
    const answer = await decide(context, pulls, known);
    const words = await act(view, request, answer);
    if (answer.kind === 'record' || answer.kind === 'commit') loop.wake();
    const done = answer.kind !== 'refuse' && answer.kind !== 'read';
    await forge.answer(request, words, done);
    return done;
  };

  return {
    answer: async (view, requests) => {
      if (requests.length === 0) return null;
      const commits = await source.listCommits(COMMITS_BACK);
      let isChanged = false;
      const ids = new Set(requests.map(({ id }) => id));
      for (const id of failed) if (!ids.has(id)) failed.delete(id);
      const inOrder = requests.toSorted((a, b) => +failed.has(a.id) - +failed.has(b.id));
      await tryEach(inOrder.slice(0, REQUESTS_A_PASS), async (request) => {
        // What follows is decided on what the one before it has changed.
        if (isChanged) return;
        failed.add(request.id);
        if (isDone(request, view, commits)) {
          await forge.answer(request, 'This is done already.', true);
        } else {
          isChanged = await one(view, request);
        }
        failed.delete(request.id);
      });
      return isChanged || requests.length > REQUESTS_A_PASS ? clock.now() + 1 : null;
    },
  };
};

interface Asked {
  readonly view: View;
  readonly request: ForgeRequest;
  /** What the text showed that was clicked, as far as it is remembered. */
  readonly shown: Covered | null;
  readonly shownAt: number | null;
}

const decide = async (
  { forge, source, clock }: ForgeContext,
  pulls: PullReports,
  { view, request, shown, shownAt }: Asked,
): Promise<Answer> => {
  const { desired, plan, tree } = view;
  const at = new Date(clock.epochMs?.() ?? 0).toISOString();
  const pull = request.pull === null ? null : pulls.planned(request.pull);
  const authors = await authorsOf(forge, request, view);
  const asked = await personOf(forge, request, ownedOf(request, pull, desired));
  const known = { desired, plan, tree, pull, authors, shown, shownAt };
  const context = { ...known, ...asked, at, change: undefined };
  const answer = answerTo(request, context);
  if (answer.kind !== 'read') return answer;
  const changes = [request.commit];
  const read = await source.complete(tree, { digests: [], histories: [], changes });
  const change = read.changes?.get(request.commit) ?? { commit: request.commit, files: null };
  return answerTo(request, { ...context, change });
};

/** Does what was decided; what is said to the person of it, as Markdown. */
type Act = (view: View, request: ForgeRequest, answer: Answer) => Promise<string>;

const createActs = ({ forge, source, log }: ForgeContext, pulls: PullReports): Act => {
  /** To the branch; where that is closed to us, as a pull request (rules 6.5). */
  const write = async (view: View, request: ForgeRequest, answer: Commit): Promise<string> => {
    const { edits, message, words } = answer;
    const { by, action } = request;
    const { cluster, commit: head } = view.desired;
    const author = { name: by.login, email: forge.addressOf(by) };
    const ask = { head: head.oid, edits, message, author };
    try {
      const commit = await source.commit(ask);
      log.info({ commit, action, by: by.login }, 'a commit that a person asked for');
      return answerText(words);
    } catch (error) {
      if (!isEdgeFailure(error) || error.consequence !== 'broken') throw error;
    }
    const branch = `purser/${cluster.name}/${action}-${request.commit.slice(0, 12)}`;
    await source.offer(ask, branch);
    const pull = await forge.openPull({ branch, ...offerText(message) });
    log.info({ pull, action, by: by.login }, 'a pull request that a person asked for');
    return `Purser may not push to the branch, so it is pull request #${pull}: merge it to do so.`;
  };

  return async (view, request, answer) => {
    switch (answer.kind) {
      case 'read':
        return 'What the commit changed cannot be read.';
      case 'refuse':
        return answerText(answer.words);
      case 'replan':
        if (request.pull !== null) pulls.forget(request.pull);
        return answerText(answer.words);
      case 'record':
        await source.record(answer.records);
        return answerText(answer.words);
      case 'commit':
        return write(view, request, answer);
      default:
        return answer satisfies never;
    }
  };
};

type Commit = Extract<Answer, { kind: 'commit' }>;

const authorsOf = async (
  forge: ForgeContext['forge'],
  request: ForgeRequest,
  view: View,
): Promise<readonly (Account | null)[]> => {
  const { action, pull } = request;
  if (action === 'approve' && pull !== null) return forge.authors(pull);
  const emails = removersToKnow(request, view);
  return emails.length === 0 ? [] : forge.accounts(emails);
};

/** Which owners the one who approves speaks for; asked where somebody owns what is changed. */
const personOf = async (
  forge: ForgeContext['forge'],
  { action, by }: ForgeRequest,
  owned: readonly OwnedChange[],
): Promise<Pick<RequestContext, 'person' | 'unread'>> => {
  if (action !== 'approve' || owned.length === 0) return { person: null };
  const ask = { kind: 'account', account: by } as const;
  const { approvals, unread } = await forge.behind(ask, teamsIn(owned));
  return { person: approvals[0] ?? null, ...(unread === undefined ? {} : { unread }) };
};

const ownedOf = (
  request: ForgeRequest,
  pull: PlannedPull | null,
  { heldFiles }: View['desired'],
): readonly OwnedChange[] => {
  if (request.pull === null) return heldFiles ?? [];
  return pull?.plan.kind === 'planned' ? (pull.plan.owned ?? []) : [];
};

/** A crash between the act and its answer: the act is in Git. */
const isDone = ({ id }: ForgeRequest, { tree }: View, commits: readonly CommitInfo[]): boolean =>
  tree.ledger.some(
    (record) => record.kind === 'approval' && (record.id === id || record.id === filesId(id)),
  ) ||
  commits.some(({ trailers }) =>
    trailers.some(([key, value]) => key === REQUEST_TRAILER && value === id),
  );
