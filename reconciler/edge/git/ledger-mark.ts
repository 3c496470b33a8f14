// What the reconciler remembers on its own disk of a ledger: that it bore Purser's signature, and
// which commit of it was the newest. In: a file beside the signing key, which repository it is. Out:
// both. It lasts as long as the key does; without it the accepted commits say what must be signed
// (judgement), and nobody notices that the ledger is older than it was. Not here: signatures, what
// follows from it (ledger-replaced, ledger-back).

import fs from 'node:fs';
import writeFileAtomic from 'write-file-atomic';
import { sha256 } from '../../../schema/hash.ts';
import type { LogPort } from '../../ports.ts';
import { messageOf } from './failure.ts';
import type { SigningKey } from './sshsig.ts';

export interface LedgerMark {
  readonly wasSigned: () => boolean;
  /** The newest commit that counted; null: none is remembered. */
  readonly newest: () => string | null;
  /**
   * It bears the signature now, and this is the newest; null: it is gone, and begins anew. A disk
   * that cannot be written forgets it at the end, and says so once.
   */
  readonly keep: (commit: string | null) => void;
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
  const isOurs = (line: string): boolean => line.split(' ')[0] === name;
  const found = read(file).find(isOurs);
  let kept = found !== undefined;
  let newest = found?.split(' ')[1] ?? null;
  let isTold = false;
  return {
    wasSigned: () => kept,
    newest: () => newest,
    keep: (commit) => {
      if (kept && newest === commit) return;
      kept = true;
      newest = commit;
      const line = commit === null ? name : `${name} ${commit}`;
      const lines = [...read(file).filter((one) => !isOurs(one)), line].slice(-MARKS_KEPT);
      try {
        writeFileAtomic.sync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      } catch (error) {
        if (isTold) return;
        isTold = true;
        // The accepted commits still say that it must be signed, where they have a policy.
        log.warn(
          { file, error: messageOf(error) },
          'where the ledger stands cannot be remembered beside the signing key: let this folder be ' +
            'written, or a ledger that is replaced, or set back, may be taken after a restart',
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
