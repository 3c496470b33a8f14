// How a reconciler gets into etcd: by TLS and a certificate, or as a user with a password; and what
// it says where it does not. In: three real members each. Nobody is ever shown a password.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { EtcdConfig } from '../../reconciler/config.ts';
import { createEtcdLease } from '../../reconciler/edge/lease/etcd.ts';
import type { LeasePort } from '../../reconciler/ports.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import {
  addUser,
  type AsRoot,
  enableUsers,
  etcdAuthority,
  type EtcdAuthority,
  openssl,
  spanOf,
} from '../support/etcd-login.ts';

const ME = { name: 'r1', address: '10.0.0.1:7420' };
/** Long enough that no test's lease ends by itself. */
const LEASE_MS = 20_000;
const TOKEN_LIFE_S = 2;

let folder: string;
let own: EtcdAuthority;
let open: LeasePort[] = [];
let keys = 0;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'pel-'));
  own = await etcdAuthority(folder, 'own');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  for (const lease of open) lease.close();
  open = [];
});

const leaseOf = (etcd: EtcdConfig, key = `purser/test-${(keys += 1)}/leader`): LeasePort => {
  const lease = createEtcdLease({ etcd, key, leaseMs: LEASE_MS });
  open.push(lease);
  return lease;
};

/** What a reconciler says of it; members that look for their leader are asked again. */
const trouble = async (lease: LeasePort, words: string | RegExp): Promise<string> => {
  let said = '';
  const ask = async () => (said = await lease.holder().then(JSON.stringify, String));
  await expect.poll(ask).toMatch(words);
  expect(said).not.toContain('word-of');
  return said;
};

const holds = async (lease: LeasePort): Promise<void> => {
  const mine = () =>
    lease.acquire(ME).then(
      (holder) => holder.mine && lease.keep(),
      (error: unknown) => String(error),
    );
  await expect.poll(mine).toBe(true);
};

const file = (name: string, text: string): string => {
  const at = path.join(folder, name);
  writeFileSync(at, `${text}\n`, { mode: 0o600 });
  return at;
};

describe('etcd that wants a certificate', () => {
  let etcd: Etcd;
  let other: EtcdAuthority;
  beforeAll(async () => {
    other = await etcdAuthority(folder, 'other');
    const wants = ['--client-cert-auth', '--trusted-ca-file', own.ca];
    const flags = (hosts: readonly string[]) => [...own.serve(hosts), ...wants];
    etcd = await startEtcd(3, { scheme: 'https', flags });
  });
  afterAll(() => etcd?.close());

  const config = (tls: EtcdConfig['tls']): EtcdConfig => ({ hosts: etcd.hosts, tls, user: null });

  test('one of its authority gets in', async () => {
    await holds(leaseOf(config({ ca: own.ca, ...(await own.client('r1')) })));
  });

  test('another authority for etcd itself: nothing is sent, and the file is named', async () => {
    const lease = leaseOf(config({ ca: other.ca, ...(await own.client('r1')) }));
    const said = await trouble(lease, `is not of the authority in ${other.ca}`);
    expect(said).toContain('--etcd-ca');
    // Each member once, and what is wrong with all of them once.
    expect(said.match(/is not of the authority/g)).toHaveLength(1);
    for (const host of etcd.hosts) expect(said.split(host)).toHaveLength(2);
  });

  test('a certificate that has ended, until a new one is put there', async () => {
    const files = await own.client('late', spanOf(true));
    const lease = leaseOf(config({ ca: own.ca, ...files }));
    await trouble(lease, new RegExp(`${files.certificate} ended at .*: put a new one there`));
    const fresh = await own.client('fresh');
    copyFileSync(fresh.key, files.key);
    copyFileSync(fresh.certificate, files.certificate);
    await holds(lease);
  });

  test('a certificate of another authority', async () => {
    const files = await other.client('foreign');
    const lease = leaseOf(config({ ca: own.ca, ...files }));
    const said = await trouble(lease, `it does not take the certificate in ${files.certificate}`);
    expect(said).toContain('--trusted-ca-file');
  });

  test.each([
    {
      what: 'no certificate',
      tls: async () => ({ ca: own.ca, certificate: null, key: null }),
      words: 'it wants a certificate: give --etcd-cert and --etcd-key',
    },
    { what: 'no TLS', tls: async () => null, words: 'the file of its authority with --etcd-ca' },
    {
      what: 'the key of another certificate',
      tls: async () => ({
        ...(await own.client('one')),
        key: (await own.client('two')).key,
        ca: own.ca,
      }),
      words: /own-two\.key is not the key of .*own-one\.crt/,
    },
    {
      what: 'a file that is no certificate',
      tls: async () => ({
        ...(await own.client('one')),
        certificate: file('junk', 'junk'),
        ca: own.ca,
      }),
      words: /junk or .*own-one\.key is no PEM/,
    },
    {
      what: 'a file that is no authority',
      tls: async () => ({ ca: file('junk', 'junk'), certificate: null, key: null }),
      words: /junk holds no certificate \(PEM\): see --etcd-ca/,
    },
    {
      what: 'a file that is gone',
      tls: async () => ({ ...(await own.client('one')), ca: path.join(folder, 'gone') }),
      words: /gone cannot be read \(ENOENT\)/,
    },
  ])('$what', async ({ tls, words }) => {
    await trouble(leaseOf(config(await tls())), words);
  });

  test('an address that its certificate does not name, and one where nobody listens', async () => {
    const flags = () => other.serve(['10.0.0.9']);
    const named = await startEtcd(1, { scheme: 'https', flags });
    try {
      const tls = { ca: other.ca, certificate: null, key: null };
      const at = { hosts: named.hosts, tls, user: null };
      await trouble(leaseOf(at), /for other names \(10\.0\.0\.9\): name it in --etcd/);
      await named.kill(0);
      await trouble(leaseOf(at), 'nothing listens there: is it running?');
    } finally {
      await named.close();
    }
  });
});

