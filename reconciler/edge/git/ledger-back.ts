// A ledger that was set back to an older commit bears Purser's signature like the newest one. The
// reconciler's disk knows which it wrote last: what does not contain that counts for nothing. In: the
// newest commit that is signed. Out: nothing, or a failure with the way on. With the disk lost nobody
// knows. Not here: ledgers without any signed commit (ledger-replaced).

import type { Base } from './base.ts';
import { broken } from './failure.ts';
import type { LedgerMark } from './ledger-mark.ts';
import { ANCESTRY_COMMITS } from './limits.ts';
import { contains } from './line.ts';

export interface BackGuard {
  /** Throws GitFailure (`broken`). null: there is no ledger, and one may begin. */
  readonly check: (counted: string | null) => Promise<void>;
  /** It is the newest from now on. */
  readonly keep: (commit: string) => void;
  /** The same by a person's word, where the ledger stands there. Throws GitFailure. */
  readonly accept: (commit: string) => Promise<void>;
}

export const createBackGuard = (base: Base, mark: LedgerMark | undefined): BackGuard => {
  /** Looked at last, and found to be older: a chain is not walked again in each cycle. */
  let older = '';
  return {
    check: async (counted) => {
      const newest = mark?.newest() ?? null;
      if (mark === undefined || newest === null || newest === counted) return;
      if (counted === null) return mark.keep(null);
      const pair = `${counted} ${newest}`;
      if (older !== pair) {
        const { ledgerFolders } = base.store();
        const walk = [counted, newest] as const;
        if ((await contains(ledgerFolders, walk, ANCESTRY_COMMITS)) === 'yes') return;
      }
      older = pair;
      throw broken(backWords(base, { counted, newest }));
    },
    keep: (commit) => mark?.keep(commit),
    accept: async (commit) => {
      const { ledger } = await base.refresh();
      if (ledger !== commit) throw broken(otherWords(base, ledger));
      mark?.keep(commit);
    },
  };
};

const backWords = (
  { name, refs, local }: Base,
  { counted, newest }: { readonly counted: string; readonly newest: string },
): string => {
  const { ledger } = refs;
  const back = local
    ? `git update-ref ${ledger} ${newest}`
    : `git push --force REMOTE ${newest}:${ledger}, from a clone that has it`;
  return (
    `${name}: the ledger ${ledger} was set back: it stands at ${counted.slice(0, 12)} and lacks ` +
    `${newest.slice(0, 12)}, which Purser wrote last. Nothing is done. Put it back (${back}); or, ` +
    `if what it lacks may be lost, go on from there: \`purser resume --ledger ${counted}\``
  );
};

const otherWords = ({ name, refs }: Base, at: string | null): string =>
  at === null
    ? `${name} has no ledger ${refs.ledger}: there is nothing to go on from`
    : `${name}: the ledger ${refs.ledger} stands at ${at}: name that commit`;
