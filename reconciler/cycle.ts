// One pass: look at everything, decide with pure functions, act.
// In: the ports and what the last pass left. Out: a view of what was seen, decided and sent. Only
// here and in the loop are edge failures caught (style 10). Not here: when to look again (loop),
// slow writes (writer).

import { asks, compile, likelyHistories } from './desired/compile.ts';
import type { CompileMemo } from './desired/memo.ts';
import { readAhead } from './desired/read-ahead.ts';
import { servicesOf } from './live/catalogue.ts';
import { observe } from './live/observe.ts';
import { check } from './plan/check.ts';
import { isAhead } from './plan/nodes.ts';
import { orders } from './plan/orders.ts';
import { planWith } from './plan/plan.ts';
import { endedFoldersOf, foldersToRemove } from './plan/volumes.ts';
import type { DesiredState } from '../schema/desired.ts';
import type { Heard, LiveNode, LiveState } from '../schema/live.ts';
import { compareText } from '../schema/ids.ts';
import type { NodeOrders } from '../schema/orders.ts';
import type { Ledger, LedgerRecord } from '../schema/ledger.ts';
import type { Plan, Violation } from '../schema/plan.ts';
import type { Asks, SourceTree } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import { APPROVAL_MS, ASK_ROUNDS } from './config.ts';
import type { Lookups } from './lookups.ts';
import type { Memos } from './memos.ts';
import type { EdgeFailure, ReconcilerPorts } from './ports.ts';

/** Everything that one pass saw and decided. */
export interface View {
  readonly tree: SourceTree;
  readonly desired: DesiredState;
  readonly live: LiveState;
  /**
   * `live` once the orders of this pass were sent, worked out when it is asked for: what is shown to
   * people and programs. Who asks for addresses must not be given one whose copy was told to stop
   * (rules 10.6).
   */
  readonly told: () => LiveState;
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  /** When it was made, on the reconciler's clock. */
  readonly at: Ms;
  /** Reading failed; the tree is the last one that could be read. */
  readonly stale: EdgeFailure | null;
}

export interface CycleContext {
  readonly ports: ReconcilerPorts;
  readonly lookups: Lookups;
  readonly memos: Memos;
  /**
   * Waits a moment for the nodes before the first plan, and returns at once before any other.
   * Absent: plans with those that are here.
   */
  readonly firstReports?: (desired: DesiredState) => Promise<void>;
}

export interface ReadContext extends Pick<CycleContext, 'ports' | 'lookups'> {
  readonly memo: CompileMemo;
}

/**
 * Reads, and completes what compile asks for; look-ups go on in the background. As long as Git and
 * the registries say nothing new, it is the tree that was compiled last, the same object.
 */
export const readWhole = async ({ ports, lookups, memo }: ReadContext): Promise<SourceTree> => {
  const read = await ports.source.read();
  const expired = expiredApprovals(read, ports.clock.epochMs?.() ?? null);
  const known = knownOfPast(read, memo);
  let tree: SourceTree = { ...read, ...known, expired, lookups: lookups.answers() };
  const commits = read.local ? [] : acceptedCommits(ports.nodes.heard());
  if (commits.length > 0) {
    tree = await ports.source.complete(tree, { digests: [], histories: [], commits });
  }
  const last = memo.last?.tree ?? null;
  if (last !== null && isSameTree(last, tree)) tree = last;
  const steps = readAhead(tree.files, memo);
  while (steps.next().done !== true) await ports.clock.pause?.();
  const likely = likelyHistories(tree, memo);
  if (likely.length > 0) {
    tree = await ports.source.complete(tree, { digests: [], histories: likely });
  }
  let wanted = asks(tree, memo);
  for (let round = 0; round < ASK_ROUNDS && asksPast(wanted); round += 1) {
    tree = { ...(await ports.source.complete(tree, wanted)), lookups: lookups.answers() };
    wanted = asks(tree, memo);
  }
  // Which digests are lacking is known only with the histories: an earlier round would have asked
  // for too few, and look-ups that nobody asks for are forgotten.
  lookups.want(wanted.digests);
  return tree;
};

/**
 * A read hands out the same objects while nothing changed in Git. Whatever a tree holds is compared
 * by identity, but for two lists that are made anew for each pass.
 */
const isSameTree = (last: SourceTree, tree: SourceTree): boolean => {
  const known = new Map<string, unknown>(Object.entries(passed(last)));
  const now = Object.entries(passed(tree));
  return (
    now.length === known.size &&
    now.every(([name, part]) => known.has(name) && known.get(name) === part)
  );
};

const passed = ({ expired, contained, ...tree }: SourceTree) => ({
  ...tree,
  expired: expired?.join('\n'),
  contained: contained?.join('\n'),
});

/**
 * What lies behind a commit never changes: histories are read, and compiled, once for each HEAD, as
 * long as the same files of it wait for their owners, and the same contents never counted.
 */
