// What a pull request would do, worked out: the trees of base and merge, the plans of both, the
// rehearsal, what is written differently. In: a reader of pull requests, registries, what is live.
// Out: PullPlan; never throws. It keeps what it read and compiled, so the next one costs what
// changed. It writes nothing, sends nothing and records no digest: it is given no port that could.
// Not here: the thread that it runs in, and its limits (pull-worker, edge/pull-plans).

import { asks, compile } from './desired/compile.ts';
import { heldIn, withHeld } from './desired/held-files.ts';
import { createReader, recall } from './desired/read.ts';
import { compareText } from '../schema/ids.ts';
import type { KeptDocument } from '../schema/kept.ts';
import type { HeldFile } from '../schema/ledger.ts';
import type { PullPlan } from '../schema/pull-plan.ts';
import type { DigestAsk, LookupAnswer, SourceTree } from '../schema/source.ts';
import { ASK_ROUNDS } from './config.ts';
import { asksPast } from './cycle.ts';
import type { PullReader, PullTrees } from './edge/git/pulls.ts';
import { createMemos, type Memos } from './memos.ts';
import { plannedOf } from './planned.ts';
import type { PullPlansPort, RegistryPort } from './ports.ts';
import type { PreviewMemo, PreviewSource, Side } from './preview.ts';
import { changedTree, completed, previewWith, resolveWithin, standingWith } from './preview.ts';
import { completeScreened } from './screened-histories.ts';

export interface PullPlannerOptions {
  readonly reader: PullReader;
  readonly registry: RegistryPort;
  /** Asks without any login: for what strangers wrote. */
  readonly anonymous: RegistryPort;
  /** Of the reconciler's own reading, so that the first plan need not parse all; then forgotten. */
  readonly documents?: readonly KeptDocument[];
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export type PullAsk = Parameters<PullPlansPort['plan']>[0];

export const createPullPlanner = (
  options: PullPlannerOptions,
): ((ask: PullAsk) => Promise<PullPlan>) => {
  const memos = createMemos();
  recall(memos.compile.reads, options.documents ?? []);
  const resolvers = {
    known: createResolver(options.registry, options.now),
    anonymous: createResolver(options.anonymous, options.now),
  };
  const reader = {
    ...options.reader,
    complete: completeScreened(options.reader),
  };
  let isWarm = false;
  return async (ask) => {
    const { base, head, fromFork } = ask;
    const resolve = (fromFork ? resolvers.anonymous : resolvers.known)();
    const planning = { ...options, reader, memos, ask, resolve };
    try {
      const ahead = isWarm ? await standingAhead(planning) : null;
      const trees = await reader.read({ base, head });
      if (trees.kind === 'untouched') {
        return { kind: 'untouched', base, head, ...refusalsOf(trees) };
      }
      if (trees.kind === 'conflict') return { kind: 'conflict', base, head, files: trees.files };
      if (trees.kind === 'unrelated') return { kind: 'failed', base, head, message: UNRELATED };
      const made = await planOf(planning, trees, ahead ?? (await standingOf(planning, trees.base)));
      recall(memos.compile.reads, []);
      isWarm = true;
      return made;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'failed', base, head, message };
    }
  };
};

const UNRELATED =
  'the pull request has no commit in common with the branch, so it cannot be merged: make it anew ' +
  'from the branch';

interface Planning extends PullPlannerOptions {
  readonly memos: Memos;
  readonly ask: PullAsk;
  readonly resolve: PreviewSource['resolve'];
}

/** The base, foreseen. */
interface Standing {
  /** With its past, and with what no owner has let through as refused. */
  readonly tree: SourceTree;
  readonly memo: PreviewMemo;
  readonly base: Side;
}

/**
 * While the head is fetched, which takes as long. null: it need not come, or the base cannot be
 * read, which is told where it is read again. Only once a plan was made, since what this costs is
 * then known: in a thread that has read nothing, a pull request that touches nothing need not wait.
 */
