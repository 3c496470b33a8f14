// Which orders a runner obeys (invariant 5, rules 10.3).
// In: the orders accepted last, those that arrived, and who we are. Out: accepted or refused, with
// a sentence. Pure. Not here: writing them down before they are obeyed (tick), frames and their
// hash (schema/wire.ts).

import { canonical } from '../schema/hash.ts';
import { compareText, VOLUME_FOLDER_PATTERN } from '../schema/ids.ts';
import type { NodeOrders, OrderItem } from '../schema/orders.ts';
import { BODY_BYTES, NODE_ALLOCATIONS, ordersHash } from '../schema/wire.ts';

export type Acceptance =
  /** `changed` false: the same set again, nothing to write down. */
  | { readonly kind: 'accepted'; readonly changed: boolean }
  | { readonly kind: 'refused'; readonly why: string };

/**
 * A higher generation, or the same one with the same content, is accepted; older ones, other
 * content under the same number, another cluster's or node's, and sets beyond the limits are
 * refused whole.
 */
export const accept = (
  current: NodeOrders | null,
  offered: NodeOrders,
  self: { readonly cluster: string; readonly node: string },
): Acceptance => {
  if (offered.cluster !== self.cluster) {
    return refuse(`orders of cluster ${offered.cluster}, but this node belongs to ${self.cluster}`);
  }
  if (offered.node !== self.node) {
    return refuse(`orders for node ${offered.node}, but this is ${self.node}`);
  }
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
  const wrong = wrongSet(offered);
  return wrong === null ? { kind: 'accepted', changed: true } : refuse(wrong);
};

const refuse = (why: string): Acceptance => ({ kind: 'refused', why });

const wrongSet = (offered: NodeOrders): string | null => {
  if (!Number.isSafeInteger(offered.generation) || offered.generation < 1) {
    return `generation ${offered.generation} is not a whole number above 0`;
  }
  if (offered.items.length > NODE_ALLOCATIONS) {
    return `${offered.items.length} allocations, more than the ${NODE_ALLOCATIONS} a node takes`;
  }
  let before = '';
  for (const item of offered.items) {
    if (compareText(before, item.allocation) >= 0) {
      return `allocation ${item.allocation} stands twice or out of order`;
    }
    before = item.allocation;
    const wrong = wrongItem(item, offered);
    if (wrong !== null) return wrong;
  }
  return wrongRemovals(offered.removeVolumes ?? []);
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
    return `the body of ${item.allocation} is larger than ${BODY_BYTES} bytes`;
  }
  return null;
};

/**
 * Length in UTF-8, without making a copy. A lone surrogate counts 3, as its replacement character
 * does.
 */
const utf8Bytes = (text: string): number => {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
};
