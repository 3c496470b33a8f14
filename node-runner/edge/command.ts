// Runs one short program (ip, nft, a CNI plugin) and gives its output.
// In: program, arguments, text for its standard input. Out: exit code and text, or a CommandError.
// Not here: long-lived processes, shells; nothing is ever passed through a shell.

import { spawn } from 'node:child_process';

export interface CommandAsk {
  readonly program: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program could not run, was too slow or ended with a code other than 0. */
export class CommandError extends Error {
  readonly result: CommandResult | null;

  constructor(message: string, result: CommandResult | null) {
    super(message);
    this.name = 'CommandError';
    this.result = result;
  }
}

/** Kernel calls of these programs take milliseconds; after this long one hangs. */
const TIMEOUT_MS = 15_000;
/**
 * More output than this is an error of ours: the largest real answer is a list of a thousand links.
 */
const OUTPUT_LIMIT_BYTES = 8 * 1024 * 1024;

/** Resolves whatever the exit code was; rejects with CommandError when there is none. */
export const tryCommand = (ask: CommandAsk): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(ask.program, ask.args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(ask.env === undefined ? {} : { env: ask.env }),
    });
    const limitMs = ask.timeoutMs ?? TIMEOUT_MS;
    let failure: string | null = null;
    const give = (message: string): void => {
      failure = message;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => give(`${line(ask)}: no answer within ${limitMs} ms`), limitMs);
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
        if (output[name].length > OUTPUT_LIMIT_BYTES) give(`${line(ask)}: too much output`);
      });
    }
    // A program that ends without reading its input closes the pipe; its exit code tells why.
    child.stdin.on('error', () => undefined);
    child.stdin.end(ask.input ?? '');
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(new CommandError(missing(ask, error), null));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (failure !== null) reject(new CommandError(failure, null));
      else if (code === null) reject(new CommandError(`${line(ask)}: ended by ${signal}`, null));
      else resolve({ code, ...output });
    });
  });

/** Standard output; rejects with CommandError when the code is not 0. */
export const runCommand = async (ask: CommandAsk): Promise<string> => {
  const result = await tryCommand(ask);
  if (result.code === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(0, MESSAGE_LIMIT);
  throw new CommandError(`${line(ask)}: ${said || `exit code ${result.code}`}`, result);
};

/** What a program said goes into messages for people; the first lines hold the reason. */
const MESSAGE_LIMIT = 600;

const line = (ask: CommandAsk): string => [ask.program, ...ask.args].join(' ');

const missing = (ask: CommandAsk, error: NodeJS.ErrnoException): string =>
  error.code === 'ENOENT'
    ? `the program "${ask.program}" is not installed or not in PATH`
    : `${line(ask)}: ${error.message}`;
