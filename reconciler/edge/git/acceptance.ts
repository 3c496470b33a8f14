// Which commit of the branch may be acted on: the line is walked back to a commit that was accepted
// before, and judged from there, oldest first. In: HEAD and the ledger. Out: the newest accepted
// commit and what stands above it. Where nobody asks for signatures no commit's bytes are read.
// Not here: the rules (schema/acceptance.ts), the signatures (verify), the merge (host-merge).

import type { CommitFacts, Judge, Line, SignaturePolicy } from '../../../schema/acceptance.ts';
import { afterCommit, JUDGED_COMMITS, needsMerge, verdictOn } from '../../../schema/acceptance.ts';
import type { MergeFacts } from '../../../schema/forge.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import { refusedWords } from '../../../schema/refused-words.ts';
import type { RefusedInPull } from '../../../schema/pull-plan.ts';
import { PURSER_ROLE, WEB_FLOW_ROLE } from '../../../schema/signers.ts';
import type { RefusedCommit, RefusedCommits } from '../../../schema/source.ts';
import type { LogPort } from '../../ports.ts';
import type { Base } from './base.ts';
import { broken, RefusedHead } from './failure.ts';
import type { Commit } from './format.ts';
import { createHostMerges, type HostMerges } from './host-merge.ts';
import { COMMIT_BYTES, POLICY_COMMITS, REFUSED_TOLD, REMEMBERED_VERDICTS } from './limits.ts';
import { createPolicies, NO_POLICY, type Policies } from './policy.ts';
import { broughtIn } from './merge-base.ts';
import { createMemory, type Memory } from './remember.ts';
import type { Store } from './store.ts';
import { checkCommit } from './verify.ts';

export interface Judged {
  /** The newest commit that may be acted on. */
  readonly accepted: string;
  /** Judges the commits after it. */
  readonly judge: Judge;
  /** Absent: the branch's newest commit is accepted. */
  readonly refused?: RefusedCommits;
}

export interface Acceptance {
  /** Throws GitFailure (`broken`) where not even the first commit is accepted. */
  readonly of: (head: string, ledger: Ledger) => Promise<Judged>;
  /** It is acted on: what builds on it is judged from there. */
  readonly settle: (commit: string) => void;
  /** Of a commit that was accepted: people whose signature it bears, in lower case. */
  readonly signedBy: (commit: string) => Promise<readonly string[]>;
  /** null: it is no merge. */
  readonly mergeOf: (commit: string) => Promise<MergeFacts | null>;
  /** Of commits that a merge of `head` onto `base` would bring in, those refused; oldest first. */
  readonly refusals: (base: string, head: string) => Promise<readonly RefusedInPull[]>;
}

export interface AcceptanceOptions {
  readonly base: Base;
  readonly directory: string;
  /** A commit that is trusted whoever signed it; null: the first one is, on first use. */
  readonly trusted: string | null;
  readonly log: LogPort;
}

/** Made anew with the store: a mirror may be cloned anew. */
interface Opened {
  readonly store: Store;
  readonly policies: Policies;
  readonly merges: HostMerges;
}

export const createAcceptance = (options: AcceptanceOptions): Acceptance => {
  const { base, directory } = options;
  const checked = createMemory<CommitFacts>(REMEMBERED_VERDICTS);
  let open: Opened | null = null;
  let settled: string | null = null;
  let said = '';

  const opened = (): Opened => {
    const store = base.store();
    if (open?.store === store) return open;
    const policies = createPolicies(store.folders, directory);
    return (open = { store, policies, merges: createHostMerges(store, directory) });
  };
  const working = (): Working => ({ ...opened(), options, checked });
  return {
    of: async (head, ledger) => {
      const work = working();
      const anchors = anchorsOf(ledger, [options.trusted, settled]);
      const walked = await walk(work, head, anchors);
      const line = await judgeLine(work, walked, anchors);
      const judged = await judgedOf(work, line);
      const words = judged.refused === undefined ? '' : refusedWords(judged.refused);
      if (words !== '' && words !== said) options.log.warn({ head }, words);
      said = words;
      return judged;
    },
    settle: (commit) => {
      settled = commit;
    },
    signedBy: (commit) => signersOf(working(), commit),
    mergeOf: async (oid) => {
      const { store, merges } = working();
      const commit = await store.folders.commit(oid);
      const { parents } = commit;
      if (parents.length < 2) return null;
      if (parents.length > 2) return { theirs: '', isExact: false };
      return { theirs: parents[1] ?? '', isExact: await merges.isExact(commit) };
    },
    refusals: (of, head) => refusalsIn(working(), of, head),
  };
};

