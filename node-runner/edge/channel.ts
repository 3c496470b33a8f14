// How a runner reaches a reconciler: one connection an address. In: an address, and for TLS the folder
// of the node's certificate. Out: a channel. Not here: when to dial, and whom (link.ts, places.ts).

import type { Channel } from 'nice-grpc';
import { createChannel } from 'nice-grpc';
import { TLS_SCHEME } from '../../schema/identity.ts';
import { MESSAGE_BYTES } from '../../schema/wire.ts';
import { readIdentity } from './identity.ts';
import { credentialsOf, TLS_CHANNEL } from './tls.ts';

/** First and longest wait between dials. */
export const DIAL_FIRST_MS = 50;
export const DIAL_LONGEST_MS = 5000;

const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': DIAL_FIRST_MS,
  'grpc.max_reconnect_backoff_ms': DIAL_LONGEST_MS,
  'grpc.max_receive_message_length': MESSAGE_BYTES,
  'grpc.max_send_message_length': MESSAGE_BYTES,
};

/**
 * A channel to `unix:/path`, `host:port` or `tls:host:port`; for the last a folder with this node's
 * certificate, which is read anew for each dial: it may have been renewed.
 */
export const channelTo = (address: string, identity?: string): Channel => {
  if (!address.startsWith(TLS_SCHEME)) {
    return createChannel(targetOf(address), undefined, CHANNEL_OPTIONS);
  }
  const credentials = credentialsOf(readIdentity(identity ?? ''));
  const options = { ...CHANNEL_OPTIONS, ...TLS_CHANNEL };
  return createChannel(address.slice(TLS_SCHEME.length), credentials, options);
};

/** grpc takes `unix:/path` for a host unless there are two slashes more. */
const targetOf = (address: string): string => address.replace(/^unix:\/(?!\/)/, 'unix:///');
