// What the merge of a pull request would do to the cluster: the plan of the merge result beside the
// plan of what stands, and what would happen if something were lost right after.
// In: nothing. Out: types. Not here: how it is made (reconciler/preview, reconciler/plan/rehearse),
// words (reconciler/render).

import type { RefusalReason } from './refusal.ts';
import type { OwnedChange } from './behind.ts';
import type { Ms } from './spec.ts';
import type { Summary } from './summary.ts';

/** Copies that would have no place. */
export interface Shortage {
  readonly job: string;
  readonly group: string;
  readonly copies: number;
  /** What lacks most, of one copy: the resource's name and amount in words, such as `1.2 GiB`. */
  readonly lacks: string;
}

/** The loss of a node, or of all nodes of a zone, right after the change. */
export interface Loss {
  readonly kind: 'node' | 'zone';
  readonly name: string;
  /** Nothing: all copies find a place elsewhere. */
  readonly short: readonly Shortage[];
  /** So many nodes at once that nothing is replaced until a person approves (rules 9.1). */
  readonly waits?: true;
}

export interface Rehearsal {
  /** By kind, then name; at most LOSSES_REHEARSED. */
  readonly losses: readonly Loss[];
  /** Losses that were not worked out, for lack of time. */
  readonly left: number;
  /** Copies healthy at least, of those wanted, if the copies of this wave all fail. By job, wave. */
  readonly waves: readonly {
    readonly job: string;
    readonly wave: number;
    readonly healthy: number;
    readonly wanted: number;
  }[];
  /** How long going back would take for each changed job; null: there is nothing to go back to. */
  readonly rollbacks: readonly { readonly job: string; readonly takesMs: Ms | null }[];
}

/** Losses that are worked out for one pull request. */
export const LOSSES_REHEARSED = 64;

/** A written field of a job that differs; values as written, those that may be secrets masked. */
export interface FieldChange {
  readonly job: string;
  /** `groups.web.tasks.server.environment.LOG_LEVEL`. */
  readonly field: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What an approval of this plan would cover (rules 8.2): a later plan must not do more. */
export interface Effects {
  /** Slots that would go, `<job>/<group>[<index>]`, sorted. */
  readonly slots: readonly string[];
}

/** A commit that the signature policy of the base would not accept once it is merged. */
export interface RefusedInPull {
  readonly commit: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly reason: RefusalReason;
}

export type PullPlan =
  | {
      readonly kind: 'planned';
      readonly summary: Summary;
      readonly rehearsal: Rehearsal;
      readonly fields: readonly FieldChange[];
      readonly effects: Effects;
      /** Oldest first; absent: all would be accepted, or nobody asks. */
      readonly refusals?: readonly RefusedInPull[];
      /** Changed files that somebody owns, by path; absent: none. */
      readonly owned?: readonly OwnedChange[];
      /** Commit of the tracked branch that it was merged onto. */
      readonly base: string;
      readonly head: string;
      /** Names the state of the cluster that it was computed from: equal states, equal names. */
      readonly snapshot: string;
    }
  /** Nothing below the cluster's directory differs. */
  | {
      readonly kind: 'untouched';
      readonly base: string;
      readonly head: string;
      readonly refusals?: readonly RefusedInPull[];
    }
  /** It cannot be merged as it stands. Paths sorted. */
  | {
      readonly kind: 'conflict';
      readonly base: string;
      readonly head: string;
      readonly files: readonly string[];
    }
  /** It was not worked out: a limit, or Git; for people. */
  | {
      readonly kind: 'failed';
      readonly base: string;
      readonly head: string;
      readonly message: string;
    };
