// Facts that grow older by themselves: what a node's allocations were when last heard of, brought
// up to now only where somebody looks. In: facts, which stay the same object as long as nothing new
// is heard. Out:
// LiveNodes, the copies of some jobs. What is kept here is tied to the identity of immutable values
// (WeakMap), so a node that is changed by spreading is a new node with facts of its own. Not here:
// what is heard (reconciler/live).

import { compareText } from './ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from './live.ts';
import type { Ms, Resources } from './spec.ts';

/** What one allocation was when it was last news. */
export interface Fact {
  /** The same object until something happens to it. */
  readonly allocation: LiveAllocation;
  /** The instant that its ages are of, on the clock of `now`. */
  readonly since: Ms;
  /** What it uses is told with every report, and is no news. */
  readonly usage: Resources | null;
}

/**
 * Allocations of one node as of its last report. All ages in a plan follow from these, `now` and
 * nothing else.
 */
export interface Facts {
  /** Sorted by allocation. */
  readonly facts: readonly Fact[];
  /** Those of `facts`; the same list as long as each of them is the same. */
  readonly allocations: readonly LiveAllocation[];
  /** The instant of the last report. */
  readonly heardAt: Ms;
  readonly connected: boolean;
}

/** Facts that are all as new as the report. */
export const freshFacts = (
  allocations: readonly LiveAllocation[],
  { heardAt, connected }: Pick<Facts, 'heardAt' | 'connected'>,
): Facts => ({
  facts: allocations.map((allocation) => ({
    allocation,
    since: heardAt,
    usage: allocation.usage,
  })),
  allocations,
  heardAt,
  connected,
});

const agedByNode = new WeakMap<LiveNode, LiveNode['allocations']>();

/**
 * A node whose `allocations` are aged on first look. Written out, and with one getter for all: where
 * something is added behind a spread, or each has a getter of its own, the engine makes a shape for
 * every object, and all nodes are made anew and looked at in each plan.
 */
export const ageingNode = (facts: Facts, node: Omit<LiveNode, 'allocations'>): LiveNode => {
  const told = apartFromCopies(node);
  Object.defineProperty(told, 'allocations', AGED);
  return Object.defineProperty(told, FACTS, { value: facts }) as LiveNode;
};

/** Field by field: a spread of the node would bring all its copies up to now. */
export const apartFromCopies = (
  node: Omit<LiveNode, 'allocations'>,
): Omit<LiveNode, 'allocations'> => ({
  name: node.name,
  connected: node.connected,
  silentForMs: node.silentForMs,
  capacity: node.capacity,
  attributes: node.attributes,
  address: node.address,
  acceptedGeneration: node.acceptedGeneration,
  acceptedCommit: node.acceptedCommit,
  generation: node.generation,
  sent: node.sent,
  portsTaken: node.portsTaken,
  foreign: node.foreign,
  conditions: node.conditions,
  ...(node.portHolders === undefined ? null : { portHolders: node.portHolders }),
  ...(node.volumes === undefined ? null : { volumes: node.volumes }),
  ...(node.fetched === undefined ? null : { fetched: node.fetched }),
});

/** Where a node keeps its facts: out of sight, so that no copy of a node has them. */
const FACTS = Symbol('facts');

interface WithFacts extends LiveNode {
  readonly [FACTS]?: Facts;
}

const AGED = {
  enumerable: true,
  get(this: LiveNode): LiveNode['allocations'] {
    const known = agedByNode.get(this);
    const facts = factsOf(this);
    if (known !== undefined || facts === null) return known ?? [];
    const aged = facts.facts.map((one) => agedBy(one, facts, this.silentForMs));
    agedByNode.set(this, aged);
    return aged;
  },
};

/** null: the node was made otherwise, and nothing is known of what it was before. */
export const factsOf = (node: LiveNode): Facts | null => (node as WithFacts)[FACTS] ?? null;

/** The node's allocations for a reader who looks at no age and no use. */
export const unaged = (node: LiveNode): readonly LiveAllocation[] =>
  factsOf(node)?.allocations ?? node.allocations;

