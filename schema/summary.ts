// A preview as data for people and programs: what `purser plan --json` and a pull request show.
// In: nothing. Out: types. Not here: how it is made (reconciler/render/summary), words.

import type { Blocked, NodeReason, Plan, Step } from './plan.ts';
import type { Problem } from './problems.ts';
import type { Resources } from './spec.ts';

/** Lines of the fields that nodes refuse a copy for, by reason; none where nothing is written. */
export type FieldLines = { readonly [Reason in NodeReason]?: number };

/** What one job goes through. */
export interface JobChange {
  readonly job: string;
  readonly file: string;
  readonly kind: 'new' | 'removed' | 'changed';
  /** Versions; null: there is none. */
  readonly from: string | null;
  readonly to: string | null;
  /** Images that differ: as written before and after, null where there is none. */
  readonly images: readonly {
    readonly task: string;
    readonly from: string | null;
    readonly to: string | null;
  }[];
  readonly copies: { readonly from: number; readonly to: number };
  /** Copies on each node after the last wave. */
  readonly nodes: readonly { readonly node: string; readonly copies: number }[];
  /** Waves in which something of the job happens. */
  readonly waves: number;
  /**
   * Copies that run and are missing at the same time at most, of those that are wanted before and
   * after.
   */
  readonly downAtMost: number;
  /** Steps by kind. */
  readonly starts: number;
  readonly stops: number;
  readonly updates: number;
}

/** Equal steps of one wave as one. */
export interface StepGroup {
  readonly kind: Step['kind'];
  readonly job: string;
  readonly group: string;
  readonly reason: string;
  readonly indexes: readonly number[];
  readonly nodes: readonly string[];
  readonly changes: readonly string[];
}

/** Waves in a row that do the same to other copies. */
export interface WaveGroup {
  readonly first: number;
  readonly last: number;
  readonly steps: readonly StepGroup[];
}

export interface Summary {
  readonly jobs: readonly JobChange[];
  readonly waves: readonly WaveGroup[];
  /** Wants that are not met after the last wave, which the change causes. */
  readonly blocked: readonly Blocked[];
  /** Problems that the change brings in. */
  readonly problems: readonly Problem[];
  /** Removals that would wait for approval. */
  readonly guarded: Plan['guarded'];
  readonly pending: {
    /** Steps that follow without the change too. */
    readonly steps: number;
    readonly blocked: readonly Blocked[];
    readonly problems: readonly Problem[];
  };
  readonly capacity: {
    readonly before: Resources;
    readonly after: Resources;
    /** Of the nodes that are connected. */
    readonly total: Resources;
  };
  readonly assumed: readonly string[];
  /** Where the groups of `blocked` are written. By job, group; absent: not known. */
  readonly places?: readonly {
    readonly job: string;
    readonly group: string;
    /** As in a problem: relative to the cluster's directory, from line 1. */
    readonly file: string;
    readonly line: number;
    readonly wanted: number;
    /** Of the fields that a copy found no node for; absent: not looked for. */
    readonly lines?: FieldLines;
  }[];
  /** Of namespaces with a quota that the change touches, by name; absent: none. */
  readonly quotas?: readonly {
    readonly namespace: string;
    readonly before: Resources;
    readonly after: Resources;
    readonly quota: Resources;
  }[];
  /** HEAD may not be acted on, and why; null: it may. */
  readonly stopped: string | null;
}
