// One pass: look at everything, decide with pure functions, act.
// In: the ports and what the last pass left. Out: a view of what was seen, decided and sent. Only here and in the loop
// are edge failures caught (style 10). Not here: when to look again (loop), slow writes (writer).

import { asks, compile } from './desired/compile.ts';
import { observe } from './live/observe.ts';
import { check } from './plan/check.ts';
import { orders } from './plan/orders.ts';
import { planWith } from './plan/plan.ts';
import type { DesiredState } from '../schema/desired.ts';
import type { LiveState } from '../schema/live.ts';
import type { Plan, Violation } from '../schema/plan.ts';
import type { SourceTree } from '../schema/source.ts';
import type { Ms } from '../schema/spec.ts';
import { ASK_ROUNDS } from './config.ts';
import type { Lookups } from './lookups.ts';
import type { Memos } from './memos.ts';
import type { EdgeFailure, ReconcilerPorts } from './ports.ts';

/** Everything that one pass saw and decided. */
export interface View {
  readonly tree: SourceTree;
  readonly desired: DesiredState;
  readonly live: LiveState;
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
}

/**
 * Reads, and completes what compile asks for; look-ups go on in the background. As long as Git and
 * the registries say nothing new, it is the tree of the last pass, the same object.
 */
export const readWhole = async (
  { ports, lookups, memos }: CycleContext,
  last: SourceTree | null = null,
): Promise<SourceTree> => {
  const read = await ports.source.read();
  let tree: SourceTree =
    last !== null && isReadOf(last, read, lookups.answers())
      ? last
      : { ...read, lookups: lookups.answers() };
  for (let round = 0; round < ASK_ROUNDS; round += 1) {
    const wanted = asks(tree, memos.compile);
    lookups.want(wanted.digests);
    if (wanted.histories.every(({ path }) => tree.histories.has(path))) break;
    tree = { ...(await ports.source.complete(tree, wanted)), lookups: lookups.answers() };
  }
  return tree;
};

/** A read hands out the same maps while nothing changed in Git; histories were added to it. */
const isReadOf = (tree: SourceTree, read: SourceTree, answers: SourceTree['lookups']): boolean =>
  tree.head === read.head &&
  tree.files === read.files &&
  tree.ledger === read.ledger &&
  tree.lastSynced === read.lastSynced &&
  tree.lookups === answers;

/** The pass. Throws only when nothing could ever be read. */
export const cycle = async (context: CycleContext, last: View | null): Promise<View> => {
  const { ports, memos } = context;
  const { tree, stale } = await readOrKeep(context, last);
  const desired = compile(tree, memos.compile);
  const now = ports.clock.now();
  const live = observe(ports.nodes.heard(), now, memos.observe);
  const made = planWith(memos.plan)(desired, live, now);
  const violations = check(made, live, desired);
  const view: View = { tree, desired, live, plan: made, violations, at: now, stale };
  if (violations.length === 0) send(ports, view);
  return view;
};

const readOrKeep = async (context: CycleContext, last: View | null) => {
  try {
    return { tree: await readWhole(context, last?.tree ?? null), stale: null };
  } catch (error) {
    if (last === null || !isEdgeFailure(error)) throw error;
    // Unreadable is not absent (invariant 8): what was read before is still healed.
    return { tree: last.tree, stale: error };
  }
};

/** Sends each node its set where the set changed. A node that is not connected gets it when it is back. */
const send = (ports: ReconcilerPorts, { plan: made, live, desired }: View): void => {
  const context = { cluster: desired.cluster.name, commit: desired.commit.oid };
  const known = new Map(live.nodes.map((node) => [node.name, node.generation]));
  for (const set of orders(made, live, context)) {
    if (set.generation > (known.get(set.node) ?? Number.POSITIVE_INFINITY)) ports.nodes.send(set);
  }
};

export const isEdgeFailure = (error: unknown): error is EdgeFailure =>
  typeof error === 'object' && error !== null && 'kind' in error && error.kind === 'edge-failure';