/** One fact, brought up to now. */
export const agedBy = (
  { allocation, since, usage }: Fact,
  { connected, heardAt }: Facts,
  silentForMs: Ms,
): LiveAllocation => {
  if (allocation.standing === 'ordered') return allocation;
  // Nobody saw it healthy while the node was away, so health does not grow older without a stream
  // (rules 4.2).
  const seenForMs = heardAt - since + (connected ? silentForMs : 0);
  const byMs = heardAt - since + silentForMs;
  const { failure } = allocation;
  return {
    ...allocation,
    usage,
    failure: failure === null ? null : { ...failure, ageMs: failure.ageMs + byMs },
    acceptedForMs: allocation.acceptedForMs + byMs,
    firstStartedForMs: older(allocation.firstStartedForMs, byMs),
    runningForMs: older(allocation.runningForMs, byMs),
    healthyForMs: older(allocation.healthyForMs, seenForMs),
    firstHealthyForMs: older(allocation.firstHealthyForMs, byMs),
    deadForMs: older(allocation.deadForMs, byMs),
  };
};

const older = (ageMs: Ms | null, byMs: Ms): Ms | null => (ageMs === null ? null : ageMs + byMs);

/** `<namespace>/<job>` → where in the list its allocations stand. */
type Places = ReadonlyMap<string, readonly number[]>;

const indexes = new WeakMap<readonly LiveAllocation[], Places>();

/** Made once for a list. */
const placesByJob = (allocations: readonly LiveAllocation[]): Places => {
  const known = indexes.get(allocations);
  if (known !== undefined) return known;
  const index = new Map<string, number[]>();
  for (const [place, allocation] of allocations.entries()) {
    const id = jobOf(allocation);
    const mine = index.get(id);
    if (mine === undefined) index.set(id, [place]);
    else mine.push(place);
  }
  indexes.set(allocations, index);
  return index;
};

/** `<namespace>/<job>` of an allocation. */
export const jobOf = ({ body }: Pick<LiveAllocation, 'body'>): string =>
  `${body.namespace}/${body.job}`;

/** The jobs that have copies on the node. */
export const jobsOn = (node: LiveNode): Places => placesByJob(unaged(node));

/**
 * Jobs of which something happened to a copy on the node: all, where it is not known what was
 * before, or whether the ages still grow as they did.
 */
export const changedJobs = (before: LiveNode | null, now: LiveNode | null): ReadonlySet<string> => {
  const old = before === null ? null : factsOf(before);
  const news = now === null ? null : factsOf(now);
  if (old === null || news === null || old.connected !== news.connected) {
    return new Set(
      [before, now].flatMap((node) => (node === null ? [] : [...jobsOn(node).keys()])),
    );
  }
  if (old.allocations === news.allocations) return NO_JOBS;
  const [known, left] = [new Set(old.allocations), new Set(news.allocations)];
  const gone = old.allocations.filter((one) => !left.has(one));
  const come = news.allocations.filter((one) => !known.has(one));
  return new Set([...gone, ...come].map(jobOf));
};

const NO_JOBS: ReadonlySet<string> = new Set();

/**
 * Copies of these jobs on all nodes, brought up to now, sorted by allocation. Jobs without copies
 * are left out.
 */
export const copiesOf = (
  live: LiveState,
  jobs: ReadonlySet<string>,
): ReadonlyMap<string, readonly LiveAllocation[]> => {
  const found = new Map<string, LiveAllocation[]>();
  const ids = [...jobs];
  for (const node of live.nodes) {
    const facts = factsOf(node);
    const index = placesByJob(facts?.allocations ?? node.allocations);
    const some = ids.length < index.size ? ids : [...index.keys()].filter((id) => jobs.has(id));
    for (const id of some) {
      const places = index.get(id);
      if (places === undefined) continue;
      const before = found.get(id);
      const mine = before ?? [];
      if (before === undefined) found.set(id, mine);
      for (const place of places) {
        const fact = facts?.facts[place];
        const one = fact && facts ? agedBy(fact, facts, node.silentForMs) : node.allocations[place];
        if (one !== undefined) mine.push(one);
      }
    }
  }
  for (const mine of found.values()) mine.sort((a, b) => compareText(a.allocation, b.allocation));
  return found;
};
