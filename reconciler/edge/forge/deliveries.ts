// GitHub's own list of what it sent to the App: so a webhook that was lost, or that nobody could
// receive, loses no click.
// In: the wire. Out: deliveries that were not seen, each once, handed on one by one: a question that
// fails loses none of those before it. Not here: what they mean (clicks).

import type { ClockPort } from '../../ports.ts';
import type { ApiDelivery } from './answers.ts';
import type { Delivery } from './clicks.ts';
import { ASKED_AGE_MS } from './commands.ts';
import type { Place } from './place.ts';
import type { Wire } from './wire.ts';

export interface Deliveries {
  /** Of events that can hold a click, oldest first. */
  readonly fresh: (take: (delivery: Delivery) => void) => Promise<void>;
  /** It came by webhook. */
  readonly seen: (id: string) => void;
}

export interface DeliveriesOptions {
  readonly clock: ClockPort;
  readonly isOurs: Place['isOurs'];
}

/** 6,000 deliveries between two looks: a storm of 5,000 hides nothing. */
const PAGES_MAX = 60;
/** Whole deliveries fetched in one look; the rest is fetched in the next ones. */
const FETCHED_A_LOOK = 30;
const SEEN_MAX = 20_000;
/** GitHub lists a delivery a moment after it was made. */
const OVERLAP_MS = 10 * 60_000;

export const createDeliveries = (wire: Wire, { clock, isOurs }: DeliveriesOptions): Deliveries => {
  const known = new Set<string>();
  let listedTo = 0;

  const seen = (id: string): void => {
    known.add(id);
    const [oldest] = known;
    if (known.size > SEEN_MAX && oldest !== undefined) known.delete(oldest);
  };

  const whole = async ({ id, guid, event, delivered_at: at }: ApiDelivery): Promise<Delivery> => {
    const request = await wire.poll({
      route: 'GET /app/hook/deliveries/{delivery_id}',
      params: { delivery_id: id },
      pick: (data) => (data as { readonly request: ApiRequest }).request,
      once: true,
    });
    const headers = Object.entries(request.headers ?? {});
    const signed = headers.find(([name]) => name.toLowerCase() === 'x-hub-signature-256');
    const payload = request.payload;
    return { id: guid, event, payload, signature: signed?.[1] ?? '', at: Date.parse(at) };
  };

  return {
    seen,
    fresh: async (take) => {
      const now = clock.epochMs?.() ?? 0;
      const from = Math.max(now - ASKED_AGE_MS, listedTo - OVERLAP_MS);
      const listed = await wire.newest<ApiDelivery>(
        {
          route: 'GET /app/hook/deliveries',
          params: {},
          pick: (data) => data as readonly ApiDelivery[],
        },
        { isOld: (one) => Date.parse(one.delivered_at) < from, pagesMax: PAGES_MAX },
      );
      // The list is the App's, of all repositories that it is installed in.
      const isAsked = (one: ApiDelivery): boolean =>
        canAsk(one) && isOurs({ id: one.repository_id, name: null }) && !known.has(one.guid);
      const wanted = listed.filter(isAsked).toReversed();
      for (const one of wanted.slice(0, FETCHED_A_LOOK)) {
        if (known.has(one.guid)) continue; // the same, delivered again
        take(await whole(one));
        seen(one.guid);
      }
      // What was not fetched stays within the next look's reach.
      if (wanted.length <= FETCHED_A_LOOK) {
        listedTo = Math.max(listedTo, ...listed.map((one) => Date.parse(one.delivered_at)));
      }
    },
  };
};

interface ApiRequest {
  readonly headers: Readonly<Record<string, string>> | null;
  readonly payload: unknown;
}

const canAsk = ({ event, action }: ApiDelivery): boolean =>
  (event === 'check_run' && (action === 'requested_action' || action === 'rerequested')) ||
  (event === 'check_suite' && action === 'rerequested');
