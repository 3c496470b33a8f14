// How a command speaks to a running reconciler: the control socket.
// In: a path. Out: calls with typed answers. Not here: what the answers look like on a screen.

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { Channel } from 'nice-grpc';
import { ClientError, createChannel, createClientFactory, Status } from 'nice-grpc';
import type { ControlServiceClient } from '../schema/generated/purser/control/v1/control.ts';
import { ControlServiceDefinition } from '../schema/generated/purser/control/v1/control.ts';
import { fromJson } from '../schema/snapshot.ts';
import { CommandError, NoReconcilerError } from './command-error.ts';

export interface Control {
  readonly call: <Answer>(method: string, argument?: unknown) => Promise<Answer>;
  readonly watch: <Answer>(
    method: string,
    signal: AbortSignal,
    argument?: unknown,
  ) => AsyncIterable<Answer>;
  readonly raw: ControlServiceClient;
  readonly close: () => void;
}

/** A snapshot of a large cluster is one message. */
const MESSAGE_BYTES = 512 * 1024 * 1024;
/** HTTP/2's own 64 KiB would make the answer of a large cluster a hundred round trips. */
const WINDOW_BYTES = 16 * 1024 * 1024;

export const connect = async (socket: string): Promise<Control> => {
  try {
    await access(socket, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
    if (code === 'EACCES') {
      throw new CommandError(`you may not open ${socket}: only root may, so run it with sudo`);
    }
    throw new NoReconcilerError(
      `no reconciler answers at ${socket}: start one with \`purser up\`, or name another place with --root`,
    );
  }
  const channel: Channel = createChannel(`unix://${socket}`, undefined, {
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
    'grpc.enable_retries': 0,
    'grpc-node.flow_control_window': WINDOW_BYTES,
  });
  const raw = createClientFactory().create(ControlServiceDefinition, channel);
  return {
    raw,
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
export const explain =
  (socket: string) =>
  (error: unknown): never => {
    if (!(error instanceof ClientError)) throw error;
    const { code, details } = error;
    // A reconciler that ends cancels what it still owes an answer.
    const cut = code === Status.CANCELLED || code === Status.UNAVAILABLE;
    if (!cut && !details.includes('connect')) throw new CommandError(details);
    throw new NoReconcilerError(
      `no reconciler answers at ${socket}: it is not running; start it with \`purser up\``,
    );
  };
