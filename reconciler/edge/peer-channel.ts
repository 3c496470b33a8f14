// How one reconciler dials another: by TLS 1.3, with a certificate of the authority whose key they
// share. In: an address. Out: a client of its control service, for one errand. Not here: what is asked.

import { createSecureContext } from 'node:tls';
import { ChannelCredentials, connectivityState } from '@grpc/grpc-js';
import { type Channel, createChannel, createClient } from 'nice-grpc';
import {
  type ControlServiceClient,
  ControlServiceDefinition,
} from '../../schema/generated/purser/control/v1/control.ts';
import { RECONCILER_HOST } from '../../schema/identity.ts';
import { MESSAGE_BYTES } from '../../schema/wire.ts';
import type { Authority } from './authority/authority.ts';

export interface PeerClient {
  readonly client: ControlServiceClient;
  readonly close: () => void;
}

export type PeerAuthority = Pick<Authority, 'certificate' | 'peer'>;

/** One that is there answers within milliseconds; one whose machine is off never does. */
const CONNECT_MS = 3000;
/** A machine that is cut off says nothing: so long after its last word it counts as gone. */
const ALIVE_MS = 5000;

/** `close` cuts calls under way. Throws where nobody of this cluster answers there. */
export const dialPeer = async (
  address: string,
  { certificate: ca, peer }: PeerAuthority,
): Promise<PeerClient> => {
  const { certificate: cert, key } = await peer();
  const context = createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' });
  const channel = createChannel(address, ChannelCredentials.createFromSecureContext(context), {
    'grpc.ssl_target_name_override': RECONCILER_HOST,
    'grpc.enable_retries': 0,
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
    'grpc.keepalive_time_ms': ALIVE_MS,
    'grpc.keepalive_timeout_ms': ALIVE_MS,
  });
  if (!(await isThere(channel))) {
    channel.close();
    throw new Error(`nobody of this cluster answers at ${address}`);
  }
  return {
    client: createClient(ControlServiceDefinition, channel),
    close: () => channel.close(),
  };
};

const isThere = async (channel: Channel): Promise<boolean> => {
  const until = Date.now() + CONNECT_MS;
  while (true) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return true;
    if (state === connectivityState.TRANSIENT_FAILURE || Date.now() > until) return false;
    await new Promise<void>((resolve) => {
      channel.watchConnectivityState(state, until, () => resolve());
    });
  }
};
