// A rewritten branch (rules 12.1): a remote's stops the syncing until a `resume` record names where
// to go on; a local one is followed, with a warning. In: the new HEAD, what was synced, the ledger.
// Out: nothing, or a failure. Not here: writing the record (`purser resume`), comparing nodes'
// accepted commits (the loop).

import type { Ledger } from '../../../schema/ledger.ts';
import type { LogPort } from '../../ports.ts';
import type { Base } from './base.ts';
import { RefusedHead } from './failure.ts';
import { ANCESTRY_COMMITS, LOCAL_ANCESTRY_COMMITS } from './limits.ts';
import { contains } from './line.ts';

export interface RewriteGuard {
  /** Throws RefusedHead naming the command. */
  readonly check: (heads: Heads) => Promise<void>;
}

export interface Heads {
  readonly head: string;
  /**
   * The newest commit that the ledger calls synced: known also to a reconciler that just started.
   */
  readonly synced: string | null;
  readonly ledger: Ledger;
}

export const createRewriteGuard = (options: {
  readonly base: Base;
  readonly branch: string;
  readonly log: LogPort;
}): RewriteGuard => {
  const { base, branch, log } = options;
  /** The last HEAD that was accepted in this session. */
  let accepted: string | null = null;
  /** What the ledger called synced then. */
  let syncedThen: string | null = null;
  /** The last refusal, so that a stopped branch is not walked again in every cycle. */
  let refused = '';
  return {
    check: async ({ head, synced, ledger }) => {
      const known = accepted ?? synced;
      const accept = (): void => {
        accepted = head;
        syncedThen = synced;
      };
      if (known === null || known === head || (await isAhead(base, head, known))) return accept();
      const change = `${known.slice(0, 12)} is no longer in ${branch}, now ${head.slice(0, 12)}`;
      if (base.local) {
        log.warn({ branch, known, head }, `the branch was rewritten and is followed: ${change}`);
        return accept();
      }
      const isNews = accepted !== null && synced !== null && synced !== syncedThen;
      if (isNews && (await isOnlyIn(base, synced, { head, known }))) {
        log.info(
          { branch, known, head },
          `the branch was rewritten; another follows it: ${change}`,
        );
        return accept();
      }
      if (await isResumed(base, { head, known, ledger })) {
        log.info(
          { branch, known, head },
          `the branch was rewritten; resumed by a record: ${change}`,
        );
        return accept();
      }
      if (refused !== head)
        log.warn({ branch, known, head }, `the branch was rewritten: ${change}`);
      refused = head;
      throw new RefusedHead(
        head,
        `${base.name}: the branch was rewritten: ${change}. Nothing is synced until somebody who ` +
          `has looked at it runs \`purser resume --at ${head}\``,
      );
    },
  };
};

/**
 * Locally a long walk delays a plan for the sake of a warning: it is cut, and the doubt is in the
 * user's favour.
 */
const isAhead = async (base: Base, head: string, known: string): Promise<boolean> => {
  const { folders } = base.store();
  if (!(await folders.has(known))) return false;
  const limit = base.local ? LOCAL_ANCESTRY_COMMITS : ANCESTRY_COMMITS;
  const answer = await contains(folders, [head, known], limit);
  return answer === 'yes' || (answer === 'unknown' && base.local);
};

/**
 * Another reconciler has called a commit of the new line synced, which it does not before a person
 * resumed there: whoever saw the record of that too late, behind this one, goes on as well.
 */
const isOnlyIn = async (
  base: Base,
  commit: string,
  { head, known }: { readonly head: string; readonly known: string },
): Promise<boolean> => {
  const { folders } = base.store();
  if ((await contains(folders, [head, commit], ANCESTRY_COMMITS)) !== 'yes') return false;
  if (!(await folders.has(known))) return true;
  return (await contains(folders, [known, commit], ANCESTRY_COMMITS)) === 'no';
};

/**
 * A record counts for HEADs that contain its commit. It must be of this rewrite, not of an earlier
 * one: written after the newest `synced` record, and naming a commit that the old line did not
 * have.
 */
const isResumed = async (
  base: Base,
  {
    head,
    known,
    ledger,
  }: { readonly head: string; readonly known: string; readonly ledger: Ledger },
): Promise<boolean> => {
  const since = ledger.findLastIndex((record) => record.kind === 'synced');
  for (const [at, record] of ledger.entries()) {
    if (record.kind !== 'resume') continue;
    if (record.commit === head) return true;
    if (at >= since && (await isOnlyIn(base, record.commit, { head, known }))) return true;
  }
  return false;
};
