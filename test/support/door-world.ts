// A door to other machines with its real ends on loopback, and callers that no command would be:
// from other addresses of the loopback, with bytes of their own. In: nothing. Out: a world to try
// attacks on, and its log. Not here: what must hold (test/contract/door-*).

import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { createChannel, createClientFactory, Metadata } from 'nice-grpc';
import { fetchAuthority } from '../../cli/trust.ts';
import { type Identity, makeRequest, writeIdentity } from '../../node-runner/edge/identity.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import type { ServeStream } from '../../node-runner/edge/link-streams.ts';
import { credentialsOf, TLS_CHANNEL } from '../../node-runner/edge/tls.ts';
import { openDoors } from '../../reconciler/doors.ts';
import type { Api } from '../../reconciler/edge/api.ts';
import { createControl } from '../../reconciler/edge/control.ts';
import { createNodes } from '../../reconciler/edge/nodes.ts';
import type { Listening } from '../../reconciler/edge/server.ts';
import type { TokenAnswer, TokenAsk } from '../../schema/control.ts';
import { JoinServiceDefinition } from '../../schema/generated/purser/join/v1/join.ts';
import { SessionRequest } from '../../schema/generated/purser/link/v1/link.ts';
import { parseToken, RECONCILER_HOST } from '../../schema/identity.ts';
import type { NodeReport } from '../../schema/orders.ts';
import { encodeReport, LINK_PROTOCOL } from '../../schema/wire.ts';
import { reportWith } from './reports.ts';

export const CLUSTER = 'test';
const HOUR_MS = 3600 * 1000;

export type DoorWorld = Awaited<ReturnType<typeof openDoorWorld>>;

export interface DoorWorldOptions {
  /** What `state` answers: large, to flood whoever does not read. */
  readonly state?: () => string;
}

