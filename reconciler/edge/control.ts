// The control socket: what the command line may ask of a running reconciler.
// In: handlers by method name. Out: a gRPC service. Errors become messages for people. Not here:
// what methods do.

import { createHash } from 'node:crypto';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import type {
  AttachRequest,
  AttachResponse,
  ControlServiceImplementation,
  WatchResponse,
} from '../../schema/generated/purser/control/v1/control.ts';
import type {
  AttachRequest as RunnerFrame,
  AttachResponse as RunnerInput,
} from '../../schema/generated/purser/link/v1/link.ts';
import { toJson } from '../../schema/snapshot.ts';
import { checkAsk } from '../../schema/streams.ts';
import { messageOf } from './git/failure.ts';
import type { Streams } from './streams.ts';

export type Handler = (argument: unknown) => Promise<unknown>;

export interface ControlOptions {
  readonly handlers: Readonly<Record<string, Handler>>;
  /** Calls back after every change; returns the way to stop. */
  readonly changes: (listener: () => void) => () => void;
  readonly streams: Streams;
}

export const createControl = (options: ControlOptions): ControlServiceImplementation => {
  const answer = async (method: string, argument: Uint8Array): Promise<Buffer> => {
    const handler = options.handlers[method];
    if (handler === undefined) {
      throw new ServerError(
        Status.UNIMPLEMENTED,
        `this reconciler does not know \`${method}\`: it is of another release than this command`,
      );
    }
    try {
      const parsed: unknown =
        argument.length === 0 ? null : JSON.parse(Buffer.from(argument).toString('utf8'));
      return Buffer.from(toJson((await handler(parsed)) ?? null));
    } catch (error) {
      // What it was asked by is old: whoever asks may look again.
      const status = isStale(error) ? Status.ABORTED : Status.FAILED_PRECONDITION;
      throw new ServerError(status, messageOf(error));
    }
  };

  return {
    call: async ({ method, argument }) => ({ value: await answer(method, argument) }),
    watch: async function* watch({ method, argument }, context: CallContext) {
      yield* watchAnswers(() => answer(method, argument), options.changes, context.signal);
    },
    attach: async function* attach(requests, context: CallContext) {
      yield* attachTo(options.streams, requests, context.signal);
    },
  };
};

const isStale = (error: unknown): boolean =>
  error instanceof Error && 'consequence' in error && error.consequence === 'stale';

/**
 * The answer of a large cluster takes a while to make: so many times as long nothing is made for
 * the same watcher, who gets a quarter of the loop at most, and the last answer gets on its way.
 */
const REST_TIMES = 3;
/** However long it took: part of that time others may have had. */
const REST_MAX_MS = 1000;

/**
 * The answer now and whenever a change changes it; changes that come meanwhile are one.
 */
const watchAnswers = async function* watchAnswers(
  answer: () => Promise<Buffer>,
  changes: ControlOptions['changes'],
  signal: AbortSignal,
): AsyncGenerator<WatchResponse> {
  let changed = true;
  // Of the last answer, which itself is not kept: there may be many that watch.
  let last = '';
  let wake: () => void = () => undefined;
  const notify = () => {
    changed = true;
    wake();
  };
  const stop = changes(notify);
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  signal.addEventListener('abort', notify, { once: true });
  try {
    while (!signal.aborted) {
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed = false;
      const began = performance.now();
      const next = await answer();
      const tookMs = performance.now() - began;
      const digest = createHash('sha256').update(next).digest('base64');
      if (digest !== last) {
        const { message, taken } = handed(next);
        yield message;
        await Promise.race([taken, aborted]);
      }
      last = digest;
      const restMs = Math.min(REST_TIMES * tookMs, REST_MAX_MS);
      // Timers count from the beginning of this turn of the loop, which the answer took up.
      await turn();
      await sleep(restMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    stop();
  }
};

/**
 * The server asks for sixteen messages ahead of whoever reads them. `taken` settles when this one is
 * put into bytes, which it is once those before it are gone: no other answer is made until then.
 */
const handed = (
  value: Buffer,
): { readonly message: WatchResponse; readonly taken: Promise<void> } => {
  let isTaken: () => void = () => undefined;
  const taken = new Promise<void>((resolve) => {
    isTaken = resolve;
  });
  const message = {
    get value() {
      isTaken();
      return value;
    },
  };
  return { message, taken };
};

const attachTo = async function* attachTo(
  streams: Streams,
  requests: AsyncIterable<AttachRequest>,
  signal: AbortSignal,
): AsyncGenerator<AttachResponse> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const frame = first.done === true ? undefined : first.value.frame;
  if (frame?.$case !== 'ask') return;
  const ask = checkAsk(frame.value);
  try {
    if (ask === null) throw new Error('this asks for no log and no process of a copy');
    for await (const output of streams.open(
      ask,
      inputOf({ [Symbol.asyncIterator]: () => iterator }),
    )) {
      if (signal.aborted) return;
      const response = responseOf(output);
      if (response !== null) yield response;
    }
  } catch (error) {
    const end = Buffer.from(JSON.stringify({ code: null, error: messageOf(error) }));
    yield { frame: { $case: 'end', value: end } };
  }
};

const inputOf = async function* inputOf(
  requests: AsyncIterable<AttachRequest>,
): AsyncGenerator<RunnerInput> {
  for await (const { frame } of requests) {
    if (frame?.$case === 'stdin') yield { frame: { $case: 'stdin', value: frame.value } };
    if (frame?.$case === 'stdinClosed') yield { frame: { $case: 'stdinClosed', value: true } };
    if (frame?.$case === 'resize') yield { frame: { $case: 'resize', value: frame.value } };
  }
};

const responseOf = ({ frame }: RunnerFrame): AttachResponse | null => {
  if (frame === undefined || frame.$case === 'stream') return null;
  return { frame: { $case: frame.$case, value: frame.value } };
};
