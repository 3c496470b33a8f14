// Where the reconcilers of this node's cluster are, and the highest term of a leader that it has
// followed: both outlive the runner, in a small file.
// In: addresses that were given, what leaders say. Out: which one to dial, whom not to follow any
// more. Not here: dialling (link.ts), who leads (the reconcilers).

import { existsSync, readFileSync } from 'node:fs';
import writeFileAtomic from 'write-file-atomic';
import { TLS_SCHEME } from '../../schema/identity.ts';

export interface Places {
  /** The one to dial now: `unix:/path`, `host:port` or `tls:host:port`. */
  readonly now: () => string;
  readonly all: () => readonly string[];
  /** It did not answer, or does not lead: another one; `leader`: as it said, `host:port`. */
  readonly next: (leader: string) => void;
  /** 0: no leader had a term. */
  readonly followed: () => number;
  /**
   * A leader's welcome: whether it may be followed. Written down before it is; throws Error where
   * that cannot be done.
   */
  readonly follow: (welcome: Welcome) => boolean;
  /**
   * Where more reconcilers are, as one that does not lead says: `host:port` each. Written down too;
   * throws Error where that cannot be done.
   */
  readonly learn: (reconcilers: readonly string[]) => void;
}

interface Welcome {
  readonly term: number;
  /** `host:port`. */
  readonly reconcilers: readonly string[];
}

/** Three or five are usual, and some that are gone: these are tried last, and forgotten at last. */
const PLACES = 8;

const some = (places: readonly string[]): readonly string[] =>
  [...new Set(places)].slice(0, PLACES);

const NOBODY: Welcome = { term: 0, reconcilers: [] };

/** `given`: at least one; `file`: null where nothing is to outlive the runner. */
export const openPlaces = (given: readonly string[], file: string | null): Places => {
  let known = file === null ? NOBODY : read(file);
  // Who was dialled without a certificate tells of nobody that wants one.
  const isTls = given.every((address) => address.startsWith(TLS_SCHEME));
  let at = given[0] ?? '';
  const all = (): readonly string[] => {
    const told = isTls ? known.reconcilers.map((address) => `${TLS_SCHEME}${address}`) : [];
    return [...new Set([...given, ...told])];
  };
  const keep = (next: Welcome): void => {
    if (JSON.stringify(next) === JSON.stringify(known)) return;
    if (file !== null) writeFileAtomic.sync(file, `${JSON.stringify(next)}\n`);
    known = next;
  };
  return {
    now: () => at,
    all,
    next: (leader) => {
      const places = all();
      const named = `${TLS_SCHEME}${leader}`;
      // One that it names is believed once: a leader that is gone may be named for a while.
      if (isTls && leader !== '' && named !== at) at = named;
      else at = places[(places.indexOf(at) + 1) % places.length] ?? at;
    },
    followed: () => known.term,
    follow: ({ term, reconcilers }) => {
      if (term < known.term) return false;
      // Those that it does not name may only not have been heard of yet.
      keep({ term, reconcilers: some([...reconcilers, ...known.reconcilers]) });
      return true;
    },
    learn: (reconcilers) =>
      keep({ ...known, reconcilers: some([...known.reconcilers, ...reconcilers]) }),
  };
};

/** Throws Error where it cannot be read: an old leader would be followed. */
const read = (file: string): Welcome => {
  if (!existsSync(file)) return NOBODY;
  try {
    const { term, reconcilers } = { ...NOBODY, ...JSON.parse(readFileSync(file, 'utf8')) };
    if (!Number.isSafeInteger(term) || !Array.isArray(reconcilers)) throw new Error('another form');
    return { term, reconcilers: reconcilers.map(String) };
  } catch (error) {
    throw new Error(
      `${file} is damaged (${String(error)}): it says which reconciler this node followed. ` +
        'Remove it, once no reconciler that has led before is left running',
      { cause: error },
    );
  }
};
