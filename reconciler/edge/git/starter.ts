// Starts git from a small process. Node starts a program by forking itself, and a fork copies the
// tables of all its memory: with 10,000 jobs some 60 ms in which the thread stands still, and every
// other one that wants a page of memory too. A shell that was started early forks within one. In: a
// command, one after the other. Out: its exit code and what it wrote. Not here: what is run
// (pull-fetch), input for it, other users (command).

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { hold } from './batch.ts';
import type { Command, CommandResult } from './command.ts';
import { FILE_BLOCK_BYTES, gitEnvironment, verbOf } from './command.ts';
import { messageOf, retry } from './failure.ts';
import { COMMAND_MS, STARTED_OUTPUT_BYTES } from './limits.ts';

export type Started = Omit<Command, 'input' | 'owner'>;

export interface Starter {
  /** As `runGit`: throws GitFailure (`retry`) where it cannot be started or takes too long. */
  readonly run: (command: Started) => Promise<CommandResult>;
  readonly close: () => void;
}

export const createStarter = (): Starter => {
  let shell = startShell();
  let turn: Promise<unknown> = Promise.resolve();
  return {
    run: (command) => {
      const mine = turn.then(() => {
        if (shell.ended()) shell = startShell();
        return shell.run(command);
      });
      turn = mine.catch(() => undefined);
      return mine;
    },
    close: () => shell.close(),
  };
};

interface Shell extends Starter {
  readonly ended: () => boolean;
}

interface Waiting {
  /** What stands at the end of each output when the command is done; nobody can guess it. */
  readonly mark: string;
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
}

const startShell = (): Shell => {
  // A group of its own, so that what it runs can be ended with it.
  const child = spawn('sh', [], {
    env: gitEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  hold(child, false);
  let waiting: Waiting | null = null;
  let ended = false;
  const end = (why: string): void => {
    if (ended) return;
    ended = true;
    killGroup(child);
    waiting?.reject(retry(why));
    waiting = null;
  };
  const output = createOutput(child, {
    mark: () => waiting?.mark ?? null,
    done: (result) => {
      const mine = waiting;
      waiting = null;
      hold(child, false);
      mine?.resolve(result);
    },
    full: () => end('git wrote more than anybody reads and was ended'),
  });
  child.on('error', (error) => end(`git could not be started: ${messageOf(error)}`));
  child.on('close', () => end('git could not be started: its shell has ended'));
  child.stdin.on('error', (error) => end(`git could not be started: ${messageOf(error)}`));
  return {
    ended: () => ended,
    close: () => end('closed'),
    run: (command) =>
      new Promise<CommandResult>((resolve, reject) => {
        const { timeoutMs = COMMAND_MS, args } = command;
        const mark = randomBytes(16).toString('hex');
        const words = `git ${verbOf(args)} gave no answer within ${timeoutMs / 1000} s`;
        const timer = setTimeout(() => end(`${words} and was ended`), timeoutMs);
        hold(child, true);
        output.clear();
        waiting = {
          mark,
          resolve: (result) => {
            clearTimeout(timer);
            resolve(result);
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        };
        child.stdin.write(scriptOf(command, mark));
      }),
  };
};

const killGroup = ({ pid }: ChildProcessWithoutNullStreams): void => {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has gone already.
  }
};

interface OutputOptions {
  readonly mark: () => string | null;
  readonly done: (result: CommandResult) => void;
  /** More than STARTED_OUTPUT_BYTES. */
  readonly full: () => void;
}

/** Both outputs, until each ends with the mark. */
const createOutput = (child: ChildProcessWithoutNullStreams, options: OutputOptions) => {
  let out: Buffer = Buffer.alloc(0);
  let err: Buffer = Buffer.alloc(0);
  const look = (): void => {
    const mark = options.mark();
    if (mark === null) return;
    if (out.length + err.length > STARTED_OUTPUT_BYTES) return options.full();
    const tail = out.subarray(-TAIL_BYTES).toString('latin1');
    const said = new RegExp(`${mark} (\\d+)\n$`).exec(tail);
    const isWhole = err.subarray(-TAIL_BYTES).toString('latin1').endsWith(`${mark}\n`);
    if (said === null || !isWhole) return;
    const stderr = err
      .subarray(0, -(mark.length + 1))
      .toString('utf8')
      .trim();
    const stdout = out.subarray(0, out.length - said[0].length);
    options.done({ code: Number(said[1]), stdout, stderr });
  };
  child.stdout.on('data', (chunk: Buffer) => {
    out = Buffer.concat([out, chunk]);
    look();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err = Buffer.concat([err, chunk]);
    look();
  });
  return {
    clear: (): void => {
      [out, err] = [Buffer.alloc(0), Buffer.alloc(0)];
    },
  };
};

/** The mark, a space, an exit code and a line's end are shorter. */
const TAIL_BYTES = 64;

/**
 * In a shell of its own, which becomes git. Variables are set in words of the shell, which no list
 * of processes shows: one of them may be a login.
 */
const scriptOf = ({ args, env = {}, fileBytes }: Started, mark: string): string => {
  const set = Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const limit =
    fileBytes === undefined ? [] : [`ulimit -f ${Math.ceil(fileBytes / FILE_BLOCK_BYTES)}`];
  const steps = [...set, ...limit, `exec git ${args.map(quoted).join(' ')}`];
  return `(${steps.join(' && ')}) </dev/null\necho ${mark} $?\necho ${mark} >&2\n`;
};

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
