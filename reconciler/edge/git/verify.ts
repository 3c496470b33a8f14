// One commit's signature, checked: SSH or OpenPGP. In: the bytes of a commit, and whose keys are
// listed. Out: what the bytes prove. What cannot be read is a fact too, with words. Not here:
// whether that is enough (schema/acceptance.ts).

import type { SignatureFact } from '../../../schema/acceptance.ts';
import type { Signers } from '../../../schema/signers.ts';
import { SIGNATURE_BYTES } from './limits.ts';
import { checkOpenPgp, isOpenPgpSignature } from './openpgp.ts';
import { splitCommit } from './signed-commit.ts';
import { checkSshSignature, isSshSignature } from './sshsig.ts';

export interface CheckedCommit {
  readonly signature: SignatureFact;
  /** Seconds since 1970, as the committer wrote them. */
  readonly committedAt: number;
}

/** `notBefore`: seconds since 1970; an OpenPGP key must be valid then, or later. */
export const checkCommit = async (
  data: Buffer,
  { signers, notBefore }: { readonly signers: Signers; readonly notBefore: number },
): Promise<CheckedCommit> => {
  const { signature: armored, payload, signatures, committedAt } = splitCommit(data);
  const unreadable = (detail: string): CheckedCommit => ({
    signature: { kind: 'bad', why: 'unreadable', key: null, detail },
    committedAt,
  });
  if (armored === null) return { signature: { kind: 'none' }, committedAt };
  if (signatures > 1) return unreadable(`it carries ${signatures} signatures, and one may`);
  if (armored.length > SIGNATURE_BYTES) {
    return unreadable(`it is larger than ${SIGNATURE_BYTES / 1024} KiB`);
  }
  if (isSshSignature(armored)) {
    return { signature: checkSshSignature(armored, payload), committedAt };
  }
  if (!isOpenPgpSignature(armored)) return unreadable('it is neither of SSH nor of OpenPGP');
  const at = Math.max(committedAt, notBefore);
  const signature = await checkOpenPgp({ armored, payload, signers: signers.openpgp, at });
  return { signature, committedAt };
};
