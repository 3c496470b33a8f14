// A runner that sends reports without pause is heard at a pace: what it sends meanwhile waits on its
// own side, since the link is read no faster.
// In: the service of the link. Out: the same, read at that pace. Not here: what reports say.

import { setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from 'nice-grpc';
import type {
  LinkServiceImplementation,
  SessionRequest,
} from '../../../schema/generated/purser/link/v1/link.ts';
import type { Ms } from '../../../schema/spec.ts';
import type { LogPort } from '../../ports.ts';
import { createAllowance } from './allowance.ts';
import { REPORTS } from './limits.ts';

export interface PaceOptions {
  readonly log: LogPort;
  readonly now: () => Ms;
}

export const paced = (
  service: LinkServiceImplementation,
  options: PaceOptions,
): LinkServiceImplementation => ({
  session: (requests, context) => service.session(slowly(requests, context, options), context),
  attach: (requests, context) => service.attach(requests, context),
});

const slowly = async function* slowly(
  requests: AsyncIterable<SessionRequest>,
  { peer: address, signal }: CallContext,
  { log, now }: PaceOptions,
): AsyncGenerator<SessionRequest> {
  const reports = createAllowance({ ...REPORTS, names: 1, now });
  for await (const request of requests) {
    while (!reports.take('all')) {
      log.warn({ address }, 'a runner sends more reports than it may: it is heard later');
      await sleep(reports.waitMs('all'), undefined, { signal });
    }
    yield request;
  }
};
