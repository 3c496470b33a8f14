// A real sshd for tests, on loopback, with keys, configuration and known hosts in a folder of its
// own: nothing of the machine's set-up is read or changed. In: a folder. Out: where it listens, and
// how ssh gets in. Not here: what is served (git, by the login's shell).

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from './registry.ts';

export interface SshServer {
  /** `ssh://user@127.0.0.1:port`; a path follows. */
  readonly url: string;
  /** In place of `ssh`: its key, its known hosts, no questions. */
  readonly command: string;
  /** The same, with a key that nobody let in. */
  readonly strangerCommand: string;
  /** The same, by somebody who never saw this host. */
  readonly newcomerCommand: string;
  readonly close: () => Promise<void>;
}

const SSHD = '/usr/sbin/sshd';
const START_MAX_MS = 60_000;

export const startSshServer = async (folder: string): Promise<SshServer> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // What its unit would make, where there is systemd.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  for (const name of ['host', 'client', 'stranger'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  const port = await freePort();
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'client.pub')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
  ];
  const config = join(folder, 'sshd_config');
  writeFileSync(config, `${lines.join('\n')}\n`);
  const child = spawn(SSHD, ['-D', '-e', '-f', config], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await answering(child, port);
  const known = join(folder, 'known_hosts');
  const [type = '', key = ''] = readFileSync(join(folder, 'host.pub'), 'utf8').split(' ');
  writeFileSync(known, `[127.0.0.1]:${port} ${type} ${key}\n`);
  const ssh = (identity: string, hosts: string): string =>
    `ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -i ${join(folder, identity)} ` +
    `-o UserKnownHostsFile=${hosts} -o GlobalKnownHostsFile=/dev/null`;
  return {
    url: `ssh://${userInfo().username}@127.0.0.1:${port}`,
    command: ssh('client', known),
    strangerCommand: ssh('stranger', known),
    newcomerCommand: ssh('client', '/dev/null'),
    close: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
};

const answering = async (child: ChildProcess, port: number): Promise<void> => {
  for (let waited = 0; waited < START_MAX_MS; waited += 50) {
    if (child.exitCode !== null) break;
    const answers = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => done(true));
      socket.on('error', () => done(false));
      socket.on('connect', () => socket.destroy());
    });
    if (answers) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  child.kill('SIGKILL');
  throw new Error('sshd did not start');
};
