// Who is behind a change and who approved it, by GitHub's own identities (rules 8.2).
// In: the wire; a pull request, a commit of the branch, or one account. Out: persons and the owners
// that they speak for. A review counts for the commit that it was given on: what is pushed after it
// is approved anew. Not here: whether it is enough (schema/behind).

import type { Behind, Person } from '../../../schema/behind.ts';
import type { Account, BehindAsk, MergeFacts } from '../../../schema/forge.ts';
import { MACHINE_AUTHOR } from '../../config.ts';
import { compareText } from '../../../schema/ids.ts';
import type { ApiPull, ApiUser } from './answers.ts';
import { accountOfEmail } from './pulls.ts';
import { createPeople, mayWrite, permissionOf, type People } from './people.ts';
import type { Wire } from './wire.ts';

/** GitHub lists 250 commits of a pull request. */
const COMMIT_PAGES = 3;
/** 1,000 reviews of one pull request. */
const REVIEW_PAGES = 10;
/** GitHub's account for commits that are made on its pages: it is nobody's. */
const WEB_FLOW = 'web-flow';
const WEB_FLOW_EMAIL = 'noreply@github.com';

export const createBehind =
  (wire: Wire, { branch }: { readonly branch: string }) =>
  async (ask: BehindAsk, teams: readonly string[]): Promise<Behind> => {
    const parts = await partsOf(wire, ask, branch);
    const people = createPeople(wire, teams);
    const approvals: Person[] = [];
    for (const account of parts.approvals) {
      if (!mayWrite(await permissionOf(wire, account))) continue;
      approvals.push(await people.person(account, []));
    }
    const authors = await authorsOf(parts.authors, people);
    const unread = people.unread();
    const told = unread === undefined ? {} : { unread };
    const proof = parts.isUnproven === true ? { isUnproven: true as const } : {};
    return { authors, approvals: byName(approvals), ...proof, ...told };
  };

/** Somebody who wrote a commit; account null: GitHub knows nobody by this address. */
interface Author {
  readonly account: Account | null;
  readonly email: string | null;
  /** The address or name is of a verified signature: it speaks for itself, whoever GitHub knows. */
  readonly isSigner?: true;
}

interface Parts {
  readonly authors: readonly Author[];
  readonly approvals: readonly Account[];
  /** GitHub knows authors by the addresses in the commit alone. */
  readonly isUnproven?: true;
}

const partsOf = async (wire: Wire, ask: BehindAsk, branch: string): Promise<Parts> => {
  switch (ask.kind) {
    case 'account':
      return { authors: [], approvals: [ask.account] };
    case 'pull':
      return pullParts(wire, await pullOf(wire, ask.pull));
    case 'commit':
      return commitParts(wire, ask, branch);
    default:
      return ask satisfies never;
  }
};

/** A commit that came without a pull request is its author's alone, or its signer's. */
const commitParts = async (
  wire: Wire,
  { commit, signedBy = [], merge }: Extract<BehindAsk, { kind: 'commit' }>,
  branch: string,
): Promise<Parts> => {
  const pulls = await wire.poll({
    route: 'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls',
    params: { commit_sha: commit },
    pick: (data) =>
      (data as readonly (ApiPull & { readonly base: { readonly ref: string } })[]).filter(
        ({ merged_at, base, head }) =>
          merged_at !== null && base.ref === branch && isOf(merge, head.sha),
      ),
    once: true,
  });
  if (pulls.length === 0) {
    const one = await wire.poll({
      route: 'GET /repos/{owner}/{repo}/commits/{ref}',
      params: { ref: commit },
      pick: (data) => data as ApiCommit,
      once: true,
    });
    if (signedBy.length === 0) {
      return { authors: behindCommit(one), approvals: [], isUnproven: true };
    }
    return { authors: await signerOf(wire, one, { branch, signedBy }), approvals: [] };
  }
  const parts: Parts[] = [];
  for (const pull of pulls) parts.push(await pullParts(wire, pull));
  return {
    authors: parts.flatMap(({ authors }) => authors),
    approvals: parts.flatMap(({ approvals }) => approvals),
  };
};

interface Signed {
  readonly branch: string;
  readonly signedBy: readonly string[];
}

/**
 * The signer counts, whatever name the commit bears: by the address that was verified, also where
 * GitHub knows nobody by it. A signer without an address is nobody whom GitHub could know.
 */
