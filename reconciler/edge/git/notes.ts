// Notes on commits of the branch, on a ref of their own: `git log --notes=purser/shop` shows them
// with any Git host. In: a commit and a text. Out: the note is at the remote, by the same
// compare-and-swap as the ledger. What stands in the note is handed to who writes it; notes of others
// are kept. Not here: what is said (render/note), when (../../notes).

import type { Base } from './base.ts';
import type { SignCommit } from './build.ts';
import { buildCommit, buildTree } from './build.ts';
import { retry } from './failure.ts';
import type { Identity } from './format.ts';
import { NOTE_BYTES, PUSH_ATTEMPTS } from './limits.ts';
import { entryAt } from './entry.ts';

export interface NotesOptions {
  readonly base: Base;
  /** `refs/notes/purser/<cluster>`. */
  readonly ref: string;
  /** False: the host takes heads and tags only, and nothing is written. */
  readonly areTaken: () => boolean;
  readonly by: () => Identity;
  readonly sign: SignCommit | null;
}

export interface Notes {
  /** False: the host takes heads and tags only, and nothing is written. */
  readonly areTaken: () => boolean;
  /**
   * What the note becomes of what it is; again with what somebody else wrote meanwhile. null: it is
   * left as it is. Throws GitFailure.
   */
  readonly update: (
    commit: string,
    make: (before: string | null) => string | null,
  ) => Promise<void>;
  /** null: there is none. */
  readonly read: (commit: string) => Promise<string | null>;
}

export const createNotes = ({ base, ref, areTaken, by, sign }: NotesOptions): Notes => {
  /** undefined: not asked yet. */
  let tip: string | null | undefined;
  const known = async (): Promise<string | null> => {
    if (tip === undefined) tip = await base.follow(ref);
    return tip;
  };
  const update: Notes['update'] = async (commit, make) => {
    for (let attempt = 0; attempt < PUSH_ATTEMPTS; attempt += 1) {
      const from = await known();
      const before = await read(commit);
      const text = make(before);
      if (text === null || text === before) return;
      const { folders, objects } = base.store();
      const tree = from === null ? null : (await folders.commit(from)).tree;
      const content = cut(text, NOTE_BYTES + Buffer.byteLength(before ?? ''));
      const built = await buildTree(folders, tree, new Map([[await placeOf(commit), content]]));
      if (built.tree === tree) return;
      const identity = by();
      const message = `Notes on ${commit.slice(0, 12)}`;
      const parents = from === null ? [] : [from];
      const made = buildCommit(built, { parents, by: identity, message, sign });
      await objects.write(made.objects);
      const { epochSeconds } = identity;
      const move = { ref, to: made.oid, from, note: 'purser: notes', by: identity, epochSeconds };
      if (await base.publish(move)) {
        tip = made.oid;
        return;
      }
      tip = undefined;
    }
    throw retry(
      `${base.name}: ${ref} was written by somebody else ${PUSH_ATTEMPTS} times in a row`,
    );
  };
  /** Where the note of a commit stands: as found, else in a folder by its first two characters. */
  const placeOf = async (commit: string): Promise<string> => {
    const at = await known();
    const [usual, ...others] = placesOf(commit);
    if (at === null) return usual;
    const { folders } = base.store();
    const { tree } = await folders.commit(at);
    for (const place of [usual, ...others]) {
      if ((await entryAt(folders, tree, place)) !== null) return place;
    }
    return usual;
  };
  const read = async (commit: string): Promise<string | null> => {
    const at = await known();
    if (at === null) return null;
    const { folders } = base.store();
    const entry = await entryAt(folders, (await folders.commit(at)).tree, await placeOf(commit));
    const file = entry === null ? null : await folders.file(entry);
    return file?.kind === 'text' ? file.text : null;
  };
  // A mirror that is made anew has lost the ref: it is asked for again.
  const again = async <Value>(act: () => Promise<Value>): Promise<Value> => {
    try {
      return await base.attempt(act);
    } catch (error) {
      tip = undefined;
      throw error;
    }
  };
  return {
    areTaken,
    update: (commit, make) => (areTaken() ? again(() => update(commit, make)) : Promise.resolve()),
    read: (commit) => again(() => read(commit)),
  };
};

/** Git writes notes in none, one or two folders, as many as there are, and reads them in any. */
const placesOf = (commit: string): readonly [string, string, string] => {
  const [first, second] = [commit.slice(0, 2), commit.slice(2, 4)];
  return [`${first}/${commit.slice(2)}`, commit, `${first}/${second}/${commit.slice(4)}`];
};

/** Words of people may be longer; what is added to them is not. */
const cut = (text: string, most: number): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  const lines = bytes
    .subarray(0, most - CUT.length)
    .toString('utf8')
    .split('\n');
  return [...lines.slice(0, -1), CUT, ''].join('\n');
};

const CUT = '  … and more';
