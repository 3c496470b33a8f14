// Logs and exec through the reconciler: it asks a runner to open a stream, and joins it with the
// person's.
// In: an ask and input. Out: output and an end. Every pipe is pulled, so a slow terminal slows its
// own process and nothing else. Not here: the report stream, which never carries these bytes (rules
// 10.4).

import { randomUUID } from 'node:crypto';
import type { AttachRequest, AttachResponse } from '../../schema/generated/purser/link/v1/link.ts';
import type { StreamAsk } from '../../schema/streams.ts';

export interface Streams {
  /** The runner's side of a stream; `admits` says why the caller may not speak for a node. */
  readonly attach: (
    requests: AsyncIterable<AttachRequest>,
    admits: (node: string) => string | null,
  ) => AsyncGenerator<AttachResponse>;
  /** Frames from the runner; `input` is sent to it. Throws when the node does not answer. */
  readonly open: (
    ask: StreamAsk,
    input: AsyncIterable<AttachResponse>,
  ) => AsyncGenerator<AttachRequest>;
}

interface Waiting {
  readonly node: string;
  readonly input: AsyncIterable<AttachResponse>;
  readonly arrived: (output: AsyncIterable<AttachRequest>) => void;
  /** Settles when the person's side is over. */
  readonly over: Promise<void>;
}

/** A runner that does not open its stream in this time is taken for gone. */
const OPEN_TIMEOUT_MS = 10_000;

export const createStreams = (
  ask: (node: string, stream: string, ask: StreamAsk) => boolean,
): Streams => {
  const waiting = new Map<string, Waiting>();

  return {
    attach: async function* attach(requests, admits) {
      const iterator = requests[Symbol.asyncIterator]();
      const first = await iterator.next();
      const frame = first.done === true ? undefined : first.value.frame;
      const entry = frame?.$case === 'stream' ? waiting.get(frame.value) : undefined;
      if (frame?.$case !== 'stream' || entry === undefined || admits(entry.node) !== null) return;
      waiting.delete(frame.value);
      entry.arrived({ [Symbol.asyncIterator]: () => iterator });
      yield* until(entry.input, entry.over);
    },
    open: async function* open(request, input) {
      const stream = randomUUID();
      let over = () => {};
      const overPromise = new Promise<void>((resolve) => {
        over = resolve;
      });
      try {
        const output = await new Promise<AsyncIterable<AttachRequest>>((arrived, reject) => {
          waiting.set(stream, { node: request.node, input, arrived, over: overPromise });
          if (!ask(request.node, stream, request)) {
            reject(new Error(`node ${request.node} is not connected`));
            return;
          }
          setTimeout(
            () => reject(new Error(`node ${request.node} did not answer within 10s`)),
            OPEN_TIMEOUT_MS,
          ).unref();
        });
        yield* output;
      } finally {
        waiting.delete(stream);
        over();
      }
    },
  };
};

/** The input until it ends or the other side is over. */
const until = async function* until<T>(
  input: AsyncIterable<T>,
  over: Promise<void>,
): AsyncGenerator<T> {
  const iterator = input[Symbol.asyncIterator]();
  const ended = over.then(() => ({ done: true as const, value: undefined }));
  while (true) {
    const next = await Promise.race([iterator.next(), ended]);
    if (next.done === true) return;
    yield next.value;
  }
};
