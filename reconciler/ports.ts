// What the loop needs from the world, as types: two implementations each, the real one in edge/ and
// the simulator's. Not here: any of them. An edge failure says what follows from it
// (EdgeFailure.consequence).

import type { FileEdit } from '../schema/desired.ts';
import type { LedgerRecord } from '../schema/ledger.ts';
import type { Heard } from '../schema/live.ts';
import type { NodeOrders } from '../schema/orders.ts';
import type { Asks, DigestAsk, LookupAnswer, SourceTree } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';

/**
 * `retry`: try again later; `stale`: look again, the world moved on; `broken`: a person must act.
 */
export type Consequence = 'retry' | 'stale' | 'broken';

export interface EdgeFailure {
  readonly kind: 'edge-failure';
  readonly consequence: Consequence;
  /** For people: what could not be done, why, what to do. */
  readonly message: string;
}

/** A commit that the machine wants to make (rules 12.2, 12.3). */
export interface CommitAsk {
  /** HEAD that it was computed from. */
  readonly head: string;
  readonly edits: readonly FileEdit[];
  /** Subject, body and trailers, complete. */
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
}

export interface SourcePort {
  /** The tree at the newest HEAD. Remembers by blob id; throws EdgeFailure. */
  readonly read: () => Promise<SourceTree>;
  /** The same tree with what was asked added. */
  readonly complete: (tree: SourceTree, asks: Asks) => Promise<SourceTree>;
  /** Appends records to the ledger and pushes it; resolves when the remote has them. */
  readonly record: (records: readonly LedgerRecord[]) => Promise<void>;
  /**
   * Makes the commit; returns its id. `stale` when somebody pushed first and the edits' bases
   * changed.
   */
  readonly commit: (ask: CommitAsk) => Promise<string>;
  /** Calls back whenever something may have changed. Carries no data. Returns the way to stop. */
  readonly watch: (wake: () => void) => () => Promise<void>;
}

export interface NodesPort {
  readonly heard: () => Heard;
  /** Sends the whole set; returns false when the node is not connected. */
  readonly send: (orders: NodeOrders) => boolean;
  readonly watch: (wake: () => void) => () => void;
}

export interface RegistryPort {
  /** Asks the registry which digest the tag has now. Never throws: failures are answers. */
  readonly resolve: (ask: DigestAsk) => Promise<LookupAnswer>;
}

export interface ClockPort {
  /** Monotonic milliseconds. */
  readonly now: () => Ms;
  /** Milliseconds since 1970, for the age of what people wrote; absent: nothing of it grows old. */
  readonly epochMs?: () => number;
  readonly sleepUntil: (at: Ms, signal: AbortSignal) => Promise<void>;
  /** Lets what has arrived be taken in, reports and calls, before or between steps of long work. */
  readonly pause?: () => Promise<void>;
}

export interface LogPort {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

export interface ReconcilerPorts {
  readonly source: SourcePort;
  readonly nodes: NodesPort;
  readonly registry: RegistryPort;
  readonly clock: ClockPort;
  readonly log: LogPort;
}
