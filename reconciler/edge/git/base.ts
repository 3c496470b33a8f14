// Where commits come from and go to, as a type with two implementations: a repository on this
// machine (base-local) and a mirror of a remote (base-mirror). Not here: what is read from them
// (source, ledger-store).

import type { RefMove } from './refs.ts';
import type { Store } from './store.ts';

/** Full ref names. */
export interface RefNames {
  readonly branch: string;
  readonly ledger: string;
  readonly notes: string;
}

/** A ref of Purser's own, or a branch. */
export type LedgerPlace = 'ref' | 'branch';

/** The refs of a base; which of its two places the ledger has is found out and may change. */
export interface FollowedRefs extends RefNames {
  readonly place: () => LedgerPlace;
  readonly at: (place: LedgerPlace) => string;
  readonly move: (to: LedgerPlace) => void;
}

/** What the two refs stand at; null: they do not exist. */
export interface Tips {
  readonly branch: string | null;
  readonly ledger: string | null;
}

export const sameTips = (a: Tips, b: Tips): boolean =>
  a.branch === b.branch && a.ledger === b.ledger;

export interface Base {
  readonly local: boolean;
  /** For messages. */
  readonly name: string;
  readonly refs: FollowedRefs;
  /** The newest tips, with all their objects at hand. */
  readonly tips: () => Promise<Tips>;
  /** Asks the remote now, whatever was known; the same as `tips` for a local repository. */
  readonly refresh: () => Promise<Tips>;
  /** What another ref of the remote stands at now, with its objects at hand; null: nothing. */
  readonly follow: (ref: string) => Promise<string | null>;
  readonly store: () => Store;
  /** Runs a read; a mirror that lost objects is made anew and the read repeated once. */
  readonly attempt: <Value>(read: () => Promise<Value>) => Promise<Value>;
  /**
   * Moves a ref by compare-and-swap, at the remote where there is one. False: somebody was first.
   */
  readonly publish: (move: RefMove & { readonly from: string | null }) => Promise<boolean>;
  /** Calls back with what the refs were seen at; null: not known, look. */
  readonly watch: (wake: (tips: Tips | null) => void) => () => Promise<void>;
  readonly close: () => void;
}
