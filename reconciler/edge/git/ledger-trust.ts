// Which commits of the ledger are Purser's. In: the ledger's tip, and whose keys are Purser's. Out:
// the newest commit that counts, and those on top of it that do not. What was written before the
// first commit of a known key counts, whoever wrote it: nobody had a key then. From there on an
// unsigned commit is as foreign as one of another key. Not here: reading records (ledger-store).

import { isPurserKey, type SignaturePolicy } from '../../../schema/acceptance.ts';
import { refusalWords, type RefusalReason } from '../../../schema/refusal.ts';
import type { ForeignRecords } from '../../../schema/source.ts';
import type { LogPort } from '../../ports.ts';
import type { Base } from './base.ts';
import { LostObject } from './failure.ts';
import type { Commit } from './format.ts';
import { COMMIT_BYTES, FOREIGN_KEPT, LEDGER_COMMITS, REMEMBERED_COMMITS } from './limits.ts';
import { NO_POLICY } from './policy.ts';
import { fingerprintOf } from './sshsig.ts';
import { createMemory } from './remember.ts';
import { checkCommit } from './verify.ts';

export interface LedgerTrust {
  /** `policy`: of the newest accepted commit, which may list more keys; null: not known yet. */
  readonly counted: (tip: string | null, policy: SignaturePolicy | null) => Promise<string | null>;
  /** A commit of a known key was seen in it since the start. */
  readonly isSigned: () => boolean;
  /** Seen since the start, newest first. */
  readonly foreign: () => readonly ForeignRecords[];
}

export interface LedgerTrustOptions {
  readonly base: Base;
  /** Base64 of our own public key; null: there is none. */
  readonly ownKey: string | null;
  readonly log: LogPort;
}

export const createLedgerTrust = ({ base, ownKey, log }: LedgerTrustOptions): LedgerTrust => {
  const signers = createMemory<string | RefusalReason>(REMEMBERED_COMMITS);
  let ours: string | null = null;
  let foreign: readonly ForeignRecords[] = [];

  const isOurs = (key: string, policy: SignaturePolicy | null): boolean =>
    key === ownKey || (policy !== null && isPurserKey(policy, key));

  /** The key that signed it, or why none did. */
  const signerOf = async (oid: string): Promise<string | RefusalReason> => {
    const known = signers.get(oid);
    if (known !== undefined) return known;
    const object = await base.store().objects.read(oid, COMMIT_BYTES);
    if (object === null) throw new LostObject(oid);
    const signer = await signerIn(object.data);
    signers.set(oid, signer);
    return signer;
  };

  const note = (above: readonly ForeignRecords[]): void => {
    const known = new Set(foreign.map(({ commit }) => commit));
    const news = above.filter(({ commit }) => !known.has(commit));
    if (news.length === 0) return;
    foreign = [...news, ...foreign].slice(0, FOREIGN_KEPT);
    for (const { commit, author, reason } of news.slice(0, FOREIGN_KEPT)) {
      const why = refusalWords(reason);
      log.warn({ commit, author, why }, "records in the ledger are not Purser's: they are ignored");
    }
  };

  return {
    counted: async (tip, policy) => {
      if (tip === null || (ownKey === null && !listsPurser(policy))) return tip;
      const { ledgerFolders } = base.store();
      const above: ForeignRecords[] = [];
      let next: string | null = tip;
      while (next !== null && above.length < LEDGER_COMMITS) {
        const signer = await signerOf(next);
        if (typeof signer === 'string' && isOurs(signer, policy)) {
          ours = next;
          note(above);
          return next;
        }
        const { author, parent }: Commit = await ledgerFolders.commit(next);
        above.push({ commit: next, author, reason: reasonOf(signer) });
        next = parent;
      }
      // No commit of a known key at all: written before there was one, unless we know better.
      if (ours === null) return tip;
      note(above);
      return ours;
    },
    isSigned: () => ours !== null,
    foreign: () => foreign,
  };
};

/** null: too large to be read. */
const signerIn = async (data: Buffer | null): Promise<string | RefusalReason> => {
  if (data === null) return { kind: 'unreadable', key: null, detail: 'the commit is too large' };
  const asked = { signers: NO_POLICY.signers, notBefore: 0 };
  const { signature } = await checkCommit(data, asked);
  if (signature.kind === 'none') return { kind: 'unsigned' };
  if (signature.kind === 'bad') return { ...signature, kind: signature.why };
  return signature.key;
};

const reasonOf = (signer: string | RefusalReason): RefusalReason =>
  typeof signer === 'string'
    ? { kind: 'unknown-key', key: fingerprintOf(Buffer.from(signer, 'base64')), detail: null }
    : signer;

/** Whether a commit names a key of Purser's. */
export const listsPurser = (policy: SignaturePolicy | null): boolean =>
  policy !== null && policy.signers.ssh.some((one) => isPurserKey(policy, one.key));
