// Which orders a runner obeys (invariant 5, rules 10.3).
// In: the orders accepted last, those that arrived, who we are and what we hold. Out: accepted,
// refused or not yet, with a sentence. Pure. Not here: writing them down before they are obeyed
// (tick), frames and their hash (schema/wire.ts).

import { bodyBytes, utf8Bytes } from '../schema/body-size.ts';
import { fieldOf } from '../schema/field-of.ts';
import { canonical } from '../schema/hash.ts';
import { compareText, VOLUME_FOLDER_PATTERN } from '../schema/ids.ts';
import type { AllocationBody, NodeOrders, OrderItem } from '../schema/orders.ts';
import { NAME_PATTERN } from '../schema/patterns.ts';
import type { GroupSpec } from '../schema/spec.ts';
import { formatSize } from '../schema/units.ts';
import {
  BODY_BYTES,
  HELD_ALLOCATIONS,
  HELD_BYTES,
  NODE_ALLOCATIONS,
  NODE_FETCHES,
  ORDERS_BYTES,
  ordersHash,
} from '../schema/wire.ts';

export type Acceptance =
  /** `changed` false: the same set again, nothing to write down. */
  | { readonly kind: 'accepted'; readonly changed: boolean }
  /** Nothing is wrong with them: they are looked at again when copies have ended. */
  | { readonly kind: 'not-yet'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string };

export interface Self {
  readonly cluster: string;
  readonly node: string;
  /** Bodies of all copies that are here, those that are being stopped included. */
  readonly held: Iterable<AllocationBody>;
}

/**
 * A higher generation, or the same one with the same content, is accepted; older ones, other
 * content under the same number, another cluster's or node's, and sets beyond the limits are
 * refused whole.
 */
export const accept = (current: NodeOrders | null, offered: NodeOrders, self: Self): Acceptance => {
  if (offered.cluster !== self.cluster) {
    return refuse(`orders of cluster ${offered.cluster}, but this node belongs to ${self.cluster}`);
  }
  if (offered.node !== self.node) {
    return refuse(`orders for node ${offered.node}, but this is ${self.node}`);
  }
  if (!isWhole(offered)) return refuse('they are not of the form of orders');
  if (current !== null && offered.generation < current.generation) {
    return refuse(
      `generation ${offered.generation} is older than the accepted ${current.generation}`,
    );
  }
  if (current !== null && offered.generation === current.generation) {
    return ordersHash(offered) === ordersHash(current)
      ? { kind: 'accepted', changed: false }
      : refuse(`generation ${offered.generation} arrived twice with different content`);
  }
  const wrong = sound.has(offered) ? null : wrongSet(offered);
  if (wrong !== null) return refuse(wrong);
  sound.add(offered);
  const why = tooMuch(offered, self.held);
  return why === null ? { kind: 'accepted', changed: true } : { kind: 'not-yet', why };
};

/** Sets with nothing wrong in them: one that waits is offered again and again. */
const sound = new WeakSet<NodeOrders>();

const refuse = (why: string): Acceptance => ({ kind: 'refused', why });

/** What is looked at from here on is there: nobody has looked at the form of orders before. */
const isWhole = (orders: unknown): boolean => {
  const items = fieldOf(orders, 'items');
  return Array.isArray(items) && items.every(isItem);
};

const isItem = (item: unknown): boolean => {
  if (typeof fieldOf(item, 'allocation') !== 'string') return false;
  if (fieldOf(item, 'kind') === 'stop') return true;
  const spec = fieldOf(fieldOf(item, 'body'), 'spec');
  const lists = [fieldOf(spec, 'tasks'), fieldOf(spec, 'ports')];
  return (
    fieldOf(item, 'kind') === 'run' &&
    Array.isArray(fieldOf(item, 'after')) &&
    lists.every(areNamed)
  );
};

const areNamed = (values: unknown): boolean =>
  Array.isArray(values) && values.every((one) => typeof fieldOf(one, 'name') === 'string');

