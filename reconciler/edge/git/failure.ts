// The edge failure of Git (style 10): what could not be done, why, and what follows from it.
// In: words. Out: an error that the loop catches.
// Not here: deciding to try again (the loop does).

import type { SignaturePolicy } from '../../../schema/acceptance.ts';
import type { Consequence, EdgeFailure } from '../../ports.ts';

export class GitFailure extends Error implements EdgeFailure {
  readonly kind = 'edge-failure';
  readonly consequence: Consequence;
  constructor(consequence: Consequence, message: string) {
    super(message);
    this.name = 'GitFailure';
    this.consequence = consequence;
  }
}

/**
 * An object that must be there is not: a mirror answers by cloning anew, a person's repository is
 * damaged.
 */
export class LostObject extends GitFailure {
  constructor(oid: string) {
    super('broken', `object ${oid} is missing from the repository. Run: git fsck`);
  }
}

/** The branch stands at a commit that is not followed: a person must act. */
export class RefusedHead extends GitFailure {
  readonly refused: string;
  /** By which it was refused; null: it was rewritten. */
  readonly policy: SignaturePolicy | null;
  constructor(commit: string, message: string, policy: SignaturePolicy | null = null) {
    super('broken', message);
    this.refused = commit;
    this.policy = policy;
  }
}

/** Try again later. */
export const retry = (message: string): GitFailure => new GitFailure('retry', message);
/** Look again, the world moved on. */
export const stale = (message: string): GitFailure => new GitFailure('stale', message);
/** A person must act. */
export const broken = (message: string): GitFailure => new GitFailure('broken', message);

/**
 * Takes user names and passwords out of every URL in a text, and the given secrets wherever they
 * stand.
 */
export const redact = (text: string, secrets: readonly string[] = []): string => {
  let clean = text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1***@');
  for (const secret of secrets) {
    if (secret.length >= SHORTEST_SECRET) clean = clean.replaceAll(secret, '***');
  }
  return clean;
};

/** Shorter ones would blank out ordinary words. */
const SHORTEST_SECRET = 4;

/** The text of whatever was thrown. */
export const messageOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : String(error);

/** `ENOENT` and its like; null where the error carries none. */
export const codeOf = (error: unknown): string | null => {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
};
