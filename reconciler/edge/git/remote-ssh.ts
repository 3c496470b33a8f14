// A remote over ssh, through the system's git and ssh: keys, agents and known hosts are the user's
// own set-up. In: the mirror's folder and the URL. Out: Remote. Not here: http (remote-http), the
// mirror (mirror).

import type { CommandResult } from './command.ts';
import { runGit } from './command.ts';
import type { GitFailure } from './failure.ts';
import { broken, redact, retry } from './failure.ts';
import { pushAdvice, type Remote } from './remote.ts';

export interface SshRemoteOptions {
  readonly url: string;
  readonly gitDir: string;
  /** In place of `ssh`, with its options; null: GIT_SSH_COMMAND, or ssh that asks no questions. */
  readonly sshCommand: string | null;
}

/** Never waits for a person: an unknown host key or a passphrase is a failure, in words. */
export const QUIET_SSH = 'ssh -o BatchMode=yes -o ConnectTimeout=10';

export const createSshRemote = (options: SshRemoteOptions): Remote => {
  const name = redact(options.url);
  const ssh = options.sshCommand ?? process.env['GIT_SSH_COMMAND'] ?? QUIET_SSH;
  const run = (...args: readonly string[]) =>
    runGit({
      args: [`--git-dir=${options.gitDir}`, ...args],
      env: { GIT_SSH_COMMAND: ssh },
    });
  return {
    name,
    refs: async (wanted) => {
      const result = await run('ls-remote', '--', options.url, ...wanted);
      if (result.code !== 0) throw explain(result, `${name} cannot be read`);
      const rows = result.stdout
        .toString('utf8')
        .split('\n')
        .map((line) => line.split('\t'));
      const refs = new Map<string, string>();
      for (const [oid, ref] of rows) {
        if (oid !== undefined && ref !== undefined && wanted.includes(ref)) refs.set(ref, oid);
      }
      return refs;
    },
    fetch: async (ref) => {
      // No ref is named on our side: the mirror's refs are moved by the mirror alone.
      const flags = ['--no-tags', '--no-write-fetch-head', '--quiet', '--no-auto-gc'];
      const result = await run('fetch', ...flags, '--', options.url, ref);
      if (result.code !== 0) throw explain(result, `${name} cannot be fetched`);
    },
    push: async ({ ref, to, from }) => {
      const lease = `--force-with-lease=${ref}:${from ?? ''}`;
      const result = await run('push', '--porcelain', lease, '--', options.url, `${to}:${ref}`);
      if (result.code === 0) return { kind: 'pushed' };
      const words = `${result.stdout.toString('utf8')}\n${result.stderr}`;
      if (CONFLICTS.test(words)) return { kind: 'conflict' };
      throw explain({ ...result, stderr: words.trim() }, `${name} cannot be pushed to`, ref);
    },
  };
};

const CONFLICTS = new RegExp(
  [
    'stale info',
    'fetch first',
    'non-fast-forward',
    'failed to update ref',
    'cannot lock ref',
    'failed to lock',
    'reference already exists',
  ].join('|'),
  'i',
);

/** A closed door needs a person; a line that dropped does not. */
const PASSING = new RegExp(
  [
    'timed out',
    'timeout',
    'connection (refused|reset|closed)',
    'could not resolve',
    'temporary failure',
    'network is unreachable',
    'no route',
    'early eof',
    'hung up unexpectedly',
  ].join('|'),
  'i',
);

const explain = (result: CommandResult, cannot: string, ref = ''): GitFailure => {
  const words = redact(result.stderr).split('\n').slice(-6).join(' ').slice(0, 500);
  if (/permission denied|publickey|authentication failed/i.test(words)) {
    return broken(
      `${cannot}: the login was refused: ${words}. Check the ssh key and who it belongs to`,
    );
  }
  if (/host key verification failed/i.test(words)) {
    return broken(`${cannot}: the host's key is unknown. Connect once by hand: ssh HOST`);
  }
  if (/does not appear to be a git repository|repository not found|no such/i.test(words)) {
    return broken(`${cannot}: there is no such repository: ${words}. Check the URL`);
  }
  if (PASSING.test(words)) return retry(`${cannot}: ${words}. It will be tried again`);
  if (/\[remote rejected\]|hook declined|protected branch/i.test(words)) {
    return broken(`${cannot}: the server refused it: ${words}. ${pushAdvice(ref)}`);
  }
  return retry(`${cannot}: ${words}. It will be tried again`);
};
