// What the reconciler remembers on its own disk of a ledger: that it bore Purser's signature. In: a
// file beside the signing key, which repository it is. Out: yes or no. It lasts as long as the key
// does; without it the accepted commits say what must be signed (judgement). Not here: signatures.

import fs from 'node:fs';
import writeFileAtomic from 'write-file-atomic';
import { sha256 } from '../../../schema/hash.ts';

export interface LedgerMark {
  readonly wasSigned: () => boolean;
  /** It bears the signature now. A disk that cannot be written forgets it. */
  readonly keep: () => void;
}

/** Repositories of one key; the oldest are forgotten. */
const MARKS_KEPT = 100;

/** `about`: cluster and repository. */
export const createLedgerMark = (file: string, about: readonly string[]): LedgerMark => {
  const name = sha256(about.join(' '));
  let kept = read(file).includes(name);
  return {
    wasSigned: () => kept,
    keep: () => {
      if (kept) return;
      kept = true;
      const names = [...read(file).filter((one) => one !== name), name].slice(-MARKS_KEPT);
      try {
        writeFileAtomic.sync(file, `${names.join('\n')}\n`, { mode: 0o600 });
      } catch {
        // The accepted commits still say it.
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
