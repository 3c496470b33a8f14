// What a person asks of a running allocation, served on the node: its log, a process inside it.
// In: an ask that came over the link. Out: output, and where input goes. Not here: the transport
// (edge/link-streams).

import { containerId } from '../schema/ids.ts';
import type { StreamAsk, StreamEnd } from '../schema/streams.ts';
import type { ServedStream, ServeStream } from './edge/link-streams.ts';
import { readLog } from './edge/store/read-log.ts';
import type { ExecSession, RuntimeFailure, RuntimePort } from './ports.ts';

export interface ServeOptions {
  readonly runtime: Pick<RuntimePort, 'exec'>;
  /** The store's root, where the logs lie. */
  readonly root: string;
}

/** SIGHUP: what a terminal sends to a process when its person goes away. */
const SIGHUP = 1;
/** Shells add 128 to the signal that ended a process. */
const SIGNAL_BASE = 128;
/** What shells answer for a command that is not there or cannot be run. */
const NO_COMMAND = 127;

export const serveStreams =
  (options: ServeOptions): ServeStream =>
  (ask) =>
    ask.kind === 'logs' ? serveLog(options, ask) : serveExec(options, ask);

const serveLog = async (
  { root }: ServeOptions,
  ask: Extract<StreamAsk, { kind: 'logs' }>,
): Promise<ServedStream> => {
  const abort = new AbortController();
  const { allocation, task, tail, follow } = ask;
  const previous = ask.previous ? 1 : 0;
  const log = readLog({ root, allocation, task, tail, follow, previous, signal: abort.signal });
  let end: StreamEnd = { code: 0, error: null };
  const output = async function* output() {
    try {
      for await (const data of log) yield { stream: 'stdout' as const, data };
    } catch (error) {
      if (!isNoLog(error)) throw error;
      end = { code: NOTHING_TO_SHOW, error: error.message };
    }
  };
  return {
    output: output(),
    end: async () => end,
    write: async () => undefined,
    closeInput: async () => undefined,
    resize: async () => undefined,
    stop: async () => abort.abort(),
  };
};

/** What `purser logs` ends with where a task has not started, or not as often as is asked. */
const NOTHING_TO_SHOW = 1;

const isNoLog = (error: unknown): error is Error =>
  error instanceof Error && hasReason(error, 'not-found');

const serveExec = async (
  { runtime }: ServeOptions,
  ask: Extract<StreamAsk, { kind: 'exec' }>,
): Promise<ServedStream> => {
  let session: ExecSession;
  try {
    session = await runtime.exec({
      container: containerId(ask.allocation, ask.task),
      args: ask.args,
      env: ask.tty === null ? [] : ['TERM=xterm'],
      tty: ask.tty,
    });
  } catch (error) {
    if (!hasReason(error, 'command-not-found')) throw error;
    return endedWith({ code: NO_COMMAND, error: missingWords(ask) });
  }
  let ended = false;
  return {
    output: session.output,
    end: async (): Promise<StreamEnd> => {
      const { code, signal } = await session.exit;
      ended = true;
      return { code: signal === null ? code : SIGNAL_BASE + signal, error: null };
    },
    write: session.write,
    closeInput: session.closeInput,
    resize: session.resize,
    stop: async () => {
      if (!ended) await session.kill(SIGHUP);
    },
  };
};

const hasReason = (error: unknown, reason: RuntimeFailure['reason']): boolean =>
  typeof error === 'object' && error !== null && 'reason' in error && error.reason === reason;

const missingWords = ({ args, task }: Extract<StreamAsk, { kind: 'exec' }>): string =>
  `task ${task} has no program \`${args[0] ?? ''}\` that runs there: give a path inside its image, ` +
  'or one of its PATH';

const endedWith = (end: StreamEnd): ServedStream => ({
  output: (async function* output() {})(),
  end: async () => end,
  write: async () => undefined,
  closeInput: async () => undefined,
  resize: async () => undefined,
  stop: async () => undefined,
});
