// What keeps a file's newest content from counting, or lets it count without proof, in a sentence:
// the same in status, explain and checks.
// In: a file. Out: words. Not here: which files these are (reconciler/desired).

import { ownedName } from './behind.ts';
import type { HeldFile, UnprovenFile } from './ledger.ts';

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

/** `shop/web counts as ada@example.org's own by the address in commit 1a2b…, which is not proof` */
export const unprovenWords = ({ path, commit, by }: UnprovenFile): string =>
  `${ownedName(path)} counts as ${by}'s own by the address in commit ${commit.slice(0, 12)}, ` +
  'which is not proof: a verified signature would be';
