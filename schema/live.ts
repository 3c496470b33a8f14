// What is: the value that observe makes of everything heard from the nodes.
// In: nothing. Out: types. Facts only: what a fact means needs Git too and is decided in
// reconciler/plan.

import type { AllocationBody, AllocationReport, NodeOrders, NodeReport } from './orders.ts';
import type { Ms, Resources } from './spec.ts';

/** What the reconciler's edge heard; instants are on its own monotonic clock. */
export interface Heard {
  readonly startedAt: Ms;
  readonly nodes: readonly HeardNode[];
}

export interface HeardNode {
  readonly node: string;
  readonly report: NodeReport;
  readonly receivedAt: Ms;
  /** A stream is open now. */
  readonly connected: boolean;
  /** The newest orders sent in this session, null before the first. */
  readonly sent: NodeOrders | null;
  /** Copies that were begun in this session by sets before that one, and that it leaves out. */
  readonly leftOut?: readonly LeftOut[];
  /**
   * By allocation: facts that an earlier report told, and that grew older since and did nothing
   * else. Absent: all facts are as new as the report.
   */
  readonly unchanged?: UnchangedFacts;
}

/** It may run until its runner has accepted a set that leaves it out (rules 10.1). */
export interface LeftOut {
  readonly body: AllocationBody;
  /** The first set without it, or with its stop. */
  readonly generation: number;
}

export type UnchangedFacts = ReadonlyMap<string, UnchangedFact>;

export interface UnchangedFact {
  readonly report: AllocationReport;
  /** The instant that its ages are of. */
  readonly receivedAt: Ms;
}

export interface LiveAllocation extends AllocationReport {
  readonly node: string;
  /** `ordered`: sent or accepted, not begun; the rest as reported. */
  readonly standing: 'ordered' | 'reported';
  /** A stop was ordered or the runner is stopping it. */
  readonly stopping: boolean;
}

export interface LiveNode {
  readonly name: string;
  readonly connected: boolean;
  /** Age of the last report. */
  readonly silentForMs: Ms;
  readonly capacity: Resources;
  readonly attributes: readonly (readonly [string, string])[];
  readonly address: string;
  readonly acceptedGeneration: number;
  readonly acceptedCommit: string;
  /** Highest generation sent or accepted. */
  readonly generation: number;
  /**
   * The set that the node has or will have: the newest sent, else null (then the accepted bodies of
   * its reports).
   */
  readonly sent: NodeOrders | null;
  /** Sorted by allocation. */
  readonly allocations: readonly LiveAllocation[];
  readonly portsTaken: readonly number[];
  readonly portHolders?: NodeReport['portHolders'];
  readonly foreign: number;
  readonly conditions: NodeReport['conditions'];
  /** Folders of named volumes that are there; absent: not known. */
  readonly volumes?: readonly string[];
  /** Of the images that it was told to fetch; absent: none. */
  readonly fetched?: NodeReport['fetched'];
}

export interface LiveState {
  /**
   * How long this reconciler has been up: silence counts from the later of this and the last report
   * (rules 9.1).
   */
  readonly upForMs: Ms;
  /** Sorted by name. */
  readonly nodes: readonly LiveNode[];
}
