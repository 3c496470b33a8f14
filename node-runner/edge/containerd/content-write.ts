// The one call that carries layers, Content.Write, straight over HTTP/2. The gRPC library copies
// every message three times and keeps it for a repetition that this call cannot use: a quarter of
// the processor time of a download, and more where much other memory is held, on cores that
// unpacking needs. In: messages of a write, whose bytes go to the socket as they are. Out:
// containerd's answers, or the library's own ClientError. Not here: what is written, and retries
// (content.ts).

import http2 from 'node:http2';
import net from 'node:net';
import { ClientError, Status } from 'nice-grpc';
import {
  ContentDefinition,
  WriteContentRequest,
  WriteContentResponse,
} from './generated/containerd/content.ts';

export interface ContentWriteOptions {
  readonly socket: string;
  /** The containerd namespace, and the lease where there is one. */
  readonly headers: Readonly<Record<string, string>>;
}

export type ContentWrite = (
  messages: AsyncIterable<WriteContentRequest>,
  options?: { readonly signal?: AbortSignal },
) => AsyncIterable<WriteContentResponse>;

const PATH = `/${ContentDefinition.fullName}/${ContentDefinition.methods.write.name}`;
/** Field 6 of a request, `data`, of type bytes. */
const DATA_TAG = 50;
const NO_BYTES = new Uint8Array(0);
/** gRPC: one byte of flags and four of length stand before each message. */
const PREFIX_BYTES = 5;
/** An answer is some hundred bytes; containerd's own limit of a message is 16 MiB. */
const ANSWER_MAX_BYTES = 64 * 1024;

/** Each write has a connection of its own, so that none waits for another one's window. */
export const createContentWrite = ({ socket, headers }: ContentWriteOptions): ContentWrite =>
  async function* (messages, { signal } = {}) {
    signal?.throwIfAborted();
    const session = http2.connect('http://localhost', {
      createConnection: () => net.connect(socket),
    });
    // What breaks a connection breaks the stream on it, and is told there.
    session.on('error', () => undefined);
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': PATH,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      },
      { endStream: false, ...(signal === undefined ? {} : { signal }) },
    );
    const state: { status: ClientError | 'ok' | null; sender: unknown } = {
      status: null,
      sender: null,
    };
    // An abort may come while nobody reads; without a listener it would end the process.
    stream.on('error', () => undefined);
    stream.on('response', (answer) => (state.status ??= statusOf(answer)));
    stream.on('trailers', (answer) => (state.status ??= statusOf(answer)));
    void sendAll(stream, messages).catch((error: unknown) => {
      state.sender = error;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    });
    try {
      yield* answersOf(stream);
      if (state.status === 'ok') return;
      throw state.status ?? state.sender ?? unavailable('the connection was closed');
    } catch (error) {
      signal?.throwIfAborted();
      throw state.status instanceof ClientError ? state.status : (state.sender ?? lost(error));
    } finally {
      stream.destroy();
      session.destroy();
    }
  };

/** Two messages may be on their way: one is read by containerd while the next is made ready. */
const sendAll = async (
  stream: http2.ClientHttp2Stream,
  messages: AsyncIterable<WriteContentRequest>,
): Promise<void> => {
  let before: Promise<void> | null = null;
  for await (const message of messages) {
    const now = send(stream, message);
    // Who waits for it may be gone by the time it fails.
    now.catch(() => undefined);
    await before;
    before = now;
  }
  stream.end();
};

const send = (stream: http2.ClientHttp2Stream, message: WriteContentRequest): Promise<void> =>
  new Promise((resolve, reject) => {
    const { data } = message;
    const fields = WriteContentRequest.encode({ ...message, data: NO_BYTES });
    if (data.length > 0) fields.uint32(DATA_TAG).uint32(data.length);
    const head = fields.finish();
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(head.length + data.length, 1);
    const written = (error?: Error | null): void =>
      error === undefined || error === null ? resolve() : reject(error);
    stream.cork();
    stream.write(prefix);
    stream.write(head, data.length > 0 ? undefined : written);
    if (data.length > 0) stream.write(data, written);
    stream.uncork();
  });

const answersOf = async function* (
  stream: AsyncIterable<Buffer>,
): AsyncGenerator<WriteContentResponse> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= PREFIX_BYTES) {
      const bytes = held.readUInt32BE(1);
      if (bytes > ANSWER_MAX_BYTES)
        throw new ClientError(PATH, Status.RESOURCE_EXHAUSTED, `an answer of ${bytes} bytes`);
      if (held.length < PREFIX_BYTES + bytes) break;
      yield WriteContentResponse.decode(held.subarray(PREFIX_BYTES, PREFIX_BYTES + bytes));
      held = held.subarray(PREFIX_BYTES + bytes);
    }
  }
};

/** What the headers or trailers of an answer say of how the call ended; null: nothing yet. */
const statusOf = (headers: http2.IncomingHttpHeaders): ClientError | 'ok' | null => {
  const code = headers['grpc-status'];
  if (code === undefined) return null;
  if (code === '0') return 'ok';
  const status = Number(code);
  const details = decodeURIComponent(String(headers['grpc-message'] ?? ''));
  return new ClientError(PATH, status in Status ? status : Status.UNKNOWN, details);
};

const unavailable = (why: string): ClientError => new ClientError(PATH, Status.UNAVAILABLE, why);

const lost = (error: unknown): unknown =>
  error instanceof ClientError
    ? error
    : unavailable(error instanceof Error ? error.message : String(error));
