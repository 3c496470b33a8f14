// What the control socket answers: methods and the shape of their answers.
// In: nothing. Out: types. Not here: transport (edge/control), the screen (cli).

import type { CommitRef, DesiredState, FileEdit, RevertTarget } from './desired.ts';
import type { TokenKind } from './identity.ts';
import type { LedgerRecord } from './ledger.ts';
import type { LiveState } from './live.ts';
import type { Plan } from './plan.ts';
import type { Ms } from './spec.ts';

/** `state`: the newest view. */
export interface StateAnswer {
  readonly cluster: string;
  readonly repository: string;
  readonly branch: string;
  readonly directory: string;
  /** Reading or planning fails now, in words. */
  readonly failure: string | null;
  /** It can be read: the branch stands at a commit that is not followed. */
  readonly isRefused?: true;
  /** Writing fails now. */
  readonly write: { readonly what: string; readonly message: string } | null;
  /** What the forge does not let us say now; null or absent: all is well, or there is none. */
  readonly forge?: string | null;
  /** The line of signers/allowed_signers that lists Purser's key; null or absent: it has none. */
  readonly signer?: string | null;
  /** What a person should know of it though all is well; null or absent: nothing. */
  readonly forgeNotice?: string | null;
  /** Which of several reconcilers leads; absent: there is one. */
  readonly leader?: LeaderAnswer;
  /** null until the repository was read once. */
  readonly view: {
    readonly desired: DesiredState;
    readonly live: LiveState;
    readonly plan: Plan;
    /** Age of the view. */
    readonly ageMs: Ms;
    /** Until the answer could change without new input; null: it cannot. */
    readonly wakesInMs: Ms | null;
  } | null;
}

/** Of several reconcilers, as the one that answers sees it. */
export interface LeaderAnswer {
  readonly me: ReconcilerName;
  readonly leads: boolean;
  /** The one that it leads by; null: it does not. */
  readonly term: number | null;
  /** Itself, perhaps; null: nobody is known to lead. */
  readonly leader: ReconcilerName | null;
  /** Nobody was seen to lead for so long; null: somebody does. */
  readonly leaderlessMs: Ms | null;
  /** The lease cannot be looked at, in words. */
  readonly problem: { readonly message: string; readonly forMs: Ms } | null;
  /** Those that the leader hears from; empty where another one answers. */
  readonly standbys: readonly (ReconcilerName & { readonly silentForMs: Ms })[];
}

export interface ReconcilerName {
  readonly name: string;
  /** `host:port`. */
  readonly address: string;
}

/** `state`: without it a reconciler says what it knows itself; with it a standby asks the leader. */
export interface StateArgument {
  readonly ofLeader: true;
}

export const OF_LEADER: StateArgument = { ofLeader: true };

/** Methods that change something: one whose answer was lost is not asked again by itself. */
export const CHANGING: ReadonlySet<string> = new Set([
  'commit',
  'record',
  'token',
  'endToken',
  'expel',
]);

/** What to do after that. */
export const PERHAPS_DONE =
  'it may have been done: look (`purser history`) before you run it again';

/** `copies`: where the tasks of a job are, for those who follow them. */
export interface CopiesArgument {
  /** `<namespace>/<job>`. */
  readonly job: string;
}

export interface CopiesAnswer {
  /** False: the job is not in Git, and nothing of it is left. */
  readonly exists: boolean;
  /** Every node in Git was heard from: what is not in the list is gone. */
  readonly complete: boolean;
  /** Dead and stopping ones too. */
  readonly copies: readonly {
    readonly node: string;
    readonly allocation: string;
    readonly group: string;
    readonly index: number;
    readonly specHash: string;
    readonly tasks: readonly string[];
  }[];
}

/** `commit`: edits by a person through a command. */
export interface CommitArgument {
  readonly edits: readonly FileEdit[];
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
  /** HEAD that the edits were computed from. */
  readonly head: string;
}

export interface CommitAnswer {
  readonly commit: string;
}

/** `file`: a file of the cluster's directory at HEAD. */
export interface FileArgument {
  readonly path: string;
}

export interface FileAnswer {
  readonly head: string;
  /** null where there is none, or it is no text. */
  readonly text: string | null;
  readonly blob: string | null;
}

/** `record`: ledger records by a person through a command. */
export interface RecordArgument {
  readonly records: readonly LedgerRecord[];
  /** The commit at which the ledger stands: it is gone on from there, though it was set back. */
  readonly ledger?: string;
}

/**
 * `resolve`: which digest a tag has now; the answer is a `LookupAnswer`. Asks only registries that
 * policy allows.
 */
export interface ResolveArgument {
  readonly reference: string;
}

/** `rollback`: what a job would go back to, as edits of files at `head` (rules 6.3). */
export interface RollbackArgument {
  /** `<namespace>/<job>`. */
  readonly job: string;
}

export interface RollbackAnswer {
  readonly head: string;
  readonly target: RevertTarget;
}

/** `history`: commits of the branch, newest first. */
export interface HistoryArgument {
  readonly limit: number;
  /** Only commits that changed this job's version inputs. */
  readonly job: string | null;
}

export interface HistoryCommit extends CommitRef {
  /** Seconds since 1970. */
  readonly at: number;
  readonly trailers: readonly (readonly [string, string])[];
}

export interface EventAnswer {
  readonly at: number;
  readonly kind: string;
  readonly job: string | null;
  readonly node: string | null;
  readonly message: string;
}

/** `token`: makes a token. */
export interface TokenAsk {
  readonly kind: TokenKind;
  /** The one node that may join by it, in the place of one that has; null: any new one. */
  readonly node: string | null;
  /** How many machines may join by it. */
  readonly uses: number;
  /** From now on. */
  readonly lastsMs: number;
}

export interface TokenAnswer {
  /** Its text, shown once and kept nowhere. */
  readonly token: string;
  /** Where the reconciler listens, `host:port`, as it was told. */
  readonly address: string;
}

/** `tokens`: those that still count. */
export interface GivenToken extends Omit<TokenAsk, 'lastsMs'> {
  readonly id: string;
  /** Machines that may still join. */
  readonly left: number;
  /** Milliseconds since 1970. */
  readonly endsAtMs: number;
}

/** `endToken`: whether there was such a token. */
export interface EndTokenArgument {
  readonly id: string;
}

/** `expel`: certificates of this node count no more, from now on. */
export interface ExpelArgument {
  readonly node: string;
}
