// What the reconciler remembers on its own disk of a ledger: that it bore Purser's signature. In: a
// file beside the signing key, which repository it is. Out: yes or no. It lasts as long as the key
// does; without it the accepted commits say what must be signed (judgement). Not here: signatures.

import fs from 'node:fs';
import writeFileAtomic from 'write-file-atomic';
import { sha256 } from '../../../schema/hash.ts';
import type { LogPort } from '../../ports.ts';
import { messageOf } from './failure.ts';
import type { SigningKey } from './sshsig.ts';

export interface LedgerMark {
  readonly wasSigned: () => boolean;
  /** It bears the signature now. A disk that cannot be written forgets it, and says so once. */
  readonly keep: () => void;
}

/** Repositories of one key; the oldest are forgotten. */
const MARKS_KEPT = 100;

export interface MarkOptions {
  /** Cluster and repository. */
  readonly about: readonly string[];
  /** Our own: a ledger that another key signed bears no signature of this one. */
  readonly key: Pick<SigningKey, 'publicKey'>;
  readonly log: Pick<LogPort, 'warn'>;
}

export const createLedgerMark = (file: string, { about, key, log }: MarkOptions): LedgerMark => {
  const name = sha256([...about, key.publicKey.toString('base64')].join(' '));
  let kept = read(file).includes(name);
  return {
    wasSigned: () => kept,
    keep: () => {
      if (kept) return;
      kept = true;
      const names = [...read(file).filter((one) => one !== name), name].slice(-MARKS_KEPT);
      try {
        writeFileAtomic.sync(file, `${names.join('\n')}\n`, { mode: 0o600 });
      } catch (error) {
        // The accepted commits still say it, where they have a policy.
        log.warn(
          { file, error: messageOf(error) },
          'that the ledger is signed cannot be remembered beside the signing key: let this folder ' +
            'be written, or a ledger that is replaced as a whole may be taken after a restart',
        );
      }
    },
  };
};

const read = (file: string): readonly string[] => {
  try {
    return fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
};