const standingAhead = async (planning: Planning): Promise<Standing | null> => {
  const { reader, ask } = planning;
  try {
    if (!(await reader.bring(ask.head))) return null;
    return await standingOf(planning, await reader.base(ask.base));
  } catch {
    return null;
  }
};

const standingOf = async (planning: Planning, at: SourceTree): Promise<Standing> => {
  const { memos, ask, now } = planning;
  const tree = await baseTree(planning, screenedBase(at, ask.held ?? []));
  const memo = { compile: memos.compile, plan: memos.plan, now: now() };
  return { tree, memo, base: standingWith(memo, { tree, live: ask.live }) };
};

const planOf = async (
  { memos, ask, reader, resolve }: Planning,
  trees: Extract<PullTrees, { kind: 'merged' }>,
  { tree, memo, base }: Standing,
): Promise<PullPlan> => {
  const { live } = ask;
  const { complete } = reader;
  const { registries } = compile(tree, memos.compile).cluster;
  const source = { complete, resolve: resolveWithin(registries, resolve) };
  const known = [...(tree.differences ?? []), ...trees.differences];
  const change = changedTree({ ...tree, differences: known }, trees.head, trees.files);
  const snapshot = { format: 1, tree, live, takenAt: '' } as const;
  const foreseen = await previewWith(memo, { snapshot, change, source, base });
  const paths = trees.differences.find(({ from }) => from === trees.base.files)?.paths ?? [];
  const read = createReader(memos.compile.reads);
  const told = plannedOf({ foreseen, before: trees.base.files, after: trees.files, paths, read });
  return { kind: 'planned', ...told, ...refusalsOf(trees), base: ask.base, head: ask.head };
};

const refusalsOf = ({ refusals }: Pick<PullTrees, 'refusals'>) =>
  refusals === undefined ? {} : { refusals };

const screenedBase = (base: SourceTree, held: readonly HeldFile[]): SourceTree => {
  const here = heldIn(base.files, held);
  if (here.length === 0) return base;
  return { ...base, files: withHeld(base.files, here), held: here };
};

/** The base as the loop would compile it: with its past, and whose commits runners obey. */
const baseTree = async ({ memos, ask, reader, resolve }: Planning, stands: SourceTree) => {
  const commits = [...new Set(ask.live.nodes.map(({ acceptedCommit }) => acceptedCommit))]
    .filter((commit) => commit !== '')
    .toSorted(compareText);
  const accepted = { digests: [], histories: [], commits };
  let tree: SourceTree = await reader.complete(stands, accepted);
  for (let round = 0; round < ASK_ROUNDS; round += 1) {
    const wanted = asks(tree, memos.compile);
    if (!asksPast(wanted)) break;
    tree = await reader.complete(tree, wanted);
  }
  const { registries } = compile(tree, memos.compile).cluster;
  const source = { complete: reader.complete, resolve: resolveWithin(registries, resolve) };
  return (await completed(tree, source, memos.compile)).tree;
};

/** Tags asked for one plan: a pull request that names more images is planned with the rest open. */
const RESOLVED = 200;
/** Of a registry at the same time. */
const RESOLVED_AT_ONCE = 8;
/** A tag that was asked is not asked again for so long: pull requests are planned again and again. */
const FRESH_MS = 60_000;
/** References remembered. */
const REMEMBERED = 5000;

const createResolver = (registry: RegistryPort, now: () => number) => {
  const known = new Map<string, { readonly at: number; readonly answer: LookupAnswer }>();
  return (): PreviewSource['resolve'] => {
    let left = RESOLVED;
    const places = new Map<number, Promise<unknown>>();
    return async (ask: DigestAsk) => {
      const before = known.get(ask.reference);
      if (before !== undefined && now() - before.at < FRESH_MS) return before.answer;
      if (left === 0) return null;
      left -= 1;
      const turn = left % RESOLVED_AT_ONCE;
      const mine = (places.get(turn) ?? Promise.resolve()).then(() => registry.resolve(ask));
      places.set(turn, mine);
      const answer = await mine;
      if (known.size >= REMEMBERED) known.clear();
      known.set(ask.reference, { at: now(), answer });
      return answer;
    };
  };
};
