// A set of orders as the link carries it.
// In: orders. Out: frames, in their order. Not here: who gets them (nodes.ts), how they are put
// together again (node-runner/edge/link.ts).

import type { SessionResponse } from '../../schema/generated/purser/link/v1/link.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import { FRAME_BYTES, ordersHash } from '../../schema/wire.ts';

/** Room for the frame around a chunk of orders. */
const FRAME_OVERHEAD_BYTES = 1024;

/** The set in frames of at most 1 MiB; the last one carries the hash of the whole (rules 10.3). */
export const orderFrames = (orders: NodeOrders): readonly SessionResponse[] => {
  const bytes = Buffer.from(JSON.stringify(orders));
  const size = FRAME_BYTES - FRAME_OVERHEAD_BYTES;
  const count = Math.max(1, Math.ceil(bytes.length / size));
  const hash = ordersHash(orders);
  return Array.from({ length: count }, (_, part) => ({
    frame: {
      $case: 'orders' as const,
      value: {
        generation: BigInt(orders.generation),
        chunk: bytes.subarray(part * size, (part + 1) * size),
        last: part === count - 1,
        hash: part === count - 1 ? hash : '',
      },
    },
  }));
};
