// What the simulated people mean by a policy of signatures: the files that they write for it, and
// which of their commits it lets through.
// In: drafts. Out: texts of files; the newest commit that counts. It is told in another way than in
// schema/acceptance: from the first commit on, of names, and without keys. Not here: when people
// change it (signing.ts).

import type { Verify } from '../../schema/acceptance.ts';
import { CLUSTER_FILE } from './drafts.ts';

/** eve is nobody, until somebody lists her. */
export const SIGNERS = ['ada', 'bob', 'eve', 'purser', 'web-flow'] as const;

export type Signer = (typeof SIGNERS)[number];

/** How a commit came to be. */
export interface Signed {
  /** null: nobody signed it. */
  readonly by: Signer | null;
  /** A merge that a host made at a button. */
  readonly merge: {
    /** Who signed the commits that it brings in, the newest first. */
    readonly brought: readonly (Signer | null)[];
    readonly isExact: boolean;
  } | null;
}

export const UNSIGNED: Signed = { by: null, merge: null };

export interface Policy {
  readonly verify: Verify;
  readonly listed: readonly Signer[];
}

export const NO_POLICY: Policy = { verify: 'none', listed: [] };

/** cluster.yaml, and the list of signers where there is one. */
export const policyFiles = ({ verify, listed }: Policy): readonly (readonly [string, string])[] => [
  [
    'cluster.yaml',
    verify === 'none' ? CLUSTER_FILE : `${CLUSTER_FILE}signatures: { verify: ${verify} }\n`,
  ],
  ...(listed.length === 0
    ? []
    : [['signers/allowed_signers', listed.map(lineOf).join('')] as const]),
];

const lineOf = (signer: Signer): string =>
  `${signer} namespaces="git" ssh-ed25519 ${keyOf(signer)}\n`;

const KEY_CHARACTERS = 44;

/** What stands for the key: as long as one, and of its letters. */
export const keyOf = (signer: Signer): string =>
  signer.replaceAll('-', '').padEnd(KEY_CHARACTERS, '0');

/** One commit of a line, as people meant it. */
interface Linked<L> {
  readonly oid: string;
  readonly signed: Signed;
  readonly intent: { readonly policy: Policy };
  readonly before: L | null;
}

/**
 * The newest commit of the line that counts: each is judged by the newest one before it that does.
 * The first counts, since nobody was there before it, and what a person resumed at counts.
 */
export const newestThatCounts = <L extends Linked<L>>(head: L, resumed: ReadonlySet<string>): L => {
  const line: L[] = [];
  for (let at: L | null = head; at !== null; at = at.before) line.unshift(at);
  let counts: L = line[0] ?? head;
  let isBlocked = false;
  for (const one of line.slice(1)) {
    const { policy }: { readonly policy: Policy } = counts.intent;
    const isGood: boolean =
      isSignedWell(one.signed, policy) && !(isBlocked && policy.verify === 'strict');
    isBlocked = !isGood && !resumed.has(one.oid);
    if (!isBlocked) counts = one;
  }
  return counts;
};

const isSignedWell = ({ by, merge }: Signed, { verify, listed }: Policy): boolean => {
  if (verify === 'none') return true;
  if (by === null || !listed.includes(by)) return false;
  if (by !== 'web-flow') return true;
  if (merge === null || !merge.isExact) return false;
  const asked = verify === 'strict' ? merge.brought : merge.brought.slice(0, 1);
  // A host's signature says no more than that somebody pressed a button.
  return asked.every((one) => one !== null && one !== 'web-flow' && listed.includes(one));
};