describe.each(['simple', 'jwt'])('etcd that wants a user, by tokens of kind %s', (kind) => {
  let etcd: Etcd;
  let root: AsRoot;
  beforeAll(async () => {
    const [secret, known] = [path.join(folder, 'jwt.key'), path.join(folder, 'jwt.pub')];
    openssl('genrsa', '-out', secret, '2048');
    openssl('rsa', '-in', secret, '-pubout', '-out', known);
    const signed = `pub-key=${known},priv-key=${secret},sign-method=RS256,ttl=${TOKEN_LIFE_S}s`;
    const token = kind === 'jwt' ? `jwt,${signed}` : 'simple';
    const life = ['--auth-token-ttl', `${TOKEN_LIFE_S}`, '--bcrypt-cost', '4'];
    const flags = (hosts: readonly string[]) => [
      ...own.serve(hosts),
      '--auth-token',
      token,
      ...life,
    ];
    etcd = await startEtcd(3, { scheme: 'https', flags });
  });
  afterAll(() => etcd?.close());

  const as = (name: string, passwordFile: string | null, key?: string): LeasePort => {
    const user = passwordFile === null ? null : { name, passwordFile };
    const tls = { ca: own.ca, certificate: null, key: null };
    return leaseOf({ hosts: etcd.hosts, tls, user }, key);
  };

  test('before users are asked for, one that is given is said to be too much', async () => {
    const lease = as('r1', file('r1', 'word-of-r1'));
    await trouble(lease, 'authentication is off): leave --etcd-user r1 away');
    await holds(as('', null));
    root = await enableUsers(etcd.hosts[0] ?? '', own.ca);
    const keep = ['purser/', 'purser0'] as const;
    await addUser(root, { name: 'r1', password: 'word-of-r1', keys: keep });
    await addUser(root, { name: 'r2', password: 'word-of-r2', keys: ['else/', 'else0'] });
    await holds(lease);
  });

  test.each([
    {
      what: 'a wrong password',
      name: 'r1',
      word: 'word-of-others',
      words: /it knows no user r1 with the password in .*\/given: change the file/,
    },
    { what: 'nobody', name: '', word: null, words: 'give --etcd-user and --etcd-password-file' },
    {
      what: 'a user of other keys',
      name: 'r2',
      word: 'word-of-r2',
      words: /user r2 may not read and write keys that begin with purser\/: `etcdctl role grant/,
    },
  ])('$what', async ({ name, word, words }) => {
    await trouble(as(name, word === null ? null : file('given', word)), words);
  });

  test('a token that has ended is asked for anew', async () => {
    const lease = as('r1', file('r1', 'word-of-r1'));
    await holds(lease);
    await sleep((TOKEN_LIFE_S + 1.5) * 1000);
    await trouble(lease, '"mine":true');
  });

  test('a password that is changed while it runs: said, and taken from the file', async () => {
    const word = file('changed', 'word-of-r1');
    const lease = as('r1', word);
    await holds(lease);
    await root('auth/user/changepw', { name: 'r1', password: 'word-of-new' });
    await trouble(lease, 'it knows no user r1 with the password in');
    writeFileSync(word, 'word-of-new\n');
    await holds(lease);
    await root('auth/user/changepw', { name: 'r1', password: 'word-of-r1' });
  });

  test('one who may no more keeps no lease, which ends; another one has it then', async () => {
    const key = 'purser/revoked/leader';
    const short = (name: string, word: string): LeasePort => {
      const user = { name, passwordFile: file(name, word) };
      const tls = { ca: own.ca, certificate: null, key: null };
      const etcdOf = { hosts: etcd.hosts, tls, user };
      const lease = createEtcdLease({ etcd: etcdOf, key, leaseMs: 3000 });
      open.push(lease);
      return lease;
    };
    await addUser(root, { name: 'r3', password: 'word-of-r3', keys: ['purser/', 'purser0'] });
    const lost = short('r3', 'word-of-r3');
    await expect.poll(() => lost.acquire(ME).then(({ mine }) => mine, String)).toBe(true);
    await root('auth/user/revoke', { name: 'r3', role: 'r3' });
    await expect(lost.keep()).rejects.toThrow('user r3 may not read and write');
    const next = short('r1', 'word-of-r1');
    // It goes on trying, and may not keep what it may not read.
    const turn = async () => {
      await lost.keep().catch(() => undefined);
      return next.acquire({ ...ME, name: 'next' }).then(({ name }) => name, String);
    };
    await expect.poll(turn, { interval: 200 }).toBe('next');
  });

  test('a key that was deleted by hand is not kept, so that there are no two', async () => {
    const key = 'purser/deleted/leader';
    const lease = as('r1', file('r1', 'word-of-r1'), key);
    await holds(lease);
    await root('kv/deleterange', { key: Buffer.from(key).toString('base64') });
    await expect.poll(() => lease.keep().catch(String)).toBe(false);
    await holds(as('r1', file('r1', 'word-of-r1'), key));
    expect(await lease.holder()).toMatchObject({ mine: false });
  });
});
