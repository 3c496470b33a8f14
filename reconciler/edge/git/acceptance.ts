// Which commit of the branch may be acted on, by what the bytes of commits prove. In: HEAD and the
// ledger. Out: the newest accepted commit and what stands above it; of a pull request, the commits
// that would not be accepted. Not here: the rules (schema/acceptance.ts), the way along the line
// (acceptance-line), the signatures (verify), the merge (host-merge).

import type { CommitFacts, Judge, Verify } from '../../../schema/acceptance.ts';
import { JUDGED_COMMITS, needsMerge, verdictOn } from '../../../schema/acceptance.ts';
import type { MergeFacts } from '../../../schema/forge.ts';
import type { Ledger } from '../../../schema/ledger.ts';
import { refusedWords } from '../../../schema/refused-words.ts';
import type { RefusedInPull } from '../../../schema/pull-plan.ts';
import { PURSER_ROLE, WEB_FLOW_ROLE } from '../../../schema/signers.ts';
import type { LogPort } from '../../ports.ts';
import { judgeAt, judgeBranch, type Judged, type KnownCommits } from './acceptance-line.ts';
import type { Base } from './base.ts';
import type { Commit } from './format.ts';
import { createHostMerges, type HostMerges } from './host-merge.ts';
import { COMMIT_BYTES, REMEMBERED_VERDICTS } from './limits.ts';
import { createPolicies, type Policies } from './policy.ts';
import { broughtIn } from './merge-base.ts';
import { createMemory, type Memory } from './remember.ts';
import type { Store } from './store.ts';
import { checkCommit } from './verify.ts';

export interface Acceptance {
  /** Throws GitFailure (`broken`) where not even the first commit is accepted. */
  readonly of: (head: string, ledger: Ledger) => Promise<Judged>;
  /** It is acted on, at that time: what builds on it is judged from there. */
  readonly settle: (commit: string, epochMs: number) => void;
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
  let settledAt = 0;
  let wasAsked = false;
  let verify: Verify = 'none';
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
      const { trusted } = options;
      const asked = { head, ledger, settled, settledAt, wasAsked, trusted, name: base.name };
      const judged = await judgeBranch(knownBy(work), asked);
      verify = judged.judge.policy.verify;
      const words = judged.refused === undefined ? '' : refusedWords(judged.refused);
      if (words !== '' && words !== said) options.log.warn({ head }, words);
      said = words;
      return judged;
    },
    settle: (commit, epochMs) => {
      if (commit !== settled) settledAt = Math.floor(epochMs / 1000);
      settled = commit;
      wasAsked = verify !== 'none';
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
  const judge = await judgeAt(knownBy(work), await folders.commit(commit.parent));
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
  const judge = await judgeAt(knownBy(work), await folders.commit(base));
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

const knownBy = (work: Working): KnownCommits => {
  const { folders } = work.store;
  return {
    commit: (oid) => folders.commit(oid),
    has: (oid) => folders.has(oid),
    policies: work.policies,
    facts: (commit, judge) => factsOf(work, commit, judge),
  };
};

interface Working extends Opened {
  readonly options: AcceptanceOptions;
  readonly checked: Memory<CommitFacts>;
}

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