const signerOf = async (
  wire: Wire,
  one: ApiCommit,
  { branch, signedBy }: Signed,
): Promise<readonly Author[]> => {
  const addresses = signedBy.filter((name) => name.includes('@'));
  const wrote = one.commit.author?.email?.toLowerCase() ?? '';
  if (addresses.includes(wrote)) {
    const [, ...others] = behindCommit(one);
    return [{ account: one.author, email: wrote, isSigner: true }, ...others];
  }
  const [email] = addresses;
  if (email === undefined) {
    return [{ account: null, email: signedBy[0] ?? null, isSigner: true }];
  }
  const account = await accountOfEmail(wire, { branch, email });
  return [{ account, email, isSigner: true }];
};

/** A merge that somebody made holds more than its pull request where these do not fit. */
const isOf = (merge: MergeFacts | undefined, head: string): boolean =>
  merge === undefined || (merge.isExact && merge.theirs === head);

/** What is needed of one, and kept. */
type PullFacts = Pick<ApiPull, 'number' | 'user'> & { readonly head: { readonly sha: string } };

const pullOf = (wire: Wire, pull: number): Promise<PullFacts> =>
  wire.poll({
    route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}',
    params: { pull_number: pull },
    pick: (data) => {
      const { number, user, head } = data as ApiPull;
      return { number, user, head: { sha: head.sha } };
    },
  });

/** Who opened it counts too: a commit can name anybody as its author. */
const pullParts = async (wire: Wire, { number, user, head }: PullFacts): Promise<Parts> => {
  const commits = await wire.pages(
    {
      route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits',
      params: { pull_number: number },
      pick: (data) => (data as readonly ApiCommit[]).flatMap(behindCommit),
    },
    COMMIT_PAGES,
  );
  const reviews = await wire.pages(
    {
      route: 'GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews',
      params: { pull_number: number },
      pick: (data) =>
        (data as readonly ApiReview[]).map(({ user: by, state, commit_id }) => ({
          by: by === null ? null : { login: by.login, id: by.id },
          state: state.toUpperCase(),
          commit: commit_id,
        })),
    },
    REVIEW_PAGES,
  );
  return {
    authors: [{ account: user, email: null }, ...commits],
    approvals: approvalsOf(reviews, head.sha),
  };
};

interface ApiCommit {
  readonly commit: {
    readonly author: { readonly email?: string } | null;
    readonly committer: { readonly email?: string } | null;
  };
  readonly author: ApiUser | null;
  readonly committer: ApiUser | null;
}

/** The committer too, where it is somebody else: who rewrites a commit has written it. */
const behindCommit = ({ commit, author, committer }: ApiCommit): readonly Author[] => {
  const [wrote, made] = [commit.author?.email ?? null, commit.committer?.email ?? null];
  const isOther =
    committer === null
      ? made !== wrote && made !== WEB_FLOW_EMAIL && made !== MACHINE_AUTHOR.email
      : committer.login !== WEB_FLOW && committer.id !== author?.id;
  return [
    { account: author, email: wrote },
    ...(isOther ? [{ account: committer, email: committer === null ? made : null }] : []),
  ];
};

interface ApiReview {
  readonly user: ApiUser | null;
  readonly state: string;
  readonly commit_id: string | null;
}

interface Review {
  readonly by: Account | null;
  readonly state: string;
  readonly commit: string | null;
}

/** The newest word of each; a comment changes nothing. */
const approvalsOf = (reviews: readonly Review[], head: string): readonly Account[] => {
  const newest = new Map<number, Review>();
  for (const review of reviews) {
    const isWord = WORDS.has(review.state);
    if (isWord && review.by !== null) newest.set(review.by.id, review);
  }
  return [...newest.values()].flatMap(({ by, state, commit }) =>
    state === 'APPROVED' && commit === head && by !== null ? [by] : [],
  );
};

const WORDS = new Set(['APPROVED', 'CHANGES_REQUESTED', 'DISMISSED']);

/** An address of a commit counts as the account's: GitHub has made sure that it is. */
const authorsOf = async (authors: readonly Author[], people: People) => {
  const accounts = new Map<number, { readonly account: Account; readonly emails: string[] }>();
  const strangers = new Set<string>();
  const signers: Person[] = [];
  for (const { account, email, isSigner } of authors) {
    if (account === null && email !== null && isSigner === true) {
      signers.push({ name: email, as: [email.toLowerCase()] });
      continue;
    }
    if (account === null) {
      strangers.add(email ?? 'somebody');
      continue;
    }
    const known = accounts.get(account.id) ?? { account, emails: [] };
    if (email !== null) known.emails.push(email);
    accounts.set(account.id, known);
  }
  const found = [...signers, ...[...strangers].map((name): Person => ({ name, as: [] }))];
  for (const { account, emails } of accounts.values())
    found.push(await people.person(account, emails));
  return byName(found);
};

const byName = (people: readonly Person[]): readonly Person[] =>
  people.toSorted((a, b) => compareText(a.name, b.name));
