// Copies that left discovery a moment ago. Nobody is sent to them any more, but whoever was told
// one's own name the moment before asks for its address next, and must find it.
// In: catalogues one after the other, the time. Out: the copies that left. Pure. Not here: what a
// name means (dns.ts).

import {
  type Catalogue,
  type CatalogueService,
  serviceId,
  type ServiceInstance,
} from '../../schema/services.ts';
import type { Ms } from '../../schema/spec.ts';

export interface DepartedCopy {
  /** Of its service. */
  readonly service: string;
  readonly instance: ServiceInstance;
  /** When it left, on the clock of whoever asks. */
  readonly at: Ms;
}

/** Answers may be kept for a second; a client that waits for an answer asks again for some seconds. */
const KEPT_MS = 10_000;

/** Those that are remembered from now on; a copy that is back may stand among them. */
export const departedAfter = (
  earlier: readonly DepartedCopy[],
  {
    before,
    now,
    at,
  }: { readonly before: Catalogue | null; readonly now: Catalogue; readonly at: Ms },
): readonly DepartedCopy[] => {
  const kept = earlier.filter((one) => at - one.at < KEPT_MS);
  const services = new Map(now.services.map((one) => [serviceId(one), one]));
  const left = (before?.services ?? []).flatMap((service) => {
    const id = serviceId(service);
    const since = services.get(id);
    if (since === service) return [];
    return goneFrom(service, since).map((instance) => ({ service: id, instance, at }));
  });
  return [...kept, ...left];
};

const goneFrom = (
  { instances }: CatalogueService,
  since: CatalogueService | undefined,
): readonly ServiceInstance[] => {
  const there = new Set((since?.instances ?? []).map(({ allocation }) => allocation));
  return instances.filter(({ allocation }) => allocation !== null && !there.has(allocation));
};
