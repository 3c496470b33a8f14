// Pull requests to the tracked branch, and what a merge queue asks about.
// In: the wire. Out: pull requests, merge groups, accounts behind commits; pull requests of our own,
// one a branch. Not here: their plans, our comment on them (comments).

import type {
  Account,
  MergeGroup,
  PullAsk,
  PullClose,
  PullRequest,
} from '../../../schema/forge.ts';
import type { ApiPull, ApiUser } from './answers.ts';
import { ForgeFailure } from './failure.ts';
import { PAGE, type Wire } from './wire.ts';

export interface Pulls {
  readonly open: () => Promise<readonly PullRequest[]>;
  /** Of the list of open ones, when it was asked for last. */
  readonly pages: () => number;
  /** Those closed last, newest change first. */
  readonly closed: () => Promise<readonly PullRequest[]>;
  readonly groups: () => Promise<readonly MergeGroup[]>;
  readonly ask: (ask: PullAsk) => Promise<number>;
  readonly branches: (prefix: string) => Promise<readonly string[]>;
  readonly close: (ask: PullClose) => Promise<void>;
  readonly authors: (pull: number) => Promise<readonly Account[]>;
  readonly accounts: (emails: readonly string[]) => Promise<readonly (Account | null)[]>;
}

export interface PullsOptions {
  readonly owner: string;
  readonly branch: string;
}

/** 2,000 open pull requests to one branch: a thousand are planned, the others are told so. */
const OPEN_PAGES = 20;
/** Pull requests that were closed between two looks, and at a start those whose comment is open. */
const CLOSED_LISTED = 20;
/** GitHub lists 250 commits of a pull request. */
const COMMIT_PAGES = 3;

/** The account of something whose owner is gone, as GitHub itself shows it. */
const GHOST: Account = { login: 'ghost', id: 10_137 };

export const createPulls = (wire: Wire, options: PullsOptions): Pulls => {
  const { branch } = options;
  let pages = 1;

  const list = (params: Readonly<Record<string, unknown>>) => ({
    route: 'GET /repos/{owner}/{repo}/pulls',
    params: { base: branch, ...params },
    pick: (data: unknown) => (data as readonly ApiPull[]).map(pullOf),
  });

  return {
    open: async () => {
      const params = { state: 'open', sort: 'created', direction: 'desc' };
      const found = await wire.pages(list(params), OPEN_PAGES);
      pages = Math.max(1, Math.ceil(found.length / PAGE));
      // One that was opened between two pages moves the last of the first to the second.
      const byNumber = new Map(found.map((pull) => [pull.number, pull]));
      return [...byNumber.values()].toSorted((a, b) => a.number - b.number);
    },
    pages: () => pages,
    closed: () =>
      wire.poll(
        list({ state: 'closed', sort: 'updated', direction: 'desc', per_page: CLOSED_LISTED }),
      ),
    groups: () =>
      wire.poll({
        route: 'GET /repos/{owner}/{repo}/git/matching-refs/{ref}',
        params: { ref: `heads/gh-readonly-queue/${branch}/` },
        pick: (data) => (data as readonly ApiRef[]).flatMap((ref) => groupOf(ref, branch)),
      }),
    ask: (ask) => askPull(wire, options, ask),
    branches: (prefix) =>
      wire.poll({
        route: 'GET /repos/{owner}/{repo}/git/matching-refs/{ref}',
        params: { ref: `heads/${prefix}` },
        pick: (data) =>
          (data as readonly ApiRef[]).flatMap(({ ref }) =>
            ref.startsWith(`refs/heads/${prefix}`) ? [ref.slice('refs/heads/'.length)] : [],
          ),
        once: true,
      }),
    close: (ask) => closePull(wire, ask),
    authors: (pull) => authorsOf(wire, pull),
    accounts: (emails) =>
      Promise.all(emails.map((email) => accountOfEmail(wire, { branch, email }))),
  };
};

const pullOf = (pull: ApiPull): PullRequest => ({
  number: pull.number,
  title: pull.title,
  author: accountOf(pull.user) ?? GHOST,
  head: pull.head.sha,
  headRef: pull.head.ref,
  fromFork: pull.head.repo?.full_name !== pull.base.repo.full_name,
  state: pull.state === 'open' ? 'open' : pull.merged_at === null ? 'closed' : 'merged',
  updatedAt: pull.updated_at,
});

const accountOf = (user: ApiUser | null | undefined): Account | null =>
  user === null || user === undefined || typeof user.id !== 'number'
    ? null
    : { login: user.login, id: user.id };