export const openDoorWorld = async ({ state = () => 'x'.repeat(1000) }: DoorWorldOptions = {}) => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'pda-'));
  const said: string[] = [];
  const undo: (() => Promise<unknown> | void)[] = [];
  const log = (fields: object, message: string): void =>
    void said.push(`${message} ${JSON.stringify(fields)}`);
  const logs = { info: log, warn: log, error: log };
  const clock = { now: () => performance.now(), sleepUntil: async () => {} };
  const nodes = createNodes({ cluster: CLUSTER, clock, log: logs });
  const doors = await openDoors({
    cluster: CLUSTER,
    listen: {
      address: '127.0.0.1:0',
      apiAddress: '127.0.0.1:0',
      folder: path.join(folder, 'authority'),
    },
    log: logs,
    epochMs: Date.now,
  });
  const listed: string[] = [];
  const list = async (node: string) => {
    listed.push(node);
    return 'c0ffee';
  };
  const handlers = { ...doors.handlers, state: async () => state() };
  const watchers = new Set<() => void>();
  const changes = (listener: () => void) => {
    watchers.add(listener);
    return () => watchers.delete(listener);
  };
  const control = createControl({ handlers, changes, streams: nodes.streams });
  const listening = await doors.open({ control, nodes, list });
  const port = Number(listening.address.split(':').at(-1));

  const token = async (given: Partial<TokenAsk> = {}): Promise<string> => {
    const all: TokenAsk = { kind: 'join', node: null, uses: 1, lastsMs: HOUR_MS, ...given };
    const { token: give } = doors.handlers;
    if (give === undefined) throw new Error('nobody makes tokens here');
    return ((await give(all)) as TokenAnswer).token;
  };
  const join = async (node: string): Promise<Identity> => {
    const text = await token();
    const authority = await fetchAuthority(listening.address, parseToken(text)?.authority ?? '');
    const { key, request } = await makeRequest(node);
    const channel = createChannel(listening.address, credentialsOf({ authority }), TLS_CHANNEL);
    try {
      const client = createClientFactory().create(JoinServiceDefinition, channel);
      const metadata = Metadata({ authorization: `Bearer ${text}` });
      const { certificate } = await client.join({ token: text, node, request }, { metadata });
      return { authority, certificate, key };
    } finally {
      channel.close();
    }
  };
  /** A runner that works, and reports twenty times a second. */
  const runner = (node: string, identity: Identity, serve: ServeStream = noStreams) => {
    const at = path.join(folder, node);
    writeIdentity(at, identity);
    const link = createLink({
      cluster: CLUSTER,
      node,
      address: `tls:${listening.address}`,
      identity: at,
      clock: { now: () => performance.now(), bootId: 'b', sleepUntil: async () => {} },
      log: logs,
      serve,
    });
    const abort = new AbortController();
    const running = link.run(abort.signal);
    const timer = setInterval(() => link.port.report(reportOf(node), performance.now()), 50);
    undo.push(async () => {
      clearInterval(timer);
      abort.abort();
      await running;
    });
    return link;
  };

  /** A connection from this address of the loopback that says nothing. */
  const connect = (from: string): net.Socket => {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: from });
    socket.on('error', () => undefined);
    undo.push(() => void socket.destroy());
    return socket;
  };
  /** TLS from this address; with a node's certificate, or with none. */
  const dialTls = (from: string, identity?: Identity): tls.TLSSocket => {
    // Node has it, its types do not.
    const local: object = { localAddress: from };
    const socket = tls.connect({
      ...local,
      host: '127.0.0.1',
      port,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
      servername: RECONCILER_HOST,
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
    });
    socket.on('error', () => undefined);
    undo.push(() => void socket.destroy());
    return socket;
  };
  const dial = (
    from: string,
    identity?: Identity,
    settings: http2.Settings = {},
  ): http2.ClientHttp2Session => {
    const session = http2.connect(`https://${RECONCILER_HOST}:${port}`, {
      maxOutstandingPings: 1_000_000,
      settings: { enablePush: false, ...settings },
      createConnection: () => dialTls(from, identity),
    });
    session.on('error', () => undefined);
    undo.push(() => session.destroy());
    return session;
  };
  return {
    folder,
    said,
    log: logs,
    listed,
    nodes,
    port,
    token,
    join,
    runner,
    connect,
    dial,
    dialTls,
    openApi: async (api: Api): Promise<Listening> => {
      const served = await doors.openApi(api);
      if (served === null) throw new Error('it has no address');
      return served;
    },
    /** Those that watch are to look again. */
    change: (): void => {
      for (const wake of watchers) wake();
    },
    watching: (): number => watchers.size,
    heardAt: (node: string): number =>
      nodes.port.heard().nodes.find((one) => one.node === node)?.receivedAt ?? 0,
    close: async () => {
      for (const step of undo.toReversed()) await step();
      await listening.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
};

const noStreams = async (): Promise<never> => {
  throw new Error('no streams here');
};

/** A call of gRPC, as HTTP/2 has it. */
export const begin = (
  session: http2.ClientHttp2Session,
  name: string,
  headers: Readonly<Record<string, string>> = {},
): http2.ClientHttp2Stream => {
  const stream = session.request({
    ':method': 'POST',
    ':path': name,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined).resume();
  return stream;
};

/** A message in its frame, with a length of its own where that is to be a lie. */
export const framed = (message: Uint8Array, length = message.length): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
};

/** Of a session: who speaks. */
export const helloFrame = (node: string): Buffer =>
  framed(
    SessionRequest.encode({
      frame: {
        $case: 'hello',
        value: { protocol: LINK_PROTOCOL, cluster: CLUSTER, node, release: '', term: 0n },
      },
    }).finish(),
  );

/** The whole of it; `later`: as what changed since the one before, which is nothing. */
export const reportFrame = (node: string, sequence: number, later = false): Buffer => {
  const first = encodeReport(null, reportOf(node), 0);
  const { frame } = later ? encodeReport(first.sent, reportOf(node), 0) : first;
  const value = { sequence: BigInt(sequence), frame: Buffer.from(JSON.stringify(frame)) };
  return framed(SessionRequest.encode({ frame: { $case: 'report', value } }).finish());
};

export const reportOf = (node: string): NodeReport => reportWith({ node, cluster: CLUSTER });
