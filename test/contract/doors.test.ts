// The way in for other machines, with its real ends: TLS 1.3 on loopback, a runner's own link, the
// command line's own dialling. In: machines that join, and whoever tries to come in otherwise. Out:
// who is heard, what each side is told.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { createChannel, createClientFactory, Metadata } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dialTls } from '../../cli/dial.ts';
import { fetchAuthority } from '../../cli/trust.ts';
import {
  type Identity,
  joiningKey,
  makeRequest,
  readIdentity,
  writeIdentity,
} from '../../node-runner/edge/identity.ts';
import { credentialsOf, TLS_CHANNEL } from '../../node-runner/edge/tls.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import { renewIfDue } from '../../node-runner/edge/renewal.ts';
import { type Doors, openDoors } from '../../reconciler/doors.ts';
import { makeAuthority, makeServer, signNode } from '../../reconciler/edge/authority/x509.ts';
import { NODE_MS, openAuthority } from '../../reconciler/edge/authority/authority.ts';
import { createControl } from '../../reconciler/edge/control.ts';
import { createNodes, type Nodes } from '../../reconciler/edge/nodes.ts';
import { listen, type Listening } from '../../reconciler/edge/server.ts';
import type { GivenToken, TokenAnswer, TokenAsk } from '../../schema/control.ts';
import { JoinServiceDefinition } from '../../schema/generated/purser/join/v1/join.ts';
import { LinkServiceDefinition } from '../../schema/generated/purser/link/v1/link.ts';
import { nodeId, parseToken } from '../../schema/identity.ts';
import { LINK_PROTOCOL } from '../../schema/wire.ts';
import { run } from '../support/command-line.ts';
import { until } from './runtime-suite.ts';
import { reportWith } from '../support/reports.ts';

const PURSER = path.resolve(import.meta.dirname, '../../purser');
const CLUSTER = 'test';
const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;

let folder: string;
let clockMs: number;
let nodes: Nodes;
let doors: Doors;
let listening: Listening;
let listed: string[];
let said: string[];
let undo: (() => Promise<unknown> | void)[];

const log = (fields: object, message: string): void =>
  void said.push(`${message} ${JSON.stringify(fields)}`);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pdo-'));
  clockMs = Date.now();
  [listed, said, undo] = [[], [], []];
  await openAll();
});

/** A reconciler's part of it, as it starts. */
const openAll = async (): Promise<void> => {
  const clock = { now: () => performance.now(), sleepUntil: async () => {} };
  const logs = { info: log, warn: log, error: log };
  nodes = createNodes({ cluster: CLUSTER, clock, log: logs });
  doors = await openDoors({
    cluster: CLUSTER,
    listen: { address: '127.0.0.1:0', folder: path.join(folder, 'authority') },
    log: logs,
    epochMs: () => clockMs,
  });
  const handlers = {
    ...doors.handlers,
    state: async () => 'the state',
    commit: async () => 'a commit',
  };
  const control = createControl({ handlers, changes: () => () => {}, streams: nodes.streams });
  const list = async (node: string) => {
    if (listed.includes(node)) return null;
    listed.push(node);
    return 'c0ffee';
  };
  listening = await doors.open({ control, nodes, list });
};

