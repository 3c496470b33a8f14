// What keeps a file's newest content from counting, in a sentence: the same in status and checks.
// In: a held file. Out: words. Not here: which files are held (reconciler/desired).

import { ownedName } from './behind.ts';
import type { HeldFile } from './ledger.ts';

/** `shop/web waits for an approval of @shop/team (commit 1a2b3c4d5e6f by mallory); …` */
export const heldWords = ({ path, commit, owners, by, accepted, why }: HeldFile): string => {
  const name = ownedName(path);
  const short = commit.slice(0, 12);
  const before = accepted === null ? 'until then it does not exist' : 'what was before counts';
  if (by === '') {
    const known = why === undefined ? '' : `. Not known, because ${why}`;
    return `${name} waits until it is known who approved commit ${short}; ${before}${known}`;
  }
  return `${name} waits for an approval of ${owners.join(' or ')} (commit ${short} by ${by}); ${before}`;
};
