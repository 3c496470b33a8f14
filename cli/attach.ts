// Joins a terminal with a stream of an allocation: output out, input in, sizes as they change.
// In: an ask. Out: the exit code of what ran there. Not here: which allocation (the commands).

import type {
  AttachRequest,
  AttachResponse,
} from '../schema/generated/purser/control/v1/control.ts';
import type { StreamAsk, StreamEnd } from '../schema/streams.ts';
import type { Common } from './command.ts';
import { connect } from './client.ts';
import { CommandError } from './command-error.ts';

export interface AttachOptions {
  readonly common: Common;
  readonly ask: StreamAsk;
  readonly signal: AbortSignal;
  /** What is typed goes to the process. */
  readonly input: boolean;
  /** Where output goes; resolves when it is taken. */
  readonly write: (stream: 'stdout' | 'stderr', data: Uint8Array) => Promise<void>;
}

export const attach = async (options: AttachOptions): Promise<number> => {
  const control = await connect(options.common.socket);
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const tty = options.ask.kind === 'exec' && options.ask.tty !== null;
  if (tty) process.stdin.setRawMode(true);
  try {
    const responses = control.raw.attach(requests(options, signal), { signal });
    for await (const response of responses) {
      const end = await take(options, response);
      if (end !== null) return codeOf(end);
    }
    // Whoever serves it says how it ended, unless it went away.
    if (!options.signal.aborted) throw new CommandError('the stream was cut before its end');
    return 0;
  } catch (error) {
    if (options.signal.aborted) return 0;
    return control.explain(error);
  } finally {
    over.abort();
    if (tty) process.stdin.setRawMode(false);
    control.close();
  }
};

const take = async (
  options: AttachOptions,
  { frame }: AttachResponse,
): Promise<StreamEnd | null> => {
  if (frame?.$case === 'stdout' || frame?.$case === 'stderr') {
    await options.write(frame.$case, frame.value);
  }
  if (frame?.$case !== 'end') return null;
  return JSON.parse(Buffer.from(frame.value).toString('utf8')) as StreamEnd;
};

const codeOf = ({ code, error }: StreamEnd): number => {
  if (error !== null) throw new CommandError(error, code ?? undefined);
  return code ?? 1;
};

/** The ask, then what is typed, pulled as fast as the other side takes it. */
const requests = async function* requests(
  options: AttachOptions,
  signal: AbortSignal,
): AsyncGenerator<AttachRequest> {
  yield { frame: { $case: 'ask', value: Buffer.from(JSON.stringify(options.ask)) } };
  if (!options.input) {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return;
  }
  const queue: AttachRequest[] = [];
  let wake: () => void = () => undefined;
  const push = (request: AttachRequest) => {
    queue.push(request);
    process.stdin.pause(); // until it was taken
    wake();
  };
  const size = () => {
    const { columns, rows } = process.stdout;
    queue.push({ frame: { $case: 'resize', value: { columns, rows } } });
    wake();
  };
  process.stdin.on('data', (data: Buffer) => push({ frame: { $case: 'stdin', value: data } }));
  process.stdin.on('end', () => push({ frame: { $case: 'stdinClosed', value: true } }));
  process.stdout.on('resize', size);
  signal.addEventListener('abort', () => wake(), { once: true });
  while (!signal.aborted) {
    const next = queue.shift();
    if (next !== undefined) {
      yield next;
      continue;
    }
    process.stdin.resume();
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  process.stdout.off('resize', size);
};

/** Writes to this process's own stdout and stderr, waiting where a pipe is full. */
export const toTerminal = (stream: 'stdout' | 'stderr', data: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    if (process[stream].write(data)) resolve();
    else process[stream].once('drain', () => resolve());
  });
