// Notes on commits of the branch, on a ref of their own: `git log --notes=purser/shop` shows them
// with any Git host. In: a commit and a text. Out: the note is at the remote, by the same
// compare-and-swap as the ledger. A note replaces the one before of its commit; notes of others are
// kept. Not here: what is said (render/note), when (../../notes).

import type { Base } from './base.ts';
import type { SignCommit } from './build.ts';
import { buildCommit, buildTree } from './build.ts';
import { retry } from './failure.ts';
import type { Identity } from './format.ts';
import { NOTE_BYTES, PUSH_ATTEMPTS } from './limits.ts';
import { entryAt } from './line.ts';

export interface NotesOptions {
  readonly base: Base;
  /** `refs/notes/purser/<cluster>`. */
  readonly ref: string;
  readonly by: () => Identity;
  readonly sign: SignCommit | null;
}

export interface Notes {
  /** Throws GitFailure. */
  readonly write: (commit: string, text: string) => Promise<void>;
  /** null: there is none. */
  readonly read: (commit: string) => Promise<string | null>;
}

export const createNotes = ({ base, ref, by, sign }: NotesOptions): Notes => {
  /** undefined: not asked yet. */
  let tip: string | null | undefined;
  const known = async (): Promise<string | null> => {
    if (tip === undefined) tip = await base.follow(ref);
    return tip;
  };
  const write = async (commit: string, text: string): Promise<void> => {
    for (let attempt = 0; attempt < PUSH_ATTEMPTS; attempt += 1) {
      const from = await known();
      const { folders, objects } = base.store();
      const tree = from === null ? null : (await folders.commit(from)).tree;
      const content = cut(text);
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
    const { folders } = base.store();
    if (at === null) return spread(commit);
    const { tree } = await folders.commit(at);
    return (await entryAt(folders, tree, commit)) === null ? spread(commit) : commit;
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
    write: (commit, text) => again(() => write(commit, text)),
    read: (commit) => again(() => read(commit)),
  };
};

/** Git reads notes in folders and without; in folders a tree stays small. */
const spread = (commit: string): string => `${commit.slice(0, 2)}/${commit.slice(2)}`;

const cut = (text: string): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= NOTE_BYTES) return text;
  const lines = bytes
    .subarray(0, NOTE_BYTES - CUT.length)
    .toString('utf8')
    .split('\n');
  return [...lines.slice(0, -1), CUT, ''].join('\n');
};

const CUT = '  … and more';
