// The whole numbered set for each node: what is there, changed by the plan's steps.
// In: the plan, live state, cluster and commit. Out: orders for every node that is connected (rules
// 10). Not here: sending (the loop), which runner is ahead of HEAD (nodes, rules 10.3).

import { unaged } from '../../schema/ageing.ts';
import { compareText } from '../../schema/ids.ts';
import type { LiveAllocation, LiveNode, LiveState } from '../../schema/live.ts';
import type { AllocationBody, NodeOrders, OrderItem, StopImage } from '../../schema/orders.ts';
import type { Plan, Step } from '../../schema/plan.ts';
import { same } from './body.ts';
import { imageKey } from './images.ts';
import { killTimeoutOf } from './upkeep.ts';

export interface OrderContext {
  readonly cluster: string;
  /** HEAD that the plan was made from. */
  readonly commit: string;
  /** May this node be told anything (rules 10.3)? Absent: every node may. */
  readonly mayTell?: (node: LiveNode) => boolean;
  /** Folders of ended volumes that the node is to remove (rules 14). Absent: none. */
  readonly removals?: (node: LiveNode) => readonly string[];
}

/**
 * One set a connected node, sorted by node. The generation stays when the set is the one that was
 * sent in this session, else it is one more than the highest known. A node never heard from gets
 * nothing.
 */
export const orders = (
  plan: Plan,
  live: LiveState,
  context: OrderContext,
): readonly NodeOrders[] => {
  const steps = new Map<string, Step[]>();
  for (const step of plan.steps) {
    const mine = steps.get(step.node);
    if (mine === undefined) steps.set(step.node, [step]);
    else mine.push(step);
  }
  const fetches = new Map((plan.fetches ?? []).map(({ node, images }) => [node, images]));
  return live.nodes
    .filter((node) => node.connected && (context.mayTell?.(node) ?? true))
    .map((node) => {
      const mine = steps.get(node.name) ?? [];
      const extra = {
        removals: context.removals?.(node) ?? [],
        fetch: fetches.get(node.name) ?? NO_IMAGES,
      };
      return mine.length === 0 && staysAsSent(node, extra)
        ? node.sent
        : ordersFor(node, { steps: mine, ...extra }, context);
    });
};

/**
 * By the allocations that a node has: the set that it was sent, where that says the same of each.
 */
const asSent = new WeakMap<readonly LiveAllocation[], NodeOrders>();

type SentNode = LiveNode & { readonly sent: NodeOrders };

const NO_IMAGES: readonly StopImage[] = [];

/** What a node is told besides its allocations. */
interface Extra {
  readonly removals: readonly string[];
  readonly fetch: readonly StopImage[];
}

const staysAsSent = (node: LiveNode, extra: Extra): node is SentNode =>
  node.sent !== null && asSent.get(unaged(node)) === node.sent && isSaid(node.sent, extra);

const isSaid = ({ removeVolumes = [], fetch = NO_IMAGES }: NodeOrders, extra: Extra): boolean =>
  sameNames(removeVolumes, extra.removals) &&
  sameNames(fetch.map(imageKey), extra.fetch.map(imageKey));

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i]);

const ordersFor = (
  node: LiveNode,
  { steps, removals, fetch }: Extra & { readonly steps: readonly Step[] },
  { cluster, commit }: OrderContext,
): NodeOrders => {
  const sent = new Map((node.sent?.items ?? []).map((item) => [item.allocation, item]));
  const byId = new Map(steps.map((step) => [step.allocation, step]));
  const allocations = unaged(node);
  const there = new Set(allocations.map(({ allocation }) => allocation));
  const going = allocations.filter(
    ({ allocation, phase, stopping }) =>
      phase !== 'dead' &&
      ((stopping && byId.get(allocation)?.kind !== 'update') ||
        byId.get(allocation)?.kind === 'stop'),
  );
  const goingBefore = ({ body }: LiveAllocation): readonly string[] =>
    going.filter((one) => sameSlot(one.body, body)).map(({ allocation }) => allocation);
  const kept = allocations.flatMap((allocation) => {
    const { allocation: id } = allocation;
    const about = { sent: sent.get(id), step: byId.get(id), there, before: goingBefore };
    return itemOf(allocation, about) ?? [];
  });
  const started = steps.flatMap((step): readonly OrderItem[] =>
    step.kind === 'start'
      ? [{ kind: 'run', allocation: step.allocation, body: step.body, after: step.after }]
      : [],
  );
  const items = [...kept, ...started].toSorted((a, b) => compareText(a.allocation, b.allocation));
  const isSame = node.sent !== null && isSaid(node.sent, { removals, fetch });
  if (node.sent !== null && isSame && sameItems(node.sent.items, items)) {
    if (steps.length === 0) asSent.set(allocations, node.sent);
    return node.sent;
  }
  const generation = node.generation + 1;
  const extra = {
    ...(removals.length === 0 ? {} : { removeVolumes: removals }),
    ...(fetch.length === 0 ? {} : { fetch }),
  };
  return { node: node.name, cluster, generation, commit, items, ...extra };
};

interface About {
  readonly sent: OrderItem | undefined;
  readonly step: Step | undefined;
  readonly there: ReadonlySet<string>;
  /** Copies of the same slot that are on their way out of this node. */
  readonly before: (allocation: LiveAllocation) => readonly string[];
}

const sameSlot = (a: AllocationBody, b: AllocationBody): boolean =>
  a.index === b.index && a.group === b.group && a.job === b.job && a.namespace === b.namespace;

/**
 * null: left out, which means stop. That is how a dead allocation is let go once it is superseded.
 */
const itemOf = (allocation: LiveAllocation, about: About): OrderItem | null => {
  const { sent, step, there } = about;
  const id = allocation.allocation;
  const isDead = allocation.phase === 'dead';
  if (step?.kind === 'stop') {
    const { reason, killTimeoutMs, images } = step;
    const first = images === undefined ? {} : { images };
    return isDead ? null : { kind: 'stop', allocation: id, reason, killTimeoutMs, ...first };
  }
  if (allocation.stopping && step?.kind !== 'update') {
    if (isDead) return null;
    if (sent?.kind === 'stop') return sent;
    // In a new session too it waits for the images that the one before it named (rules 5.7).
    const { stopWaits: images } = allocation;
    const killTimeoutMs = killTimeoutOf(allocation.body.spec);
    const first = images === undefined ? {} : { images };
    return { kind: 'stop', allocation: id, reason: 'superseded', killTimeoutMs, ...first };
  }
  // A report does not say what a start waits for. In a new session it waits again for what leaves
  // the slot: two copies would hold one volume or one port (rules 10.1, 14).
  const unsaid = allocation.phase === 'pending' ? about.before(allocation) : [];
  const after = sent?.kind === 'run' ? sent.after.filter((before) => there.has(before)) : unsaid;
  const body = step?.kind === 'update' ? step.body : allocation.body;
  if (sent?.kind === 'run' && sent.body === body && sent.after.length === after.length) {
    return sent;
  }
  return { kind: 'run', allocation: id, body, after };
};

/**
 * Bodies are compared by reference: observe hands on the body that was sent, so an unchanged set
 * is the same set.
 */
const sameItems = (a: readonly OrderItem[], b: readonly OrderItem[]): boolean =>
  a.length === b.length && a.every((item, i) => same(item, b[i]));