afterEach(async () => {
  for (const step of undo.toReversed()) await step();
  await listening.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const ask = <Answer>(method: string, argument: unknown = null): Promise<Answer> =>
  doors.handlers[method]?.(argument) as Promise<Answer>;

const tokenOf = async (given: Partial<TokenAsk> = {}): Promise<string> => {
  const all: TokenAsk = { kind: 'join', node: null, uses: 1, lastsMs: HOUR_MS, ...given };
  return (await ask<TokenAnswer>('token', all)).token;
};

const authorityOf = (token: string): Promise<string> =>
  fetchAuthority(listening.address, parseToken(token)?.authority ?? '');

/** Over TLS with this identity, or with none but the authority. */
const channelOf = (identity: Pick<Identity, 'authority'> & Partial<Identity>) => {
  const { authority, certificate = '', key = '' } = identity;
  const credentials =
    certificate === ''
      ? credentialsOf({ authority, ...nobody() })
      : credentialsOf({ authority, certificate, key });
  const channel = createChannel(listening.address, credentials, {
    ...TLS_CHANNEL,
    'grpc.enable_retries': 0,
  });
  undo.push(() => channel.close());
  return channel;
};

/** A certificate that nobody but its holder signed. */
let own: { readonly certificate: string; readonly key: string };
const nobody = () => own;
beforeEach(async () => {
  own = await makeAuthority('elsewhere', {
    fromMs: Date.now() - DAY_MS,
    toMs: Date.now() + DAY_MS,
  });
});

interface Joining {
  readonly token: string;
  readonly node: string;
  readonly request?: string;
}

const join = async ({ token, node, request: given }: Joining): Promise<Identity> => {
  const authority = await authorityOf(token);
  const { key, request } = await makeRequest(node);
  const client = createClientFactory().create(JoinServiceDefinition, channelOf({ authority }));
  const metadata = Metadata({ authorization: `Bearer ${token}` });
  const { certificate } = await client.join(
    { token, node, request: given ?? request },
    { metadata },
  );
  return { authority, certificate, key };
};

const reportOf = (node: string) => reportWith({ node, cluster: CLUSTER });

const linkOf = (node: string) => ({
  cluster: CLUSTER,
  node,
  clock: { now: () => performance.now(), bootId: 'b', sleepUntil: async () => {} },
  log: { info: log, warn: log, error: log },
  serve: async (): Promise<never> => {
    throw new Error('no streams here');
  },
});

/** The runner's own end, with an identity on disk. */
const runner = (node: string, identity: Identity) => {
  const at = path.join(folder, node);
  writeIdentity(at, identity);
  const link = createLink({ ...linkOf(node), address: `tls:${listening.address}`, identity: at });
  const abort = new AbortController();
  const running = link.run(abort.signal);
  link.port.report(reportOf(node), performance.now());
  undo.push(async () => {
    abort.abort();
    await running;
  });
  return { link, folder: at };
};

const heard = (node: string) => nodes.port.heard().nodes.find((one) => one.node === node);

/** What a session is told that says it is this node. */
const sessionAs = async (
  node: string,
  identity: Parameters<typeof channelOf>[0],
): Promise<string> => {
  const client = createClientFactory().create(LinkServiceDefinition, channelOf(identity));
  const frames = async function* () {
    const value = { protocol: LINK_PROTOCOL, cluster: CLUSTER, node, term: 0n };
    yield { frame: { $case: 'hello' as const, value } };
    await new Promise(() => {});
  };
  try {
    for await (const { frame } of client.session(frames())) {
      if (frame?.$case === 'refusal') return frame.value.message;
    }
    return 'ended';
  } catch (error) {
    return String(error);
  }
};

describe('a machine that joins', () => {
  test('is listed, heard, and takes its orders over TLS', async () => {
    const identity = await join({ token: await tokenOf(), node: 'n1' });
    expect(listed).toEqual(['n1']);
    const { subjectAltName, validTo } = new X509Certificate(identity.certificate);
    expect(subjectAltName).toBe(`URI:${nodeId(CLUSTER, 'n1')}`);
    expect(Date.parse(validTo)).toBeGreaterThan(clockMs + NODE_MS - 2000);
    const { link } = runner('n1', identity);
    await until(async () => heard('n1')?.connected);
    const orders = {
      node: 'n1',
      cluster: CLUSTER,
      session: 's',
      generation: 1,
      commit: '',
      items: [],
    };
    await until(async () => nodes.port.send(orders as never));
    await until(async () => link.port.take() !== null);
  });

  test.each<[string, Partial<TokenAsk>, string, string]>([
    ['for two machines lets a third go', { uses: 2 }, 'n3', 'was used already'],
    ['for one node lets no other in', { node: 'n9' }, 'n3', 'is for node n9, not for n3'],
    ['of a person makes no node', { kind: 'admin' }, 'n3', 'is not one to join with'],
  ])('a token %s', async (_name, given, node, why) => {
    const token = await tokenOf(given);
    for (let at = 1; at <= (given.uses ?? 0); at += 1) await join({ token, node: `n${at}` });
    await expect(join({ token, node })).rejects.toThrow(why);
    expect(listed).not.toContain(node);
  });

  test('a token that has ended, was ended, or is made up lets nobody in', async () => {
    const [late, gone, good] = [await tokenOf(), await tokenOf(), await tokenOf()];
    const tokens = await ask<readonly GivenToken[]>('tokens');
    expect(tokens.map(({ left, kind }) => [left, kind])).toEqual(Array(3).fill([1, 'join']));
    expect(await ask('endToken', { id: parseToken(gone)?.id })).toBe(true);
    expect(await ask('endToken', { id: parseToken(gone)?.id })).toBe(false);
    await expect(join({ token: gone, node: 'n1' })).rejects.toThrow('is not known here');
    const guessed = good.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'));
    await expect(join({ token: guessed, node: 'n1' })).rejects.toThrow('is not known here');
    clockMs += HOUR_MS;
    await expect(join({ token: late, node: 'n1' })).rejects.toThrow('has ended');
    expect(listed).toEqual([]);
    expect(JSON.stringify(said)).not.toContain(parseToken(good)?.secret);
    const kept = fs.readFileSync(path.join(folder, 'authority', 'members.json'), 'utf8');
    expect(kept).not.toContain(parseToken(good)?.secret);
  });

  test('whose answer was lost asks again with the same key; another key does not', async () => {
    const token = await tokenOf();
    const at = path.join(folder, 'n1');
    const { request } = await makeRequest('n1', joiningKey(at));
    await join({ token, node: 'n1', request });
    // The machine died before it had its answer: its key was kept.
    const { key, request: second } = await makeRequest('n1', joiningKey(at));
    const again = await join({ token, node: 'n1', request: second });
    writeIdentity(at, { ...again, key });
    expect(joiningKey(at), 'a machine that has its certificate begins anew').not.toBe(key);
    expect(new X509Certificate(again.certificate).subjectAltName).toContain('/node/n1');
    await expect(join({ token, node: 'n1' })).rejects.toThrow('was used already');
  });

  test('a token for one machine that two use at once makes one node', async () => {
    const token = await tokenOf();
    const both = await Promise.allSettled([
      join({ token, node: 'n1' }),
      join({ token, node: 'n2' }),
    ]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(listed).toHaveLength(1);
  });

  test('cannot take the name of a node without a token for it; with one the old machine is out', async () => {
    const first = await join({ token: await tokenOf(), node: 'n1' });
    await expect(join({ token: await tokenOf(), node: 'n1' })).rejects.toThrow(
      'there is a node n1 already',
    );
    clockMs += 2000;
    const second = await join({ token: await tokenOf({ node: 'n1' }), node: 'n1' });
    expect(await sessionAs('n1', first)).toContain('was taken back');
    runner('n1', second);
    await until(async () => heard('n1')?.connected);
  });

  test('cannot take the name of a node beside the reconciler, which needs no certificate', async () => {
    const at = `unix:${path.join(folder, 'l.sock')}`;
    const local = await listen(at, LinkServiceDefinition, nodes.service);
    undo.push(local.stop);
    const link = createLink({ ...linkOf('n7'), address: at });
    const abort = new AbortController();
    const running = link.run(abort.signal);
    link.port.report(reportOf('n7'), performance.now());
    undo.push(async () => {
      abort.abort();
      await running;
    });
    await until(async () => heard('n7')?.connected);
    await expect(join({ token: await tokenOf(), node: 'n7' })).rejects.toThrow(
      'there is a node n7 already',
    );
    await join({ token: await tokenOf({ node: 'n7' }), node: 'n7' });
  });

  test.each(['../n1', 'N1', ''])('is refused under the name `%s`', async (node) => {
    await expect(join({ token: await tokenOf(), node })).rejects.toThrow(
      'cannot join under this name',
    );
  });

  test('is refused with a request that is none, of another kind of key, or too long', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const requests = [
      '',
      'x'.repeat(100_000),
      rsa.export({ type: 'spki', format: 'pem' }).toString(),
    ];
    const { request } = await makeRequest('n1');
    const lines = request.split('\n');
    requests.push([lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n'));
    for (const one of requests) {
      const token = await tokenOf();
      await expect(join({ token, node: 'n1', request: one })).rejects.toThrow(
        'holds no ECDSA P-256 key that signed it',
      );
    }
    expect(listed).toEqual([]);
  });
});

describe('who comes otherwise', () => {
  let n1: Identity;
  beforeEach(async () => {
    n1 = await join({ token: await tokenOf(), node: 'n1' });
  });

  const nameOf = (pem: string): string => new X509Certificate(pem).subject.replace(/^CN=/, '');

  /** A certificate for n1 that this authority signed. */
  const foreign = async (
    authority: Awaited<ReturnType<typeof makeAuthority>>,
  ): Promise<Identity> => {
    const { key, request } = await makeRequest('x');
    const span = { fromMs: Date.now() - DAY_MS, toMs: Date.now() + DAY_MS };
    const about = { ...span, id: nodeId(CLUSTER, 'n1') };
    const signed = await signNode(authority, request, about);
    if (signed.kind === 'refused') throw new Error(signed.why);
    return { authority: n1.authority, certificate: signed.certificate, key };
  };

  test('with a certificate of nobody, or of another authority, is nobody', async () => {
    const none = 'has no certificate of this cluster';
    expect(await sessionAs('n1', { authority: n1.authority })).toContain(none);
    const span = { fromMs: Date.now() - DAY_MS, toMs: Date.now() + DAY_MS };
    const other = await foreign(await makeAuthority(CLUSTER, span));
    expect(await sessionAs('n1', other)).toContain(none);
    expect(heard('n1')).toBeUndefined();
    expect(said.join('\n')).toContain(none);
    // One that bears the name of ours: OpenSSL itself cuts it off.
    const forged = await foreign(await makeAuthority(CLUSTER, span, nameOf(n1.authority)));
    expect(await sessionAs('n1', forged)).toContain('UNAVAILABLE');
    expect(heard('n1')).toBeUndefined();
  });

  test('without a token is answered before what it sends is read', async () => {
    const client = createClientFactory().create(
      JoinServiceDefinition,
      channelOf({ authority: n1.authority }),
    );
    const large = 'x'.repeat(30_000_000);
    for (const token of ['', 'Bearer x', 'Bearer purser-join-']) {
      const metadata = Metadata({ authorization: token });
      await expect(
        client.join({ token: '', node: 'n1', request: large }, { metadata }),
      ).rejects.toThrow('shows no token');
    }
    expect(said.join('\n')).toContain('a caller was not let in');
  });

  test('as another node is refused, and so is a report of another node', async () => {
    expect(await sessionAs('n2', n1)).toContain('as node n2, which it is not');
    expect(heard('n2')).toBeUndefined();
  });

  test('with a certificate that has ended, or was taken back, is refused; a live session ends', async () => {
    const { link } = runner('n1', n1);
    await until(async () => heard('n1')?.connected);
    await ask('expel', { node: 'n1' });
    link.port.report(reportOf('n1'), performance.now());
    await until(async () => heard('n1')?.connected === false);
    expect(await sessionAs('n1', n1)).toContain('was taken back');
    clockMs += NODE_MS + 1000;
    expect(await sessionAs('n1', n1)).toContain('has ended');
  });

  test('with a TLS before 1.3 gets no connection', async () => {
    const [host = '', port] = listening.address.split(':');
    const socket = tls.connect({
      host,
      port: Number(port),
      ca: n1.authority,
      maxVersion: 'TLSv1.2',
      checkServerIdentity: () => undefined,
    });
    const [error] = await new Promise<readonly [Error | null]>((resolve) => {
      socket.once('error', (why) => resolve([why]));
      socket.once('secureConnect', () => resolve([null]));
    });
    socket.destroy();
    expect(String(error)).toContain('protocol version');
  });

  test('with bytes that are no TLS, or no HTTP, disturbs nobody', async () => {
    runner('n1', n1);
    await until(async () => heard('n1')?.connected);
    const [host = '', port] = listening.address.split(':');
    const plain = net.connect({ host, port: Number(port) });
    plain.on('error', () => {});
    plain.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'.repeat(1000)));
    const inside = tls.connect({
      host,
      port: Number(port),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    inside.on('error', () => {});
    inside.resume();
    inside.once('secureConnect', () => inside.write(Buffer.alloc(100_000, 7)));
    await Promise.all(
      [plain, inside].map((socket) => new Promise((end) => socket.once('close', end))),
    );
    expect(heard('n1')?.connected).toBe(true);
    expect((await join({ token: await tokenOf(), node: 'n2' })).certificate).toContain('BEGIN');
  });

  test('in the place of the reconciler is sent nothing: neither by a node nor by who joins', async () => {
    const span = { fromMs: Date.now() - DAY_MS, toMs: Date.now() + DAY_MS };
    // Another authority; and a node's own certificate, which may not serve.
    const other = await makeServer(
      await makeAuthority(CLUSTER, span),
      'spiffe://test/reconciler',
      span,
    );
    for (const { certificate, key } of [other, n1]) {
      const got: Buffer[] = [];
      const server = tls.createServer(
        { cert: certificate, key, ALPNProtocols: ['h2'] },
        (socket) => {
          socket.on('data', (data) => got.push(data));
        },
      );
      server.on('tlsClientError', () => {});
      const port = await new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
      });
      try {
        const token = await tokenOf();
        await expect(
          fetchAuthority(`127.0.0.1:${port}`, parseToken(token)?.authority ?? ''),
        ).rejects.toThrow('belongs to another cluster than the token');
        const channel = createChannel(`127.0.0.1:${port}`, credentialsOf(n1), {
          ...TLS_CHANNEL,
          'grpc.enable_retries': 0,
        });
        const client = createClientFactory().create(JoinServiceDefinition, channel);
        await expect(client.renew({ request: 'x' })).rejects.toThrow(/certificate|UNAVAILABLE/);
        channel.close();
        expect(Buffer.concat(got).toString('latin1')).not.toContain('renew');
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }
  });
});

describe('a certificate', () => {
  const renewal = (at: string) => ({
    folder: at,
    node: 'n1',
    addresses: () => [listening.address],
    log: { info: log, warn: log, error: log },
    epochMs: () => clockMs,
    chance: 0,
    renewed: () => {},
  });

  test('is renewed at half of its life with a new key, and the node goes on', async () => {
    // TLS goes by the machine's own clock, so the certificate is one of weeks ago.
    clockMs -= NODE_MS / 2;
    const { folder: at, link } = runner('n1', await join({ token: await tokenOf(), node: 'n1' }));
    await until(async () => heard('n1')?.connected);
    const before = readIdentity(at);
    expect(await renewIfDue({ ...renewal(at), epochMs: () => clockMs + NODE_MS / 3 })).toBe(false);
    clockMs += NODE_MS / 2;
    expect(await renewIfDue(renewal(at))).toBe(true);
    const after = readIdentity(at);
    expect(after.key).not.toBe(before.key);
    const until1 = (identity: Identity) =>
      Date.parse(new X509Certificate(identity.certificate).validTo);
    expect(until1(after) - until1(before)).toBeGreaterThan(NODE_MS / 2 - 2 * DAY_MS);
    const receivedAt = heard('n1')?.receivedAt ?? 0;
    link.port.renew(Infinity);
    await until(async () => (heard('n1')?.receivedAt ?? 0) > receivedAt);
  });

  test('of a node that was expelled is not renewed', async () => {
    const { folder: at } = runner('n1', await join({ token: await tokenOf(), node: 'n1' }));
    await ask('expel', { node: 'n1' });
    clockMs += NODE_MS / 2;
    await expect(renewIfDue(renewal(at))).rejects.toThrow('was taken back');
  });
});

describe('a person', () => {
  const far = async (given: Partial<TokenAsk>) => {
    const token = await tokenOf(given);
    const control = dialTls(listening.address, { authority: await authorityOf(token), token });
    undo.push(control.close);
    return { token, control };
  };

  test.each<[TokenAsk['kind'], readonly string[], readonly string[]]>([
    ['view', ['state'], ['commit', 'token', 'tokens', 'expel', 'endToken', 'unknown']],
    ['operate', ['state', 'commit'], ['token', 'tokens', 'expel', 'endToken']],
    ['admin', ['state', 'commit', 'tokens'], []],
  ])('with a token of kind %s may do what it says', async (kind, may, mayNot) => {
    const { control } = await far({ kind });
    for (const method of may) await expect(control.call(method)).resolves.toBeDefined();
    for (const method of mayNot) {
      await expect(control.call(method)).rejects.toThrow(`a token of kind ${kind} may not do this`);
    }
    const exec = Buffer.from(JSON.stringify({ kind: 'exec', node: 'n1' }));
    const frames = async function* () {
      yield { frame: { $case: 'ask' as const, value: exec } };
    };
    const attached = async () => {
      for await (const { frame } of control.raw.attach(frames())) return frame?.$case;
      return null;
    };
    if (kind === 'view') await expect(attached()).rejects.toThrow('--role operate');
    else expect(await attached()).toBe('end');
  });

  test('without a token, with one to join by, or with one that was ended may do nothing', async () => {
    const { control: joiner } = await far({ kind: 'join' });
    await expect(joiner.call('state')).rejects.toThrow('a token of kind join may not do this');
    const { token, control } = await far({ kind: 'admin' });
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const one of control.watch('state', new AbortController().signal)) seen.push(one);
    })().catch(() => {}); // it is cut off, now or with its connection
    await until(async () => seen.length > 0);
    await ask('endToken', { id: parseToken(token)?.id });
    await expect(control.call('state')).rejects.toThrow('is not known here, or was ended');
    const authority = await authorityOf(token);
    const bare = dialTls(listening.address, { authority, token: '' });
    undo.push(bare.close);
    await expect(bare.call('state')).rejects.toThrow('shows no token');
    control.close();
    await watching;
  });
});

describe('the authority', () => {
  const open = () =>
    openAuthority({ folder: path.join(folder, 'authority'), cluster: CLUSTER, epochMs: Date.now });

  test('is made once, and its key is for its owner alone', async () => {
    const [first, second] = [await open(), await open()];
    expect(second.fingerprint).toBe(first.fingerprint);
    const key = path.join(folder, 'authority', 'authority.key');
    expect(fs.statSync(key).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.dirname(key)).mode & 0o777).toBe(0o700);
  });

  test.each<[string, (key: string, certificate: string) => void, string]>([
    [
      'a key that others can read',
      (key) => fs.chmodSync(key, 0o644),
      'can be read by others: chmod 600',
    ],
    ['a lost key', (key) => fs.rmSync(key), 'cannot be read'],
    ['a lost certificate', (_, certificate) => fs.rmSync(certificate), 'a file was lost'],
    ['a key of another', (key) => fs.writeFileSync(key, own.key), 'is not the key of'],
    ['no PEM', (key) => fs.writeFileSync(key, 'x'), 'is no PEM file'],
  ])('with %s is not used, and nothing is made in its place', async (_name, spoil, why) => {
    const at = (name: string) => path.join(folder, 'authority', name);
    spoil(at('authority.key'), at('authority.crt'));
    await expect(open()).rejects.toThrow(why);
  });

  test('is backed up and restored: a node that joined before is known after it', async () => {
    const n1 = await join({ token: await tokenOf(), node: 'n1' });
    const expelled = await join({ token: await tokenOf(), node: 'n2' });
    await ask('expel', { node: 'n2' });
    const file = path.join(folder, 'kept.tgz');
    const purser = (word: string, root: string) =>
      run(PURSER, [word, file, '--root', root, '--json']);
    expect(await purser('backup', folder)).toMatchObject({ code: 0 });
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect((await purser('backup', folder)).err).toContain('is there already');
    expect((await purser('restore', folder)).err).toContain('would be replaced');
    await listening.stop();
    fs.rmSync(path.join(folder, 'authority'), { recursive: true });
    expect(await purser('restore', folder)).toMatchObject({ code: 0, err: '' });
    await openAll();
    runner('n1', n1);
    await until(async () => heard('n1')?.connected);
    expect(await sessionAs('n2', expelled)).toContain('was taken back');
    const made = path.join(folder, 'made.tgz');
    execFileSync('tar', ['-czf', made, '-C', folder, 'n1']);
    const refused = await run(PURSER, ['restore', made, '--root', path.join(folder, 'x')]);
    expect(refused.err).toContain('is no file of `purser backup`: it holds n1/');
  });

  test('with a damaged list of members is not used: who was expelled would be let in', async () => {
    fs.writeFileSync(path.join(folder, 'authority', 'members.json'), '{');
    const listen = { address: '127.0.0.1:0', folder: path.join(folder, 'authority') };
    const logs = { info: log, warn: log, error: log };
    await expect(
      openDoors({ cluster: CLUSTER, listen, log: logs, epochMs: Date.now }),
    ).rejects.toThrow('is damaged');
  });
});