const knownOfPast = (
  read: SourceTree,
  { last }: CompileMemo,
): Pick<SourceTree, 'histories' | 'changes'> => {
  const isSame =
    last?.tree.head.oid === read.head.oid &&
    JSON.stringify([last.tree.held, last.tree.passed]) === JSON.stringify([read.held, read.passed]);
  const { histories, changes } = isSame ? last.tree : read;
  return changes === undefined ? { histories } : { histories, changes };
};

/** What only the source can answer; digests are looked up beside the loop. */
export const asksPast = ({ histories, changes }: Asks): boolean =>
  histories.length > 0 || (changes ?? []).length > 0;

/** Approvals older than APPROVAL_MS; one whose date cannot be read never was good. */
const expiredApprovals = ({ ledger }: SourceTree, epochMs: number | null): readonly string[] =>
  epochMs === null
    ? []
    : approvalsIn(ledger).flatMap(({ id, at }) =>
        epochMs - Date.parse(at) <= APPROVAL_MS ? [] : [id],
      );

type Approval = Extract<LedgerRecord, { kind: 'approval' }>;

const approvals = new WeakMap<Ledger, readonly Approval[]>();

/** A ledger of thousands of records is looked through once. */
const approvalsIn = (ledger: Ledger): readonly Approval[] => {
  const known = approvals.get(ledger);
  if (known !== undefined) return known;
  const found = ledger.filter((record) => record.kind === 'approval');
  approvals.set(ledger, found);
  return found;
};

/** What runners accepted of other sessions: is it in HEAD (rules 10.3)? */
const acceptedCommits = ({ nodes }: Heard): readonly string[] => {
  const others = nodes.filter(
    ({ sent, report }) => sent === null || sent.generation < report.acceptedGeneration,
  );
  const commits = new Set(others.map(({ report }) => report.acceptedCommit));
  return [...commits].filter((commit) => commit !== '').toSorted(compareText);
};

/** The pass. Throws only when nothing could ever be read. */
export const cycle = async (context: CycleContext, last: View | null): Promise<View> => {
  const { ports, memos } = context;
  const { tree, stale } = await readOrKeep(context, last);
  const desired = compile(tree, memos.compile);
  await context.firstReports?.(desired);
  const now = ports.clock.now();
  const live = observe(ports.nodes.heard(), now, memos.observe);
  const made = planWith(memos.plan)(desired, live, now);
  const violations = check(made, live, desired);
  const seen = { tree, desired, live, plan: made, violations, at: now, stale };
  const sets = violations.length === 0 ? setsToSend(seen) : [];
  const told = sets.length === 0 ? () => live : toldBy(context, sets, now);
  // Discovery first: whoever is told to stop is found no more (rules 16.3).
  publish(context, desired, told());
  for (const set of sets) ports.nodes.send(set);
  return { ...seen, told };
};

/** What was heard by now, under the orders that are about to be sent. */
const toldBy = (
  { ports, memos }: CycleContext,
  sets: readonly NodeOrders[],
  now: Ms,
): (() => LiveState) => {
  const { startedAt, nodes: heard } = ports.nodes.heard();
  const byNode = new Map(sets.map((set) => [set.node, set]));
  const nodes = heard.map((node) => ({ ...node, sent: byNode.get(node.node) ?? node.sent }));
  // With a memo of its own: a pass compares with what the pass before it saw.
  const told = observe({ startedAt, nodes }, now, { nodes: memos.observe.nodes });
  return () => told;
};

const publish = ({ ports, memos }: CycleContext, desired: DesiredState, live: LiveState): void => {
  const { catalogue } = servicesOf(desired, live, memos.services);
  const ahead = new Set(live.nodes.flatMap((node) => (isAhead(desired, node) ? [node.name] : [])));
  ports.nodes.publish(catalogue, (node) => !ahead.has(node));
};

const readOrKeep = async ({ ports, lookups, memos }: CycleContext, last: View | null) => {
  try {
    return { tree: await readWhole({ ports, lookups, memo: memos.compile }), stale: null };
  } catch (error) {
    if (last === null || !isEdgeFailure(error)) throw error;
    // Unreadable is not absent (invariant 8): what was read before is still healed.
    return { tree: last.tree, stale: error };
  }
};

/** Sets that changed. A node that is not connected gets its own when it is back. */
const setsToSend = ({ plan: made, live, desired }: Omit<View, 'told'>): readonly NodeOrders[] => {
  const ended = endedFoldersOf(desired);
  const context = {
    cluster: desired.cluster.name,
    commit: desired.commit.oid,
    mayTell: (node: LiveNode) => !isAhead(desired, node),
    removals: (node: LiveNode) => foldersToRemove(node, ended),
  };
  const known = new Map(live.nodes.map((node) => [node.name, node.generation]));
  return orders(made, live, context).filter(
    ({ node, generation }) => generation > (known.get(node) ?? Number.POSITIVE_INFINITY),
  );
};

export const isEdgeFailure = (error: unknown): error is EdgeFailure =>
  typeof error === 'object' && error !== null && 'kind' in error && error.kind === 'edge-failure';
