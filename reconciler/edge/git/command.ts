// The system's git as a command: arguments in, bytes out, with a time limit and a clean
// environment. Used where nothing else will do: ssh, and commits in a work tree. Not here: reading
// objects (objects, batch).

import { spawn } from 'node:child_process';
import { messageOf, retry } from './failure.ts';
import { COMMAND_MS, COMMAND_OUTPUT_BYTES } from './limits.ts';

export interface Command {
  readonly args: readonly string[];
  /** Added to the clean environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Buffer;
  readonly timeoutMs?: number;
  /** No file that it or its children write grows larger: they are ended. Absent: no limit. */
  readonly fileBytes?: number;
  /** Run as this user: files that git writes into somebody's work tree must stay theirs. */
  readonly owner?: Owner | null;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs git to its end. Throws GitFailure (`retry`) when it cannot be started or takes longer than
 * allowed.
 */
export const runGit = (command: Command): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(...wordsOf(command), {
      env: gitEnvironment(command.env),
      stdio: ['pipe', 'pipe', 'pipe'],
      ...command.owner,
    });
    const timeoutMs = command.timeoutMs ?? COMMAND_MS;
    const verb = verbOf(command.args);
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(retry(`git ${verb} gave no answer within ${timeoutMs / 1000} s and was ended`));
    }, timeoutMs);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let bytes = 0;
    const keep = (into: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= COMMAND_OUTPUT_BYTES) into.push(chunk);
      else child.kill('SIGKILL');
    };
    child.stdout.on('data', keep(out));
    child.stderr.on('data', keep(err));
    child.stdin.on('error', () => {}); // A git that does not want its input says why on stderr.
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(retry(`git could not be started: ${messageOf(error)}. Is git installed?`));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      const stderr = Buffer.concat(err).toString('utf8').trim();
      resolve({ code: code ?? -1, stdout: Buffer.concat(out), stderr });
    });
    child.stdin.end(command.input);
  });

/** `fetch` of `--git-dir=… fetch --quiet`. */
export const verbOf = (args: readonly string[]): string =>
  args.find((arg) => !arg.startsWith('-')) ?? '';

/** POSIX counts files' sizes in blocks of 512 bytes. */
export const FILE_BLOCK_BYTES = 512;

const wordsOf = ({ args, fileBytes }: Command): [string, string[]] => {
  if (fileBytes === undefined) return ['git', [...args]];
  const limit = `ulimit -f ${Math.ceil(fileBytes / FILE_BLOCK_BYTES)} && exec git "$@"`;
  return ['sh', ['-c', limit, 'git', ...args]];
};

/**
 * Our environment without the variables that a hook's git hands down (GIT_DIR, GIT_INDEX_FILE),
 * with messages in English and no questions on a terminal.
 */
export const gitEnvironment = (
  added: Readonly<Record<string, string>> = {},
): Record<string, string> => {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined) continue;
    if (name.startsWith('GIT_') && !KEPT.has(name)) continue;
    env[name] = value;
  }
  return { ...env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0', ...added };
};

const KEPT: ReadonlySet<string> = new Set([
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_EXEC_PATH',
]);
