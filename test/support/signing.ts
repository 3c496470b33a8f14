// Keys and signed commits for tests, made by ssh-keygen, gpg and git. In: folders. Out: keys,
// commits. Not here: the code under test.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { commitFiles, git, type FileSet } from './git-repo.ts';

export interface SshKey {
  /** Of the private key. */
  readonly file: string;
  /** Type and key, as they stand in allowed_signers. */
  readonly line: string;
}

export const sshKey = (folder: string, name: string, ...type: readonly string[]): SshKey => {
  const file = path.join(folder, name);
  const how = type.length === 0 ? ['-t', 'ed25519'] : type;
  execFileSync('ssh-keygen', ['-q', ...how, '-N', '', '-C', name, '-f', file]);
  const [kind, key] = fs.readFileSync(`${file}.pub`, 'utf8').split(' ');
  return { file, line: `${kind} ${key}` };
};

/** Options of git that sign with a key. */
export const signWith = ({ file }: SshKey): readonly string[] => [
  '-c',
  'gpg.format=ssh',
  '-c',
  `user.signingkey=${file}`,
  '-c',
  'commit.gpgsign=true',
];

/** Files committed on the branch that is checked out, signed. */
export const signedCommit = (
  folder: string,
  key: SshKey,
  { files, message }: { readonly files: FileSet; readonly message: string },
): string => {
  commitFiles(folder, files, message);
  git(folder, ...signWith(key), 'commit', '--quiet', '--amend', '--no-edit', '--allow-empty');
  return git(folder, 'rev-parse', 'HEAD');
};

/** The bytes of a commit. */
export const commitBytes = (folder: string, commit: string): Buffer =>
  execFileSync('git', ['cat-file', 'commit', commit], { cwd: folder });

/** Whether git calls the signature good, by this list. */
export const gitSaysGood = (folder: string, commit: string, allowed: string): boolean => {
  try {
    git(folder, '-c', `gpg.ssh.allowedSignersFile=${allowed}`, 'verify-commit', commit);
    return true;
  } catch {
    return false;
  }
};

/** An OpenPGP key in a keyring of its own. */
export const gpgKey = (home: string, name: string, expire = 'never') => {
  fs.mkdirSync(home, { recursive: true, mode: 0o700 });
  const gpg = (...args: readonly string[]): string =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--no-tty', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  gpg(
    '--passphrase',
    '',
    '--quick-gen-key',
    `${name} <${name}@example.org>`,
    'ed25519',
    'sign',
    expire,
  );
  return {
    armored: gpg('--armor', '--export', `${name}@example.org`),
    /** Ends the agent that gpg started. */
    close: () => execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']),
  };
};

/** Files committed and signed by OpenPGP. */
export const gpgCommit = (
  folder: string,
  { home, name }: { readonly home: string; readonly name: string },
  { files, message }: { readonly files: FileSet; readonly message: string },
): string => {
  commitFiles(folder, files, message);
  const program = path.join(home, 'gpg.sh');
  fs.writeFileSync(program, `#!/bin/sh\nexec gpg --homedir ${home} --batch --no-tty "$@"\n`, {
    mode: 0o755,
  });
  git(
    folder,
    '-c',
    `gpg.program=${program}`,
    'commit',
    '--quiet',
    '--amend',
    '--no-edit',
    '--allow-empty',
    `--gpg-sign=${name}@example.org`,
  );
  return git(folder, 'rev-parse', 'HEAD');
};