/** By the list of the commit before it: a commit cannot admit its own author. */
const signersOf = async (work: Working, oid: string): Promise<readonly string[]> => {
  const { folders } = work.store;
  const commit = await folders.commit(oid);
  if (commit.parent === null) return [];
  const judge = await judgeAt(work, await folders.commit(commit.parent));
  if (judge.policy.verify === 'none') return [];
  const verdict = verdictOn(await factsOf(work, commit, judge), judge);
  if (verdict.kind !== 'accepted' || verdict.signer === null) return [];
  const roles: readonly string[] = [PURSER_ROLE, WEB_FLOW_ROLE];
  const names = verdict.signer.split(',').map((name) => name.trim().toLowerCase());
  return names.some((name) => roles.includes(name)) ? [] : names.filter((name) => name !== '');
};

/** With `head` the newest commit vouches for the others, as in a merge. */
const refusalsIn = async (
  work: Working,
  base: string,
  head: string,
): Promise<readonly RefusedInPull[]> => {
  const { folders } = work.store;
  const judge = await judgeAt(work, await folders.commit(base));
  const { verify } = judge.policy;
  if (verify === 'none') return [];
  const brought = await broughtIn(folders, [base, head]);
  const asked = verify === 'head' ? [head] : brought.slice(0, JUDGED_COMMITS).toReversed();
  const found: RefusedInPull[] = [];
  for (const oid of asked) {
    const commit = await folders.commit(oid);
    const verdict = verdictOn(await factsOf(work, commit, judge, new Set(brought)), judge);
    if (verdict.kind === 'accepted') continue;
    found.push({ commit: oid, author: commit.author, reason: verdict.reason });
  }
  return found;
};

interface Working extends Opened {
  readonly options: AcceptanceOptions;
  readonly checked: Memory<CommitFacts>;
}

/**
 * Commits that are accepted, whatever they are signed with: those that were acted on, those that a
 * person resumed at, and the one that the reconciler was told of.
 */
const anchorsOf = (ledger: Ledger, others: readonly (string | null)[]): ReadonlySet<string> => {
  const anchors = new Set<string>();
  for (const record of ledger) {
    if (record.kind === 'resume' || record.kind === 'synced') anchors.add(record.commit);
  }
  for (const one of others) if (one !== null) anchors.add(one);
  return anchors;
};

interface Walked {
  /** Oldest first. */
  readonly commits: readonly Commit[];
  readonly end: 'anchor' | 'root' | 'cut';
}

const walk = async (work: Working, head: string, anchors: ReadonlySet<string>): Promise<Walked> => {
  const { folders } = work.store;
  const commits: Commit[] = [];
  let next: string | null = head;
  while (next !== null && commits.length <= JUDGED_COMMITS) {
    const commit: Commit = await folders.commit(next);
    commits.push(commit);
    if (anchors.has(next)) return { commits: commits.toReversed(), end: 'anchor' };
    next = commit.parent;
    // On first use a long history is not walked for a policy that its newest commit does not have.
    if (anchors.size > 0 || commits.length > 1 || next === null) continue;
    if ((await policyAt(work, commit)).verify === 'none') return { commits, end: 'cut' };
  }
  return { commits: commits.toReversed(), end: next === null ? 'root' : 'cut' };
};

