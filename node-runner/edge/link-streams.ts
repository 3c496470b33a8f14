// The runner's side of one stream for logs or exec: what serves it is given, this carries the
// bytes.
// In: an ask. Out: frames to the reconciler; input back. Backpressure comes from pulling both ways.

import type {
  AttachRequest,
  AttachResponse,
  LinkServiceClient,
} from '../../schema/generated/purser/link/v1/link.ts';
import { checkAsk, type StreamAsk, type StreamEnd } from '../../schema/streams.ts';
import type { RunnerLog } from '../ports.ts';

/** What serves a stream: output until its end, and where input goes. */
export interface ServedStream {
  readonly output: AsyncIterable<{
    readonly stream: 'stdout' | 'stderr';
    readonly data: Uint8Array;
  }>;
  readonly end: () => Promise<StreamEnd>;
  readonly write: (data: Uint8Array) => Promise<void>;
  readonly closeInput: () => Promise<void>;
  readonly resize: (columns: number, rows: number) => Promise<void>;
  /** The person went away. */
  readonly stop: () => Promise<void>;
}

export type ServeStream = (ask: StreamAsk) => Promise<ServedStream>;

export interface AttachOptions {
  readonly client: LinkServiceClient;
  readonly stream: string;
  readonly ask: StreamAsk;
  readonly serve: ServeStream;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
}

/** What a reconciler asks for, if it asks for something of this node; never throws. */
export const openStream = async (
  { stream, ask: bytes }: { readonly stream: string; readonly ask: Uint8Array },
  node: string,
  options: Omit<AttachOptions, 'ask' | 'stream'>,
): Promise<void> => {
  const ask = checkAsk(bytes);
  if (ask?.node === node) return attachStream({ ...options, stream, ask });
  options.log.warn({}, 'a stream that is none of this node was asked for; it is not opened');
};

/**
 * Serves the ask over a stream of its own. Never throws: what goes wrong is told in the end frame.
 */
const attachStream = async (options: AttachOptions): Promise<void> => {
  const { client, stream, log, signal } = options;
  let served: ServedStream | null = null;
  try {
    served = await options.serve(options.ask);
    const responses = client.attach(outgoing(stream, served), { signal });
    for await (const response of responses) await input(served, response);
  } catch (error) {
    if (served === null) await refuse(options, error);
    else log.info({ error: String(error) }, 'a log or exec stream was cut');
  } finally {
    await served?.stop().catch(() => undefined);
  }
};

const outgoing = async function* outgoing(
  stream: string,
  served: ServedStream,
): AsyncGenerator<AttachRequest> {
  yield { frame: { $case: 'stream', value: stream } };
  try {
    for await (const { stream: name, data } of served.output) {
      yield { frame: { $case: name, value: Buffer.from(data) } };
    }
    yield endFrame(await served.end());
  } catch (error) {
    yield endFrame({ code: null, error: messageOf(error) });
  }
};

const input = async (served: ServedStream, { frame }: AttachResponse): Promise<void> => {
  switch (frame?.$case) {
    case 'stdin':
      return served.write(frame.value);
    case 'stdinClosed':
      return served.closeInput();
    case 'resize':
      return served.resize(frame.value.columns, frame.value.rows);
    case undefined:
  }
};

const refuse = async ({ client, stream, signal }: AttachOptions, error: unknown): Promise<void> => {
  const frames = async function* frames(): AsyncGenerator<AttachRequest> {
    yield { frame: { $case: 'stream', value: stream } };
    yield endFrame({ code: null, error: messageOf(error) });
  };
  const drain = async () => {
    for await (const _ of client.attach(frames(), { signal })) continue;
  };
  await drain().catch(() => undefined); // the link itself is gone: the other side has seen it
};

const endFrame = (end: StreamEnd): AttachRequest => ({
  frame: { $case: 'end', value: Buffer.from(JSON.stringify(end)) },
});

const messageOf = (error: unknown): string => {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return String(error.message);
  }
  return String(error);
};