const wrongSet = (offered: NodeOrders): string | null => {
  if (!Number.isSafeInteger(offered.generation) || offered.generation < 1) {
    return `generation ${offered.generation} is not a whole number above 0`;
  }
  const groups = runs(offered).map(({ spec }) => spec);
  if (groups.length > NODE_ALLOCATIONS) {
    return `${groups.length} allocations, more than the ${NODE_ALLOCATIONS} a node takes`;
  }
  if (offered.items.length > HELD_ALLOCATIONS) {
    return `${offered.items.length} items, more than ${HELD_ALLOCATIONS}`;
  }
  if (exceed(groups, ORDERS_BYTES)) {
    return `the bodies of ${groups.length} allocations are larger than ${formatSize(ORDERS_BYTES)} together`;
  }
  let before = '';
  for (const item of offered.items) {
    if (compareText(before, item.allocation) >= 0) {
      return `allocation ${item.allocation} stands twice or out of order`;
    }
    before = item.allocation;
    const odd = namesOf(item).find((name) => !NAME.test(name));
    if (odd !== undefined) return `${JSON.stringify(odd.slice(0, SHOWN))} cannot be a name`;
    const wrong = wrongItem(item, offered);
    if (wrong !== null) return wrong;
  }
  const fetches = offered.fetch?.length ?? 0;
  if (fetches > NODE_FETCHES)
    return `${fetches} images to fetch, more than ${NODE_FETCHES} at a time`;
  return wrongRemovals(offered.removeVolumes ?? []);
};

const NAME = new RegExp(NAME_PATTERN);
const SHOWN = 80;

/** They become parts of paths, and of lines in /etc/resolv.conf and /etc/hosts. */
const namesOf = (item: OrderItem): readonly string[] => {
  if (item.kind === 'stop') return [item.allocation];
  const { namespace, job, group, spec } = item.body;
  return [
    ...[item.allocation, namespace, job, group].map(String),
    ...[...spec.tasks, ...spec.ports].map(({ name }) => name),
  ];
};

const runs = ({ items }: NodeOrders): readonly AllocationBody[] =>
  items.flatMap((item) => (item.kind === 'run' ? [item.body] : []));

/** Bodies are measured only where so many could be too large. */
const exceed = (groups: readonly GroupSpec[], most: number): boolean =>
  groups.length * BODY_BYTES > most &&
  groups.reduce((sum, group) => sum + bodyBytes(group), 0) > most;

/**
 * All that is here is told in one message at the start of a session (MESSAGE_BYTES): what could
 * not be told is not taken.
 */
const tooMuch = (offered: NodeOrders, held: Iterable<AllocationBody>): string | null => {
  const all = new Map<string, GroupSpec>();
  for (const { allocation, spec } of [...held, ...runs(offered)]) all.set(allocation, spec);
  const until = 'the orders wait until some of the copies that are being stopped are gone';
  if (all.size > HELD_ALLOCATIONS) {
    return `${all.size} allocations with those that leave, more than ${HELD_ALLOCATIONS}: ${until}`;
  }
  return exceed([...all.values()], HELD_BYTES)
    ? `the bodies of ${all.size} allocations, with those that leave, are larger than ${formatSize(HELD_BYTES)}: ${until}`
    : null;
};

const FOLDER = new RegExp(VOLUME_FOLDER_PATTERN);

/** Data are removed by this list, so nothing else may stand in it. */
const wrongRemovals = (removals: readonly string[]): string | null => {
  if (removals.length > NODE_ALLOCATIONS) {
    return `${removals.length} volumes to remove, more than ${NODE_ALLOCATIONS} at a time`;
  }
  const odd = removals.find((folder) => !FOLDER.test(folder));
  return odd === undefined ? null : `${odd} is no folder of a volume`;
};

const wrongItem = (item: OrderItem, offered: NodeOrders): string | null => {
  if (item.kind === 'stop') return null;
  const { body } = item;
  if (body.allocation !== item.allocation) return `item ${item.allocation} carries another body`;
  if (body.cluster !== offered.cluster || body.node !== offered.node) {
    return `the body of ${item.allocation} is for ${body.cluster}/${body.node}`;
  }
  if (body.spec.tasks.length === 0) return `${item.allocation} has no task`;
  // Characters are at most bytes: the cheap test first, the exact one (4 bytes a character at most)
  // near the limit.
  const text = canonical(body);
  if (text.length * 3 > BODY_BYTES && utf8Bytes(text) > BODY_BYTES) {
    return `the body of ${item.allocation} is larger than ${formatSize(BODY_BYTES)}`;
  }
  return null;
};