const judgeLine = async (
  work: Working,
  { commits, end }: Walked,
  anchors: ReadonlySet<string>,
): Promise<Line> => {
  const [first, ...rest] = commits;
  if (first === undefined) throw new Error('a line has at least one commit');
  let line: Line;
  if (end === 'root') line = await fromRoot(work, first);
  else if (end === 'anchor' || anchors.size === 0) line = await fromAccepted(work, first);
  else {
    const known = await newestKnown(work, anchors);
    line = await fromAccepted(work, known ?? first);
    if (known !== null && line.judge.policy.verify !== 'none') {
      const reason = { kind: 'too-many', limit: JUDGED_COMMITS } as const;
      return { ...line, refused: [{ commit: commits.at(-1)?.oid ?? first.oid, reason }] };
    }
    line = await fromAccepted(work, first);
  }
  for (const commit of rest) line = await judged(work, line, commit);
  return line;
};

/** The commit that judges where the line does not lead back to it: what was acted on last. */
const newestKnown = async (
  { store: { folders } }: Working,
  anchors: ReadonlySet<string>,
): Promise<Commit | null> => {
  for (const oid of [...anchors].toReversed()) {
    if (await folders.has(oid)) return folders.commit(oid);
  }
  return null;
};

const fromAccepted = async (work: Working, commit: Commit): Promise<Line> => ({
  accepted: commit.oid,
  judge: await judgeAt(work, commit),
  refused: [],
});

/** The very first commit is judged by its own files: nobody was there before it. */
const fromRoot = async (work: Working, first: Commit): Promise<Line> => {
  const { trusted, base } = work.options;
  if (trusted !== null) {
    throw broken(
      `${base.name}: the branch does not contain ${trusted}, which the reconciler was told to ` +
        'trust. Nothing is done: put the branch right, or start with another --trust',
    );
  }
  const judge = await judgeAt(work, first);
  if (judge.policy.verify === 'none') return { accepted: first.oid, judge, refused: [] };
  const verdict = verdictOn(await factsOf(work, first, judge), judge);
  return verdict.kind === 'accepted'
    ? { accepted: first.oid, judge, refused: [] }
    : { accepted: null, judge, refused: [{ commit: first.oid, reason: verdict.reason }] };
};

const judged = async (work: Working, line: Line, commit: Commit): Promise<Line> => {
  const before = line.judge.policy;
  const { policy } = await work.policies.at(commit.tree, before);
  const isBlocked = before.verify === 'strict' && line.refused.length > 0;
  const isAsked = before.verify !== 'none' || policy.verify !== 'none';
  const facts = isAsked && !isBlocked ? await factsOf(work, commit, line.judge) : plain(commit);
  return afterCommit(line, facts, policy);
};

/** Nothing is asked of it. */
const plain = ({ oid, parents }: Commit): CommitFacts => ({
  oid,
  parents,
  committedAt: 0,
  signature: { kind: 'none' },
});

const judgeAt = async (work: Working, commit: Commit): Promise<Judge> => {
  const policy = await policyAt(work, commit);
  if (policy.verify === 'none') return { policy, committedAt: 0 };
  const { committedAt } = await factsOf(work, commit, { policy: NO_POLICY, committedAt: 0 });
  return { policy, committedAt };
};

/** Where its cluster.yaml cannot be read, what an earlier one said goes on. */
const policyAt = async (work: Working, commit: Commit): Promise<SignaturePolicy> => {
  const own = await work.policies.at(commit.tree, null);
  let found = own;
  let before = commit.parent;
  for (let back = 0; !found.isOwn && before !== null && back < POLICY_COMMITS; back += 1) {
    const parent = await work.store.folders.commit(before);
    found = await work.policies.at(parent.tree, null);
    before = parent.parent;
  }
  return found === own ? own.policy : (await work.policies.at(commit.tree, found.policy)).policy;
};

const listIds = new WeakMap<object, number>();
let lists = 0;

const idOf = (list: object): number => {
  const known = listIds.get(list);
  if (known !== undefined) return known;
  lists += 1;
  listIds.set(list, lists);
  return lists;
};

