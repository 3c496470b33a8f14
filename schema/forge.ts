// What is said to a forge (GitHub) and what people ask through it: checks, comments, deployments,
// pull requests, clicks.
// In: nothing. Out: types and the forge's limits. Not here: what to say (reconciler/forge), in
// which words (reconciler/render), the forge itself (reconciler/edge/forge).

import type { Covered } from './covered.ts';
import type { Evidence } from './ledger.ts';

/** The plan of a change that is not merged, or the state of a commit of the tracked branch. */
export type CheckKind = 'plan' | 'sync';

/** `plan/shop`, `sync/shop`: what branch protection asks for. */
export const checkName = (kind: CheckKind, cluster: string): string => `${kind}/${cluster}`;

/** Never `neutral`: GitHub lets a required check pass with it. */
export type Conclusion = 'success' | 'failure' | 'action_required' | 'cancelled';

export type ButtonId = 'approve' | 'rollback' | 'promote' | 'retry' | 'reland';

/** GitHub's limits: label 20 characters, description 40, identifier 20, three a check. */
export interface Button {
  readonly id: ButtonId;
  readonly label: string;
  readonly description: string;
  /** Of *Approve*: what the text shows that it lets go (schema/covered.ts). It comes with a click. */
  readonly covers?: string;
}

/** A remark on lines of a file; `path` is relative to the root of the repository. */
export interface Annotation {
  readonly path: string;
  /** From 1. */
  readonly startLine: number;
  readonly endLine: number;
  readonly level: 'notice' | 'warning' | 'failure';
  /** At most 255 characters. */
  readonly title: string;
  readonly message: string;
}

/** What a check says, as Markdown within the forge's limits, most important first. */
export interface CheckText {
  /** One line without Markdown. */
  readonly title: string;
  readonly summary: string;
  /** Details behind folds; '' for none. */
  readonly text: string;
  /** Most important first; any number. */
  readonly annotations: readonly Annotation[];
}

/** What a rendered check says, beside which commit it is of. */
export type CheckBody = Omit<CheckReport, 'kind' | 'commit'>;

/** A check of one commit as it should stand. */
export interface CheckReport extends CheckText {
  readonly kind: CheckKind;
  readonly commit: string;
  readonly status: 'queued' | 'in_progress' | 'completed';
  /** null unless completed. */
  readonly conclusion: Conclusion | null;
  readonly buttons: readonly Button[];
  /** What an approval of it would let go; not written there. Absent: nothing, or not known. */
  readonly covered?: Covered;
}

/** How a commit ended that another one follows: read off the ledger, not off what was seen. */
export type Ended =
  | { readonly kind: 'synced' }
  | {
      readonly kind: 'failed';
      readonly jobs: readonly {
        readonly job: string;
        readonly evidence: Evidence;
        /** The commit that took it back; null: none. */
        readonly revertedBy: string | null;
      }[];
    }
  | { readonly kind: 'superseded' };

/** Everything that failed of it is as it was before: nothing more will be said of it. */
export const isTakenBack = ({ jobs }: Extract<Ended, { kind: 'failed' }>): boolean =>
  jobs.every(({ revertedBy }) => revertedBy !== null);

/** An account of the forge. Accounts are compared by `id`; logins can be renamed. */
export interface Account {
  readonly login: string;
  readonly id: number;
}

/** A pull request whose base is the tracked branch. */
export interface PullRequest {
  readonly number: number;
  readonly title: string;
  readonly author: Account;
  readonly head: string;
  /** Branch of the head, for people. */
  readonly headRef: string;
  /** From another repository: nothing that it says is trusted, or asked of a registry with a login. */
  readonly fromFork: boolean;
  readonly state: 'open' | 'merged' | 'closed';
  /** When anything of it changed last, by the forge's clock, as a text that sorts; absent: unknown. */
  readonly updatedAt?: string;
}

/** What Git knows of a merge commit. */
export interface MergeFacts {
  /** Its second parent; '' where it has more. */
  readonly theirs: string;
  /** Its files are just what its two parents give. */
  readonly isExact: boolean;
}

/** Of which change it is asked who is behind it; an account alone: as one who approves. */
export type BehindAsk =
  | { readonly kind: 'pull'; readonly pull: number }
  /** Of the tracked branch: by the pull request that brought it, else by its author. */
  | {
      readonly kind: 'commit';
      readonly commit: string;
      /** Whose verified signature it bears, in lower case; absent: nobody's that is listed. */
      readonly signedBy?: readonly string[];
      /** Absent: it has one parent. */
      readonly merge?: MergeFacts;
    }
  | { readonly kind: 'account'; readonly account: Account };

/** A merge queue asks for the checks of a commit that would be the next on the branch. */
export interface MergeGroup {
  readonly head: string;
  /** The commit that it would be merged onto. */
  readonly base: string;
  /** The newest pull request in it. */
  readonly pull: number;
}

export type Permission = 'admin' | 'write' | 'read' | 'none';

/** A click on a button or a comment, as the forge tells it: it decides nothing by itself. */
export interface ForgeRequest {
  /** The delivery's or the comment's: asked once, answered once. */
  readonly id: string;
  readonly kind: 'button' | 'comment';
  readonly action: ButtonId | 'plan';
  readonly by: Account;
  /** What the forge says now that this account may do in the repository. */
  readonly permission: Permission;
  /** Of the check, or the pull request's head when the comment was made. */
  readonly commit: string;
  /** null: a commit of the tracked branch. */
  readonly pull: number | null;
  /** Of a click: what its button carried. */
  readonly covers?: string;
  /** When it was asked, in ms since 1970 by the forge's clock; absent: not known. */
  readonly at?: number;
}

/** What the forge knows that Git does not. */
export interface ForgeState {
  /** Open ones, and those closed since the last look whose comment is still open. By number. */
  readonly pulls: readonly PullRequest[];
  readonly groups: readonly MergeGroup[];
  /** Not answered yet, oldest first. */
  readonly requests: readonly ForgeRequest[];
}

/** A deployment of one commit to the cluster (GitHub Deployments). */
export interface DeploymentReport {
  readonly commit: string;
  /** The cluster's name. */
  readonly environment: string;
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'inactive';
  readonly description: string;
  /** Where people see it; null: nowhere. */
  readonly url: string | null;
}

/** A pull request that Purser opens, where it may not write the branch. One for each `branch`. */
export interface PullAsk {
  readonly branch: string;
  readonly title: string;
  readonly body: string;
}

/** A branch of ours that nobody needs any more, and its pull request. */
export interface PullClose {
  /** null: none of its own is open. */
  readonly pull: number | null;
  /** Of its head, in the repository itself. */
  readonly branch: string;
  /** Why, for people. */
  readonly words: string;
}

/**
 * Bytes of a summary, a text or a comment. GitHub takes 65,535, of characters by its words; the
 * rest is for what the edge adds below: answers to people, and the hidden marks by which it finds
 * its own again.
 */
export const MARKDOWN_LIMIT = 62_000;
export const TITLE_LIMIT = 255;
export const BUTTONS_LIMIT = 3;
/** Annotations a request; more go in further requests. */
export const ANNOTATIONS_A_REQUEST = 50;
/** Annotations shown of one check: the rest is counted in its text. */
export const ANNOTATIONS_LIMIT = 200;
/** Of a commit status, which stands in for a check where there is only a token. */
export const STATUS_LIMIT = 140;
