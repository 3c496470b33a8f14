// Which commits of the branch may be acted on: rules of signatures, judged commit by commit.
// In: facts of one commit, worked out from its bytes, and the newest accepted one before it. Out: a
// verdict, and the line so far. A commit is judged by what stood before it, so it can neither admit
// its own author nor switch the policy off. Pure. Not here: reading commits, checking signatures
// (edge/git), words for people (refusal-words.ts).

import type { RefusalReason } from './refusal.ts';
import { hasRole, PURSER_ROLE, WEB_FLOW_ROLE, type Signers } from './signers.ts';

/** `cluster.yaml`, `signatures.verify`. */
export type Verify = 'none' | 'head' | 'strict';

/** What one commit's own files say: how the next commits are judged. */
export interface SignaturePolicy {
  readonly verify: Verify;
  readonly signers: Signers;
}

/** What the bytes of a commit prove. */
export type SignatureFact =
  | { readonly kind: 'none' }
  /** The signature fits the commit and the key that it names; whose key that is, is not said. */
  | { readonly kind: 'ssh'; readonly key: string; readonly fingerprint: string }
  /** One of the listed keys made it. */
  | { readonly kind: 'openpgp'; readonly principals: string; readonly key: string }
  | {
      readonly kind: 'bad';
      readonly why: 'mismatch' | 'namespace' | 'unknown-key' | 'expired' | 'unreadable';
      /** Fingerprint or id of the key, where it names one. */
      readonly key: string | null;
      /** For people, where `why` says too little. */
      readonly detail: string | null;
    };

export interface CommitFacts {
  readonly oid: string;
  readonly parents: readonly string[];
  /** Seconds since 1970, as the committer wrote them. */
  readonly committedAt: number;
  readonly signature: SignatureFact;
  /**
   * Of a merge that a host made: the commits that it brings in, or only the newest of them, and
   * whether its files are what its parents give. Absent: nobody looked.
   */
  readonly merge?: {
    readonly commits: readonly CommitFacts[];
    /** More than are looked at. */
    readonly cut: boolean;
    readonly isExact: boolean;
  };
}

export type Verdict =
  | {
      readonly kind: 'accepted';
      /** Principals of the signer; null: nobody asked for a signature. */
      readonly signer: string | null;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** A commit is judged by the policy of `by`, and no earlier than `by` was made. */
export interface Judge {
  readonly policy: SignaturePolicy;
  readonly committedAt: number;
}

/**
 * Commits of a line that are judged at once, and commits that a merge may bring in: a tenth of a
 * second of checking.
 */
export const JUDGED_COMMITS = 1000;

/** The verdict on one commit of the first-parent line. */
export const verdictOn = (facts: CommitFacts, judge: Judge): Verdict => {
  if (judge.policy.verify === 'none') return ACCEPTED;
  const signer = signerOf(facts, judge);
  if (signer.kind === 'refused') return signer;
  if (!isWebFlow(signer)) return signer;
  return mergeVerdict(facts, judge) ?? signer;
};

const ACCEPTED: Verdict = { kind: 'accepted', signer: null };

/** Whether its parents must be looked at too before there can be a verdict. */
export const needsMerge = (facts: CommitFacts, judge: Judge): boolean =>
  judge.policy.verify !== 'none' && facts.parents.length === 2 && isWebFlow(signerOf(facts, judge));

const isWebFlow = (verdict: Verdict): boolean =>
  verdict.kind === 'accepted' && hasRole(verdict.signer ?? '', WEB_FLOW_ROLE);

/** null: as good as its signature. What a host's merge brings in, persons must have signed. */
const mergeVerdict = (facts: CommitFacts, judge: Judge): Verdict | null => {
  const { merge, parents } = facts;
  if (parents.length !== 2 || merge === undefined) return refused({ kind: 'web-flow' });
  if (merge.cut) return refused({ kind: 'too-many', limit: JUDGED_COMMITS });
  if (!merge.isExact) return refused({ kind: 'merge-differs' });
  for (const one of merge.commits) {
    const verdict = verdictOn(one, judge);
    if (verdict.kind === 'accepted') continue;
    return refused({ kind: 'brought-in', commit: one.oid, reason: verdict.reason });
  }
  return null;
};

const refused = (reason: RefusalReason): Verdict => ({ kind: 'refused', reason });

/** Whose signature it is, whatever the commit is. */
const signerOf = (facts: CommitFacts, judge: Judge): Verdict => {
  const { signature } = facts;
  switch (signature.kind) {
    case 'none':
      return refused({ kind: 'unsigned' });
    case 'bad':
      return refused({ kind: signature.why, key: signature.key, detail: signature.detail });
    case 'openpgp':
      return { kind: 'accepted', signer: signature.principals };
    case 'ssh':
      return sshSigner(signature, facts, judge);
    default:
      return signature satisfies never;
  }
};

const sshSigner = (
  { key, fingerprint }: Extract<SignatureFact, { kind: 'ssh' }>,
  { committedAt }: CommitFacts,
  judge: Judge,
): Verdict => {
  const listed = judge.policy.signers.ssh.filter((one) => one.key === key);
  if (listed.length === 0) return refused({ kind: 'unknown-key', key: fingerprint, detail: null });
  // A date is the committer's word: a key that is past its time cannot sign for a time before the
  // commit that it builds on.
  const times = [committedAt, Math.max(committedAt, judge.committedAt)];
  const valid = listed.find(({ validAfter, validBefore }) =>
    times.every(
      (at) =>
        (validAfter === null || at >= validAfter) && (validBefore === null || at < validBefore),
    ),
  );
  return valid === undefined
    ? refused({ kind: 'expired', key: fingerprint, detail: null })
    : { kind: 'accepted', signer: valid.principals };
};

/** How far the line was judged, oldest commit first. */
export interface Line {
  /** The newest accepted commit, which judges the next; null: not even the first one was. */
  readonly accepted: string | null;
  readonly judge: Judge;
  /** Of those after it, oldest first; empty: the newest one is accepted. */
  readonly refused: readonly { readonly commit: string; readonly reason: RefusalReason }[];
}

/** The line with one commit more; `own`: what that commit's files say, for those after it. */
export const afterCommit = (line: Line, facts: CommitFacts, own: SignaturePolicy): Line => {
  // One that was not accepted stands in the way of all that build on it, until somebody resumes.
  const [first] = line.judge.policy.verify === 'strict' ? line.refused : [];
  const verdict = first === undefined ? verdictOn(facts, line.judge) : refused(first.reason);
  if (verdict.kind === 'refused') {
    return { ...line, refused: [...line.refused, { commit: facts.oid, reason: verdict.reason }] };
  }
  const judge = { policy: own, committedAt: facts.committedAt };
  return { accepted: facts.oid, judge, refused: [] };
};

/** Whether a key is Purser's, by the list of a commit. */
export const isPurserKey = ({ signers }: SignaturePolicy, key: string): boolean =>
  signers.ssh.some((one) => one.key === key && hasRole(one.principals, PURSER_ROLE));
