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
  /** Jobs whose files ada and bob own. */
  readonly owned: readonly string[];
}

export const NO_POLICY: Policy = { verify: 'none', listed: [], owned: [] };

/** cluster.yaml, and the list of signers where there is one. */
export const policyFiles = ({
  verify,
  listed,
  owned,
}: Policy): readonly (readonly [string, string])[] => [
  [
    'cluster.yaml',
    [
      CLUSTER_FILE,
      ...(verify === 'none' ? [] : [`signatures: { verify: ${verify} }\n`]),
      ...(owned.length === 0 ? [] : [`owners: |\n${owned.map(ruleOf).join('')}`]),
    ].join(''),
  ],
  ...(listed.length === 0
    ? []
    : [['signers/allowed_signers', listed.map(lineOf).join('')] as const]),
];

export const OWNERS = ['ada', 'bob'] as const;

const ruleOf = (job: string): string => `  jobs/${job}.yaml @ada @bob\n`;

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
  readonly written: { readonly policy: Policy };
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
    const { policy }: { readonly policy: Policy } = counts.written;
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

export type Person = 'ada' | 'bob' | 'eve';

/** Who wrote a commit, and who had approved it when it came. */
export interface Makers {
  readonly author: Person | 'machine';
  readonly approvals: readonly Person[];
}

interface Owned {
  readonly makers: Makers;
  readonly written: { readonly policy: Policy };
  /** Job → what stands in its file; none: there is no file. */
  readonly blobs: ReadonlyMap<string, string>;
  /** Jobs of which no owner has let through what stands there → what counts in its place. */
  readonly held: ReadonlyMap<string, string | null>;
}

/** Who approved which content of a job's file, whichever commit brings it: `contentOf` → persons. */
export type Given = ReadonlyMap<string, readonly Person[]>;

export const contentOf = (job: string, blob: string | null): string => `${job} ${blob}`;

/** An owner approves who did not write it; the machine only takes back and counts. */
const isLetThrough = ({ author, approvals }: Makers, given: readonly Person[]): boolean =>
  author === 'machine' || [...approvals, ...given].some((one) => one !== author && one !== 'eve');

/** What is held after one commit more, by the rules before it. */
export const heldAfter = (
  before: Owned,
  one: Omit<Owned, 'held'>,
  given: Given,
): ReadonlyMap<string, string | null> => {
  const held = new Map(before.held);
  for (const job of new Set([...before.blobs.keys(), ...one.blobs.keys()])) {
    const [was, is] = [before.blobs.get(job) ?? null, one.blobs.get(job) ?? null];
    if (was === is) continue;
    const counts = held.has(job) ? (held.get(job) ?? null) : was;
    held.delete(job);
    const isOwned = before.written.policy.owned.includes(job);
    const by = given.get(contentOf(job, is)) ?? [];
    if (isOwned && is !== counts && !isLetThrough(one.makers, by)) held.set(job, counts);
  }
  for (const job of held.keys()) if (!one.written.policy.owned.includes(job)) held.delete(job);
  return held;
};
