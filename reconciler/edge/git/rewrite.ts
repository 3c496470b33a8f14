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
  /** The last refusal, so that a stopped branch is not walked again in every cycle. */
  let refused = '';
  return {
    check: async ({ head, synced, ledger }) => {
      const known = accepted ?? synced;
      if (known === null || known === head || (await isAhead(base, head, known))) {
        accepted = head;
        return;
      }
      const change = `${known.slice(0, 12)} is no longer in ${branch}, now ${head.slice(0, 12)}`;
      if (base.local) {
        log.warn({ branch, known, head }, `the branch was rewritten and is followed: ${change}`);
        accepted = head;
        return;
      }
      if (await isResumed(base, { head, known, ledger })) {
        log.info(
          { branch, known, head },
          `the branch was rewritten; resumed by a record: ${change}`,
        );
        accepted = head;
        return;
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
  const { folders } = base.store();
  const knownIsHere = await folders.has(known);
  const since = ledger.findLastIndex((record) => record.kind === 'synced');
  for (const [at, record] of ledger.entries()) {
    if (record.kind !== 'resume') continue;
    if (record.commit === head) return true;
    if (at < since) continue;
    const ahead = await contains(folders, [head, record.commit], ANCESTRY_COMMITS);
    if (ahead !== 'yes') continue;
    if (!knownIsHere) return true;
    if ((await contains(folders, [known, record.commit], ANCESTRY_COMMITS)) === 'no') return true;
  }
  return false;
};
