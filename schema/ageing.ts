// Facts that grow older by themselves: what a node's allocations were when last heard of, brought
// up to now only where somebody looks. In: facts, which stay the same object as long as nothing new
// is heard. Out:
// LiveNodes, the copies of some jobs. What is kept here is tied to the identity of immutable values
// (WeakMap), so a node that is changed by spreading is a new node with facts of its own. Not here:
// what is heard (reconciler/live).

import { compareText } from './ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from './live.ts';
import type { Ms } from './spec.ts';

/**
 * Allocations of one node as of its last report. All ages in a plan follow from these, `now` and
 * nothing else.
 */
export interface Facts {
  /** Sorted by allocation. */
  readonly allocations: readonly LiveAllocation[];
  /** The instant that the ages are of, on the clock of `now`. */
  readonly heardAt: Ms;
  readonly connected: boolean;
}

const factsByNode = new WeakMap<LiveNode, Facts>();

/** A node whose `allocations` are aged on first look. */
export const ageingNode = (facts: Facts, node: Omit<LiveNode, 'allocations'>): LiveNode => {
  let aged: readonly LiveAllocation[] | null = null;
  const made: LiveNode = {
    ...node,
    get allocations() {
      aged ??= facts.allocations.map((one) => agedBy(one, facts, node.silentForMs));
      return aged;
    },
  };
  factsByNode.set(made, facts);
  return made;
};

/** null: the node was made otherwise, and nothing is known of what it was before. */
export const factsOf = (node: LiveNode): Facts | null => factsByNode.get(node) ?? null;

/** The node's allocations for a reader who looks at no age. */
export const unaged = (node: LiveNode): readonly LiveAllocation[] =>
  factsOf(node)?.allocations ?? node.allocations;

const agedBy = (
  allocation: LiveAllocation,
  { connected }: Facts,
  silentForMs: Ms,
): LiveAllocation => {
  if (allocation.standing === 'ordered') return allocation;
  // Nobody saw it healthy while the node was away, so health does not grow older without a stream
  // (rules 4.2).
  const seenForMs = connected ? silentForMs : 0;
  const { failure } = allocation;
  return {
    ...allocation,
    failure: failure === null ? null : { ...failure, ageMs: failure.ageMs + silentForMs },
    acceptedForMs: allocation.acceptedForMs + silentForMs,
    firstStartedForMs: older(allocation.firstStartedForMs, silentForMs),
    runningForMs: older(allocation.runningForMs, silentForMs),
    healthyForMs: older(allocation.healthyForMs, seenForMs),
    firstHealthyForMs: older(allocation.firstHealthyForMs, silentForMs),
    deadForMs: older(allocation.deadForMs, silentForMs),
  };
};

const older = (ageMs: Ms | null, byMs: Ms): Ms | null => (ageMs === null ? null : ageMs + byMs);

type ByJob = ReadonlyMap<string, readonly LiveAllocation[]>;

const indexes = new WeakMap<readonly LiveAllocation[], ByJob>();

/** `<namespace>/<job>` → its allocations, not aged. Made once for a list. */
const byJob = (allocations: readonly LiveAllocation[]): ByJob => {
  const known = indexes.get(allocations);
  if (known !== undefined) return known;
  const index = new Map<string, LiveAllocation[]>();
  for (const allocation of allocations) {
    const id = `${allocation.body.namespace}/${allocation.body.job}`;
    const mine = index.get(id);
    if (mine === undefined) index.set(id, [allocation]);
    else mine.push(allocation);
  }
  indexes.set(allocations, index);
  return index;
};

/** Jobs that have copies on the node, with these copies, not aged. */
export const jobsOn = (node: LiveNode): ByJob => byJob(unaged(node));

/**
 * Copies of these jobs on all nodes, brought up to now, sorted by allocation. Jobs without copies
 * are left out.
 */
export const copiesOf = (live: LiveState, jobs: ReadonlySet<string>): ByJob => {
  const found = new Map<string, LiveAllocation[]>();
  for (const node of live.nodes) {
    const facts = factsOf(node);
    const index = jobsOn(node);
    for (const id of jobs.size < index.size ? jobs : index.keys()) {
      const mine = jobs.has(id) ? index.get(id) : undefined;
      if (mine === undefined) continue;
      const aged = facts === null ? mine : mine.map((one) => agedBy(one, facts, node.silentForMs));
      const before = found.get(id);
      if (before === undefined) found.set(id, [...aged]);
      else before.push(...aged);
    }
  }
  for (const mine of found.values()) mine.sort((a, b) => compareText(a.allocation, b.allocation));
  return found;
};
