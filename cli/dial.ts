// The control socket as gRPC, which takes as long to load as all the rest of a command: only what
// calls a reconciler waits for it (client.ts).
// In: the path of a socket. Out: calls with typed answers; what the transport says, in sentences.
// Not here: whether the socket is there and may be opened.

import type { Channel } from 'nice-grpc';
import { ClientError, createChannel, createClientFactory, Metadata, Status } from 'nice-grpc';
import { clockDoubt, credentialsOf, TLS_CHANNEL } from '../node-runner/edge/tls.ts';
import type { ControlServiceClient } from '../schema/generated/purser/control/v1/control.ts';
import { ControlServiceDefinition } from '../schema/generated/purser/control/v1/control.ts';
import { fromJson } from '../schema/snapshot.ts';
import { CommandError, NoReconcilerError, StaleError } from './command-error.ts';

export interface Control {
  readonly call: <Answer>(method: string, argument?: unknown) => Promise<Answer>;
  readonly watch: <Answer>(
    method: string,
    signal: AbortSignal,
    argument?: unknown,
  ) => AsyncIterable<Answer>;
  readonly raw: ControlServiceClient;
  /** Throws what the transport said as a sentence for people. */
  readonly explain: (error: unknown) => never;
  readonly close: () => void;
}

/** A snapshot of a large cluster is one message. */
const MESSAGE_BYTES = 512 * 1024 * 1024;
/** HTTP/2's own 64 KiB would make the answer of a large cluster a hundred round trips. */
const WINDOW_BYTES = 16 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES,
  'grpc.max_send_message_length': MESSAGE_BYTES,
  'grpc.enable_retries': 0,
  'grpc-node.flow_control_window': WINDOW_BYTES,
};

export const dial = (socket: string): Control =>
  controlOf(createChannel(`unix://${socket}`, undefined, CHANNEL_OPTIONS), socket);

/** `host:port`, and whom to trust there (PEM). The token goes nowhere else. */
export const dialTls = (
  address: string,
  { authority, token }: { readonly authority: string; readonly token: string },
): Control => {
  const options = { ...CHANNEL_OPTIONS, ...TLS_CHANNEL };
  const channel = createChannel(address, credentialsOf({ authority }), options);
  return controlOf(channel, address, Metadata({ authorization: `Bearer ${token}` }));
};

const controlOf = (channel: Channel, socket: string, metadata = Metadata()): Control => {
  const raw = createClientFactory()
    .use((call, options) => call.next(call.request, { ...options, metadata }))
    .create(ControlServiceDefinition, channel);
  return {
    raw,
    explain: explain(socket),
    close: () => channel.close(),
    call: async <Answer>(method: string, argument: unknown = null) => {
      const bytes = Buffer.from(JSON.stringify(argument));
      const { value } = await raw.call({ method, argument: bytes }).catch(explain(socket));
      return fromJson(Buffer.from(value).toString('utf8')) as Answer;
    },
    watch: async function* watch<Answer>(
      method: string,
      signal: AbortSignal,
      argument: unknown = null,
    ) {
      const ask = { method, argument: Buffer.from(JSON.stringify(argument)) };
      try {
        for await (const { value } of raw.watch(ask, { signal })) {
          yield fromJson(Buffer.from(value).toString('utf8')) as Answer;
        }
      } catch (error) {
        if (!signal.aborted) explain(socket)(error);
      }
    },
  };
};

/** Turns what the transport says into a sentence for people. */
const explain =
  (socket: string) =>
  (error: unknown): never => {
    if (!(error instanceof ClientError)) throw error;
    const { code, details } = error;
    if (code === Status.ABORTED) throw new StaleError(details);
    // A reconciler that ends cancels what it still owes an answer.
    const cut = code === Status.CANCELLED || code === Status.UNAVAILABLE;
    if (!cut && !details.includes('connect')) throw new CommandError(details);
    const why = clockDoubt(details, Date.now());
    throw new NoReconcilerError(
      `no reconciler answers at ${socket}: ${why ?? 'it is not running; start it with `purser up`'}`,
    );
  };
