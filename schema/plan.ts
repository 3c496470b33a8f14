// What to do about the difference, and why: the value that plan makes, and that render, orders and
// the loop read.
// In: nothing. Out: types. Not here: how it is worked out (reconciler/plan).

import type { CommitRef, FileEdit } from './desired.ts';
import type { Evidence, LedgerRecord } from './ledger.ts';
import type { AllocationBody, StopImage, StopReason } from './orders.ts';
import type { Problem } from './problems.ts';
import type { Ms } from './spec.ts';

export type StartReason =
  | 'new' // no copy in the slot
  | 'rollout' // replaces a copy of another version
  | 'canary'
  | 'reschedule' // the slot's allocation is dead
  | 'node-lost'
  | 'drain'
  | 'moved'
  | 'fallback'; // a missing copy started at the settled version (rules 5.5)

export type Step =
  | {
      readonly kind: 'start';
      readonly node: string;
      readonly job: string;
      /** `<namespace>/<job>/<group>[<index>]`. */
      readonly slot: string;
      readonly allocation: string;
      readonly reason: StartReason;
      readonly body: AllocationBody;
      readonly after: readonly string[];
    }
  | {
      readonly kind: 'stop';
      readonly node: string;
      readonly job: string;
      readonly slot: string;
      readonly allocation: string;
      readonly reason: StopReason;
      readonly killTimeoutMs: Ms;
      /** As in the order: fetched first. */
      readonly images?: readonly StopImage[];
    }
  | {
      readonly kind: 'update';
      readonly node: string;
      readonly job: string;
      readonly slot: string;
      readonly allocation: string;
      /** Fields that changed, for people. */
      readonly changes: readonly string[];
      readonly body: AllocationBody;
    };

/** Why a node cannot take a copy. */
export type NodeReason =
  | 'not-heard-from'
  | 'unknown'
  | 'lost'
  | 'draining'
  | 'cpu'
  | 'memory'
  | 'port'
  | 'constraint'
  | 'volume-elsewhere'
  | 'copies'
  | 'behind';

/** A want that is not met, or a change that is not made, with the reason (invariant 7). */
export type Blocked =
  | {
      readonly kind: 'no-node';
      readonly job: string;
      readonly slot: string;
      /**
       * Counts add up to the number of nodes in Git; details name the shortfall or the constraint.
       */
      readonly nodes: readonly {
        readonly reason: NodeReason;
        readonly count: number;
        readonly detail: string;
      }[];
    }
  | {
      readonly kind: 'waiting';
      readonly job: string;
      /** Slot or null when the whole job waits. */
      readonly slot: string | null;
      readonly why: WaitReason;
      readonly detail: string;
      /** What to do about it, as a command or an edit; null when it heals by itself. */
      readonly remedy: string | null;
    };

export type WaitReason =
  | 'held'
  | 'unresolved-image'
  | 'image-fetch'
  | 'max-parallel'
  | 'max-deployments'
  | 'min-healthy-time'
  | 'canary'
  | 'paused'
  | 'stalled'
  | 'failed'
  | 'degraded'
  | 'reschedule-delay'
  | 'volume-home'
  | 'volume-node-lost'
  | 'volume-drain'
  | 'singleton'
  | 'guard'
  | 'mass-loss'
  | 'node-unknown'
  | 'node-unseen'
  | 'no-replacement-place'
  | 'quota'
  | 'rename'
  | 'ledger'
  | 'stopped-sync'
  | 'runner-ahead'
  | 'revert-impossible';

export type Proposal =
  | { readonly kind: 'ledger'; readonly records: readonly LedgerRecord[] }
  | {
      readonly kind: 'revert';
      readonly job: string;
      readonly deployment: string;
      /** The commit that introduced the failed version, and the one whose version comes back. */
      readonly reverts: CommitRef;
      readonly to: string;
      readonly edits: readonly FileEdit[];
      readonly evidence: Evidence;
      readonly message: string;
      readonly specHash: string;
    }
  /** The file of a count that is the machine's, where there is none yet (rules 7). */
  | {
      readonly kind: 'scale';
      readonly job: string;
      readonly edits: readonly FileEdit[];
      readonly message: string;
    };

export type DeploymentStatus =
  | 'settled'
  | 'rolling'
  | 'waiting' // for a place among max_deployments
  | 'paused'
  | 'canary' // healthy, waits for promotion
  | 'stalled'
  | 'blocked' // nothing can be placed
  | 'failed'
  | 'held'
  | 'degraded'
  | 'stopped';

/** Derived view of one job on its way to a version. */
export interface DeploymentView {
  readonly job: string;
  readonly deployment: string;
  readonly specHash: string;
  readonly commit: CommitRef;
  readonly status: DeploymentStatus;
  readonly isRollback: boolean;
  /** Of a rollback: the commit with which the version settled first, where it is known. */
  readonly sameAs?: string;
  readonly reason: string | null;
  readonly groups: readonly {
    readonly group: string;
    readonly wanted: number;
    /** Copies of the wanted version. */
    readonly updated: number;
    readonly healthy: number;
    /** Healthy copies of any version. */
    readonly healthyAny: number;
    readonly live: number;
  }[];
}

export interface Plan {
  readonly commit: string;
  /** Sorted by node, allocation. */
  readonly steps: readonly Step[];
  readonly blocked: readonly Blocked[];
  /** Images that nodes fetch before something there or elsewhere is stopped; sorted by node. */
  readonly fetches?: readonly { readonly node: string; readonly images: readonly StopImage[] }[];
  readonly proposals: readonly Proposal[];
  readonly deployments: readonly DeploymentView[];
  readonly problems: readonly Problem[];
  /**
   * Every slot that HEAD wants holds what it should and no removal waits (rules 8.1 last synced).
   */
  readonly synced: boolean;
  /** Removals that the guard holds back. */
  readonly guarded: readonly {
    readonly job: string;
    readonly slots: readonly string[];
    readonly why: string;
  }[];
  /** Nodes lost together whose copies nobody replaces until a person approves it (rules 9.1). */
  readonly massLoss?: readonly string[];
  /** Absolute, on the clock of `now`; null: nothing changes without new input. */
  readonly wakeAt: Ms | null;
}

/** Why a job whose file is gone is held (rules 8.1): its line in `guarded` says more. */
export const REMOVAL_WAITS = 'its removal waits for approval';

/** Something that must be true of any plan and is not. */
export interface Violation {
  readonly rule: string;
  readonly subject: string;
  readonly detail: string;
}
