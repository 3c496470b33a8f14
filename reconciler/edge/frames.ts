// Frames of a session, from the reconciler to one runner. In: orders, who leads. Out: what the
// transport sends. Not here: sessions themselves (nodes.ts), what orders say.

import type { SessionResponse } from '../../schema/generated/purser/link/v1/link.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import { FRAME_BYTES, ordersHash } from '../../schema/wire.ts';
import type { LeadPort } from '../ports.ts';
import type { Outbox } from './outbox.ts';

/** Room for the frame around a chunk of orders. */
const FRAME_OVERHEAD_BYTES = 1024;

/** The part of a session that tells where the cluster is led from. */
export interface Welcomed {
  readonly outbox: Outbox<SessionResponse>;
  /** By which we led when it began; null: there is one reconciler. */
  readonly term: number | null;
  /** What it was told of where reconcilers are. */
  told: string;
}

/** By which term we lead, and where the others are: at first, and whenever that is news. */
export const welcome = (session: Welcomed, lead: LeadPort | undefined): void => {
  const reconcilers = lead?.places() ?? [];
  const told = reconcilers.join();
  if (session.term === null || session.told === told) return;
  session.told = told;
  const value = { term: BigInt(session.term), reconcilers: [...reconcilers] };
  session.outbox.push({ frame: { $case: 'welcome', value } });
};

/**
 * Ends a session: this reconciler does not lead. Whom it knows is told once more: a runner that
 * never heard of the next leader would have nowhere to go.
 */
export const redirect = (outbox: Outbox<SessionResponse>, lead: LeadPort | undefined): void => {
  const leader = lead?.leader() ?? null;
  const message = leader === null ? 'nobody is known to lead' : `${leader.name} leads`;
  const value = {
    leader: leader?.address ?? '',
    message,
    reconcilers: [...(lead?.places() ?? [])],
  };
  outbox.push({ frame: { $case: 'redirect', value } });
  outbox.close();
};

export const openFrame = (stream: string, ask: Buffer): SessionResponse => ({
  frame: { $case: 'open', value: { stream, ask } },
});

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
