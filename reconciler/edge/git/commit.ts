// The machine's commit (rules 12.2, 12.3): edits of files, on top of the branch as it is now. In:
// what to commit and what it was computed from. Out: the commit's id; `stale` when somebody changed
// the same files first; `broken` with the command to run when a person's work is in the way. Not
// here: what to write (the caller).

import { existsSync } from 'node:fs';
import type { FileEdit } from '../../../schema/desired.ts';
import type { CommitAsk } from '../../ports.ts';
import type { Base } from './base.ts';
import type { SignCommit } from './build.ts';
import { buildCommit, buildTree } from './build.ts';
import { broken, stale } from './failure.ts';
import type { Commit, Identity } from './format.ts';
import { within } from './format.ts';
import { ANCESTRY_COMMITS, PUSH_ATTEMPTS } from './limits.ts';
import { entryAt } from './entry.ts';
import { contains } from './line.ts';
import type { RefMove } from './refs.ts';
import type { Store } from './store.ts';
import { moveWorkTree, refuseLinked } from './work-tree.ts';

export interface CommitContext {
  readonly base: Base;
  /** Full name of the branch's ref. */
  readonly ref: string;
  readonly directory: string;
  readonly epochSeconds: number;
  readonly sign: SignCommit | null;
  /** Throws where nothing may be built on this commit. */
  readonly onto: (tip: string) => Promise<void>;
  /** Throws where the commit of these bytes would not be accepted on top of `tip`. */
  readonly prove: (tip: string, data: Buffer) => Promise<void>;
}

export const makeCommit = async (context: CommitContext, ask: CommitAsk): Promise<string> => {
  const { base, ref } = context;
  for (const edit of ask.edits) checkPath(edit.path);
  let { branch: tip } = await base.tips();
  for (let attempt = 0; attempt < PUSH_ATTEMPTS; attempt += 1) {
    if (tip === null) throw broken(noBranch(base, ref));
    const store = base.store();
    const head = await store.folders.commit(tip);
    await context.onto(tip);
    await refuseStale({ store, context, head }, ask);
    const built = await buildOn({ store, context, head }, ask);
    if (built === null) return tip;
    await context.prove(tip, built.data);
    await store.objects.write(built.objects);
    const note = `purser: ${ask.message}`;
    const by = ask.author;
    const { epochSeconds } = context;
    if (await publish(context, { ref, to: built.oid, from: tip, note, by, epochSeconds }, ask)) {
      return built.oid;
    }
    ({ branch: tip } = await base.refresh());
  }
  throw stale(`${base.name}: ${ref} moved ${PUSH_ATTEMPTS} times while a commit was made`);
};

/**
 * The same commit under a branch of its own, for a pull request: the branch that is followed stays.
 * One that exists already was offered before, and is left as it is.
 */
export const offerCommit = async (
  context: CommitContext,
  ask: CommitAsk,
  branch: string,
): Promise<void> => {
  const { base, ref, epochSeconds } = context;
  for (const edit of ask.edits) checkPath(edit.path);
  const { branch: tip } = await base.tips();
  if (tip === null) throw broken(noBranch(base, ref));
  const store = base.store();
  const head = await store.folders.commit(tip);
  await context.onto(tip);
  await refuseStale({ store, context, head }, ask);
  const built = await buildOn({ store, context, head }, ask);
  if (built === null) throw stale('the edits are on the branch already');
  await context.prove(tip, built.data);
  await store.objects.write(built.objects);
  const note = `purser: ${ask.message}`;
  const to = built.oid;
  await base.publish({
    ref: `refs/heads/${branch}`,
    to,
    from: null,
    note,
    by: ask.author,
    epochSeconds,
  });
};

const noBranch = (base: Base, ref: string): string =>
  base.local && !existsSync(base.store().repository.gitDir)
    ? `${base.name} is gone, so nothing is committed: put it back`
    : `${base.name}: ${ref} does not exist, so nothing is committed`;

/**
 * An edit's path comes from our own plan, but a commit outside the cluster's directory must be
 * impossible.
 */
const checkPath = (path: string): void => {
  const parts = path.split('/');
  const odd = parts.some((part) => ['', '.', '..'].includes(part) || /^\.git$/i.test(part));
  if (odd || path.includes('\0')) throw broken(`${JSON.stringify(path)} is not a path of a file`);
};

interface On {
  readonly store: Store;
  readonly context: CommitContext;
  readonly head: Commit;
}

/**
 * Somebody pushed first: fine as long as HEAD still contains ours and the edited files are as we
 * read them.
 */
const refuseStale = async ({ store, context, head }: On, ask: CommitAsk): Promise<void> => {
  if (head.oid !== ask.head) {
    const line = [head.oid, ask.head] as const;
    if ((await contains(store.folders, line, ANCESTRY_COMMITS)) !== 'yes') {
      throw stale(`${context.ref} no longer contains ${ask.head}`);
    }
  }
  for (const edit of ask.edits) {
    const entry = await entryAt(store.folders, head.tree, within(context.directory, edit.path));
    if ((entry?.oid ?? null) === edit.base) continue;
    throw stale(`${edit.path} was changed by somebody else meanwhile`);
  }
};

/** null when the edits change nothing: an empty commit would mean nothing (rules 2.3). */
const buildOn = async ({ store, context, head }: On, ask: CommitAsk) => {
  const changes = new Map(
    ask.edits.map(
      (edit: FileEdit) => [within(context.directory, edit.path), edit.content] as const,
    ),
  );
  const built = await buildTree(store.folders, head.tree, changes);
  if (built.tree === head.tree) return null;
  const by: Identity = { ...ask.author, epochSeconds: context.epochSeconds };
  const { sign } = context;
  return buildCommit(built, { parents: [head.oid], by, message: ask.message, sign });
};

const publish = async (
  { base, directory }: CommitContext,
  move: RefMove & { readonly from: string },
  ask: CommitAsk,
): Promise<boolean> => {
  const { repository } = base.store();
  if (!base.local) return base.publish(move);
  refuseLinked(repository, move.ref);
  if (repository.workTree === null) return base.publish(move);
  const paths = ask.edits.map((edit) => within(directory, edit.path));
  return moveWorkTree({ repository, move, paths });
};