interface ApiRef {
  readonly ref: string;
  readonly object: { readonly sha: string };
}

/** `refs/heads/gh-readonly-queue/main/pr-7-<base>`: a queue names what it merges onto. */
const groupOf = ({ ref, object }: ApiRef, branch: string): readonly MergeGroup[] => {
  const prefix = `refs/heads/gh-readonly-queue/${branch}/`;
  const [, pull, base] = ref.startsWith(prefix)
    ? (/^pr-(\d{1,10})-([0-9a-f]{40})$/.exec(ref.slice(prefix.length)) ?? [])
    : [];
  return base === undefined ? [] : [{ head: object.sha, base, pull: Number(pull) }];
};

const askPull = async (
  wire: Wire,
  { owner, branch: base }: PullsOptions,
  { branch, title, body }: PullAsk,
): Promise<number> => {
  const asked = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/pulls',
    params: { state: 'all', head: `${owner}:${branch}`, base, sort: 'created', direction: 'desc' },
    pick: (data) =>
      (data as readonly ApiPull[])
        .filter(({ head }) => head.ref === branch)
        .map(({ number, state, ...one }) => ({ number, state, title: one.title, body: one.body })),
    once: true,
  });
  const found = asked.find(({ state }) => state === 'open') ?? asked[0];
  if (found === undefined) {
    const params = { head: branch, base, title, body };
    return ((await wire.send('POST /repos/{owner}/{repo}/pulls', params)) as ApiPull).number;
  }
  // Closed or merged: a person has decided, and is not asked again.
  const isOpen = found.state === 'open';
  const isOther = found.title !== title || (found.body ?? '').replaceAll('\r\n', '\n') !== body;
  if (isOpen && isOther) {
    const params = { pull_number: found.number, title, body };
    await wire.send('PATCH /repos/{owner}/{repo}/pulls/{pull_number}', params);
  }
  return found.number;
};

/** The words stand below its text, in the request that closes it: they are said once. */
const closePull = async (wire: Wire, { pull, branch, words }: PullClose): Promise<void> => {
  if (pull !== null) await endPull(wire, pull, words);
  const route = 'DELETE /repos/{owner}/{repo}/git/refs/{ref}';
  await wire.send(route, { ref: `heads/${branch}` }).catch((error: unknown) => {
    // It is gone already: a person, or the repository's setting, was quicker.
    const isGone = error instanceof ForgeFailure && [404, 422].includes(error.status ?? 0);
    if (!isGone) throw error;
  });
};

const endPull = async (wire: Wire, pull: number, words: string): Promise<void> => {
  const found = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}',
    params: { pull_number: pull },
    pick: (data) => data as Pick<ApiPull, 'state' | 'body'>,
    once: true,
  });
  if (found.state !== 'open') return;
  const body = `${(found.body ?? '').trimEnd()}\n\n---\n\n${words}`.trimStart();
  const params = { pull_number: pull, state: 'closed', body };
  await wire.send('PATCH /repos/{owner}/{repo}/pulls/{pull_number}', params);
};

interface ApiPullCommit {
  readonly author: ApiUser | null;
  readonly committer: ApiUser | null;
}

/** Who opened it counts too: a commit can name anybody as its author. */
const authorsOf = async (wire: Wire, pull: number): Promise<readonly Account[]> => {
  const opened = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}',
    params: { pull_number: pull },
    pick: (data) => accountOf((data as ApiPull).user) ?? GHOST,
  });
  const behind = await wire.pages(
    {
      route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits',
      params: { pull_number: pull },
      pick: (data) =>
        (data as readonly ApiPullCommit[]).flatMap(({ author, committer }) =>
          [accountOf(author), accountOf(committer)].filter((one) => one !== null),
        ),
    },
    COMMIT_PAGES,
  );
  const byId = new Map([opened, ...behind].map((one) => [one.id, one]));
  return [...byId.values()].toSorted((a, b) => a.id - b.id);
};

/** Addresses are found by the commits of the branch that they wrote, as GitHub itself knows them. */
export const accountOfEmail = async (
  wire: Wire,
  { branch, email }: { readonly branch: string; readonly email: string },
): Promise<Account | null> =>
  wire.poll({
    route: 'GET /repos/{owner}/{repo}/commits',
    params: { sha: branch, author: email, per_page: 1 },
    pick: (data) => accountOf((data as readonly ApiPullCommit[])[0]?.author),
  });
