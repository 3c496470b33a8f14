// Options of a reconciler that is not alone: which etcd, how to get in, what it is called.
// In: parsed words. Out: a part of the reconciler's configuration, or an error that says what is
// missing. Not here: what may go where (reconciler/several.ts).

import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { SeveralConfig } from '../reconciler/config.ts';
import { parseDuration } from '../schema/units.ts';
import { text } from './command.ts';
import { CommandError } from './command-error.ts';
import { withPort } from './host-port.ts';
import { ownName } from './own-name.ts';

/** Of the option and of the configuration; a leader that is gone is replaced after it. */
const LEASE = '10s';
/** etcd keeps no lease that is shorter than its own election; longer than this nobody waits. */
const LEASE_LEAST_MS = 2000;
const LEASE_MOST_MS = 60_000;
const ETCD_PORT = 2379;

export const defineSeveral = (command: Command): Command =>
  command
    .option('--etcd <hosts>', 'one of several reconcilers: HOST:PORT of etcd, commas between')
    .option('--etcd-ca <file>', "etcd's authority, PEM: beyond this machine it is spoken to by TLS")
    .option('--etcd-cert <file>', 'certificate to show etcd, PEM')
    .option('--etcd-key <file>', 'its key, PEM')
    .option('--etcd-user <name>', 'user of etcd')
    .option('--etcd-password-file <file>', 'file with its password')
    .option('--name <name>', 'what this reconciler is called (default: the host name)')
    .option('--advertise <host:port>', 'where others reach it (default: as --listen)')
    .option('--lease <time>', 'a leader that is gone is replaced after this time', LEASE);

/** null: it is alone. Throws CommandError. */
export const severalOf = async (
  options: Readonly<Record<string, unknown>>,
): Promise<SeveralConfig | null> => {
  const hosts = text(options['etcd']);
  if (hosts === null) {
    const odd = ['etcdCa', 'etcdCert', 'etcdUser', 'advertise'].find((one) => text(options[one]));
    if (odd === undefined) return null;
    throw new CommandError(
      `--${dashed(odd)} says something of several reconcilers: add --etcd HOSTS`,
    );
  }
  const ca = await file(options, 'etcdCa');
  const certificate = await file(options, 'etcdCert');
  const key = await file(options, 'etcdKey');
  const passwordFile = await file(options, 'etcdPasswordFile');
  const user = text(options['etcdUser']);
  if ((certificate === null) !== (key === null)) {
    throw new CommandError('--etcd-cert and --etcd-key go together');
  }
  if ((user === null) !== (passwordFile === null)) {
    throw new CommandError('--etcd-user and --etcd-password-file go together');
  }
  if (ca === null && certificate !== null) {
    throw new CommandError(
      '--etcd-cert is for TLS: give the file of etcd’s authority with --etcd-ca',
    );
  }
  const advertise = text(options['advertise']);
  return {
    name: text(options['name']) ?? ownName(),
    advertise: advertise === null ? null : withPort(advertise),
    etcd: {
      hosts: hosts.split(',').map(hostOf),
      tls: ca === null ? null : { ca, certificate, key },
      user: user === null || passwordFile === null ? null : { name: user, passwordFile },
    },
    leaseMs: leaseOf(text(options['lease']) ?? LEASE),
  };
};

/** `10.0.0.5`, `https://10.0.0.5:2379`: as people copy it. */
const hostOf = (written: string): string => {
  const bare = written.trim().replace(/^https?:\/\//, '');
  return /:\d+$/.test(bare) ? withPort(bare) : withPort(`${bare}:${ETCD_PORT}`);
};

const leaseOf = (written: string): number => {
  const ms = parseDuration(written);
  if (ms !== null && ms >= LEASE_LEAST_MS && ms <= LEASE_MOST_MS) return ms;
  throw new CommandError(`--lease ${written} is no time from 2s to 60s`);
};

const file = async (
  options: Readonly<Record<string, unknown>>,
  name: string,
): Promise<string | null> => {
  const written = text(options[name]);
  if (written === null) return null;
  const path = resolve(written);
  await access(path).catch(() => {
    throw new CommandError(`--${dashed(name)}: ${path} is not there, or may not be read`);
  });
  return path;
};

const dashed = (name: string): string => name.replace(/[A-Z]/g, (big) => `-${big.toLowerCase()}`);
