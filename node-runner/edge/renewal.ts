// A node's certificate, renewed by itself. In: the identity's folder, the reconciler's address.
// Out: a new key and certificate in place of the old ones, and a call when they are there. What
// fails is tried again at the next look: there are weeks for it. Not here: the files (identity.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import { createChannel, createClientFactory } from 'nice-grpc';
import { JoinServiceDefinition } from '../../schema/generated/purser/join/v1/join.ts';
import type { RunnerLog } from '../ports.ts';
import { isDue, makeRequest, readIdentity, writeIdentity } from './identity.ts';
import { clockDoubt, credentialsOf, TLS_CHANNEL } from './tls.ts';

export interface RenewalOptions {
  readonly folder: string;
  readonly node: string;
  /** `host:port` of each reconciler: one after the other is asked. */
  readonly addresses: () => readonly string[];
  readonly log: RunnerLog;
  readonly epochMs: () => number;
  /** From 0 to 1: where in the tenth of its life this node asks. */
  readonly chance: number;
  /** The new certificate is there. */
  readonly renewed: () => void;
}

const LOOK_EVERY_MS = 3600 * 1000;
const CALL_LIMIT_MS = 30_000;

/** Looks at once and every hour until the signal; never throws. */
export const keepRenewed = async (options: RenewalOptions, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      if (await renewIfDue(options)) {
        options.log.info({ node: options.node }, 'the certificate was renewed');
        options.renewed();
      }
    } catch (error) {
      const doubt = clockDoubt(error, options.epochMs());
      options.log.warn(
        { error: String(error), ...(doubt === null ? {} : { doubt }) },
        'the certificate could not be renewed; it is tried again every hour',
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
};

/** Whether there is a new one. */
export const renewIfDue = async (options: RenewalOptions): Promise<boolean> => {
  const identity = readIdentity(options.folder);
  if (!isDue(identity.certificate, options.epochMs(), options.chance)) return false;
  const { key, request } = await makeRequest(options.node);
  let failure: unknown = new Error('no reconciler is known');
  for (const address of options.addresses()) {
    const channel = createChannel(address, credentialsOf(identity), TLS_CHANNEL);
    try {
      const client = createClientFactory().create(JoinServiceDefinition, channel);
      const limit = AbortSignal.timeout(CALL_LIMIT_MS);
      const { certificate } = await client.renew({ request }, { signal: limit });
      writeIdentity(options.folder, { authority: identity.authority, certificate, key });
      return true;
    } catch (error) {
      failure = error;
    } finally {
      channel.close();
    }
  }
  throw failure;
};