/** `among`: the commits that an outer merge brings in, which are judged with it. */
const factsOf = async (
  work: Working,
  commit: Commit,
  judge: Judge,
  among: ReadonlySet<string> | null = null,
): Promise<CommitFacts> => {
  const { policy, committedAt: notBefore } = judge;
  const { oid, parents } = commit;
  const key = [oid, policy.verify, idOf(policy.signers), notBefore, among && idOf(among)].join(' ');
  const known = work.checked.get(key);
  if (known !== undefined) return known;
  const object = await work.store.objects.read(oid, COMMIT_BYTES);
  const data = object?.data ?? null;
  const checked =
    data === null ? TOO_LARGE : await checkCommit(data, { signers: policy.signers, notBefore });
  const alone = { oid, parents, ...checked };
  const facts = needsMerge(alone, judge)
    ? { ...alone, merge: await mergeOf(work, { commit, judge, among }) }
    : alone;
  work.checked.set(key, facts);
  return facts;
};

const TOO_LARGE = {
  committedAt: 0,
  signature: {
    kind: 'bad',
    why: 'unreadable',
    key: null,
    detail: `the commit is larger than ${COMMIT_BYTES / 1024} KiB`,
  },
} as const;

interface AskedMerge {
  readonly commit: Commit;
  readonly judge: Judge;
  readonly among: ReadonlySet<string> | null;
}

/** Every commit that it brings in where each must be signed, else only the newest of them. */
const mergeOf = async (
  work: Working,
  { commit, judge, among }: AskedMerge,
): Promise<NonNullable<CommitFacts['merge']>> => {
  const brought = among ?? new Set(await work.merges.broughtIn(commit));
  const cut = brought.size > JUDGED_COMMITS;
  const isExact = !cut && (await work.merges.isExact(commit));
  const all = judge.policy.verify === 'strict';
  const nearest = commit.parents.filter((oid) => brought.has(oid));
  const asked = all ? (among === null ? [...brought] : []) : nearest;
  const commits: CommitFacts[] = [];
  for (const oid of isExact ? asked : []) {
    commits.push(await factsOf(work, await work.store.folders.commit(oid), judge, brought));
  }
  return { commits, cut, isExact };
};

/** With `strict` those above the cause were not judged: what each is by itself is looked at here. */
const eachOf = async (
  work: Working,
  { judge, refused }: Pick<Line, 'judge' | 'refused'>,
  cause: string,
): Promise<readonly RefusedCommit[]> => {
  const isStrict = judge.policy.verify === 'strict';
  const newest = refused.slice(-REFUSED_TOLD);
  const told = newest.some(({ commit }) => commit === cause)
    ? newest
    : [...refused.slice(0, 1), ...newest];
  const found: RefusedCommit[] = [];
  for (const one of told) {
    const commit = await work.store.folders.commit(one.commit);
    const isJudged = !isStrict || one.commit === cause;
    const verdict = isJudged ? null : verdictOn(await factsOf(work, commit, judge), judge);
    const own = verdict?.kind === 'refused' ? verdict.reason : null;
    found.push({ commit, reason: isJudged ? one.reason : own });
  }
  return found.toReversed();
};

const judgedOf = async (work: Working, { accepted, judge, refused }: Line): Promise<Judged> => {
  const { folders } = work.store;
  const [first, newest] = [refused[0], refused.at(-1)];
  const { verify } = judge.policy;
  if (first === undefined || newest === undefined || verify === 'none') {
    if (accepted === null) throw new Error('a line without an accepted commit has a refused one');
    return { accepted, judge };
  }
  const cause = verify === 'strict' ? first : newest;
  const told: RefusedCommits = {
    verify,
    newest: await folders.commit(newest.commit),
    cause: await folders.commit(cause.commit),
    reason: cause.reason,
    commits: refused.map(({ commit }) => commit).toReversed(),
    each: await eachOf(work, { judge, refused }, cause.commit),
  };
  if (accepted !== null) return { accepted, judge, refused: told };
  throw new RefusedHead(
    newest.commit,
    `nothing of the branch can be acted on: ${refusedWords(told)}. Or start the reconciler with ` +
      '--trust COMMIT, the newest commit that you have looked at',
  );
};
