// Who stands at the door: connections, counted by what they have shown of themselves.
// In: a server before it listens, and who was let in. Out: too many, too slow and too noisy ones are
// cut off, with a line in the log. A connection is a stranger's until its certificate counts or a
// call of it is let in. Not here: which certificates and tokens count (authority/), what calls send
// (messages.ts).

import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import type { Ms } from '../../../schema/spec.ts';
import type { LogPort } from '../../ports.ts';
import { counted } from './address.ts';
import { type Allowance, createAllowance } from './allowance.ts';
import * as limits from './limits.ts';
import { createMessages, type Messages } from './messages.ts';
import { type Answer, createUnread, type Unread } from './unread.ts';

export interface ConnectionsOptions {
  readonly log: LogPort;
  readonly now: () => Ms;
  /** The node whose certificate this is and counts; null: it is nobody's that may come in. */
  readonly nodeOf: (socket: TLSSocket) => string | null;
}

export interface Connections {
  /** From then on the server sees whom this lets through. */
  readonly guard: (server: Server) => void;
  /** A call of `10.0.0.1:52718` was let in by this bearer, `node n1`; null: it was refused. */
  readonly judged: (peer: string, bearer: string | null) => void;
}

interface Connection {
  readonly socket: Socket;
  readonly peer: string;
  readonly host: string;
  /** `node n1`, `token 0a1b2c3d`; null: a stranger. */
  bearer: string | null;
  /** It has a certificate that counts. */
  isNode: boolean;
  /** Calls that were refused, or that were not judged yet. */
  refused: number;
  isSecure: boolean;
  isCut: boolean;
  /** Bytes that its calls said. */
  said: number;
  /** Bytes that were counted as sent beside them. */
  beside: number;
  timer: NodeJS.Timeout | undefined;
}

interface Door extends ConnectionsOptions {
  readonly all: Map<string, Connection>;
  /** Without a certificate, the oldest first; and how many each address has of them. */
  readonly others: Set<Connection>;
  readonly hosts: Map<string, number>;
  readonly nodes: Map<string, Set<Connection>>;
  /** Addresses that nodes came from, and so may come from again while strangers storm the door. */
  readonly wereIn: Set<string>;
  readonly faults: Allowance;
  readonly allFaults: Allowance;
  readonly looks: Allowance;
  readonly beside: Allowance;
  readonly messages: Messages;
  readonly unread: Unread;
}

const ALL = 'all';

export const createConnections = (options: ConnectionsOptions): Connections => {
  const { now, log } = options;
  const door: Door = {
    ...options,
    all: new Map(),
    others: new Set(),
    hosts: new Map(),
    nodes: new Map(),
    wereIn: new Set(),
    faults: createAllowance({ ...limits.FAULTS_PER_ADDRESS, names: limits.ADDRESSES, now }),
    allFaults: createAllowance({ ...limits.FAULTS, names: 1, now }),
    looks: createAllowance({ ...limits.LOOKS_PER_ADDRESS, names: limits.ADDRESSES, now }),
    beside: createAllowance({ ...limits.BESIDE_BYTES, names: limits.CONNECTIONS, now }),
    messages: createMessages({ log, now }),
    unread: createUnread({ log, now }),
  };
  return {
    guard: (server) => guard(door, server),
    judged: (peer, bearer) => {
      const connection = door.all.get(peer);
      if (connection === undefined) return;
      if (bearer !== null && connection.bearer === null) letIn(connection, bearer);
      // Calls of strangers count all, those of services that there are not as well: see below.
      if (bearer === null && connection.bearer !== null) refuse(door, connection);
    },
  };
};

/** What the server does with a connection it does only with those that are taken. */
const guard = (door: Door, server: Server): void => {
  server.maxConnections = limits.CONNECTIONS;
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (!take(door, socket)) return;
    for (const listener of listeners) listener.call(server, socket);
  });
  const looking = setInterval(() => weigh(door), limits.SENT_LOOK_MS).unref();
  server.once('close', () => clearInterval(looking));
  server.on('drop', () => {
    door.log.warn({ why: `${limits.CONNECTIONS} are open` }, 'a connection was not taken');
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    const connection = door.all.get(peerOf(socket));
    if (connection !== undefined) secured(door, connection, socket);
  });
  server.on('session', (session: ServerHttp2Session) => watchSession(door, session));
};

const peerOf = ({ remoteAddress = '', remotePort = 0 }: Socket): string =>
  `${remoteAddress}:${remotePort}`;

const take = (door: Door, socket: Socket): boolean => {
  const peer = peerOf(socket);
  const host = counted(socket.remoteAddress ?? '');
  const why = refusal(door, host);
  if (why !== null) {
    door.log.warn({ address: peer, why }, 'a connection was not taken');
    socket.on('error', () => undefined).destroy();
    return false;
  }
  makeRoom(door);
  const connection: Connection = {
    socket,
    peer,
    host,
    bearer: null,
    isNode: false,
    refused: 0,
    isSecure: false,
    isCut: false,
    said: 0,
    beside: 0,
    timer: undefined,
  };
  door.all.set(peer, connection);
  door.others.add(connection);
  door.hosts.set(host, (door.hosts.get(host) ?? 0) + 1);
  cutAfter(door, connection, [limits.HANDSHAKE_MS, 'it began no TLS, or did not end it']);
  socket.once('close', () => gone(door, connection));
  return true;
};

const refusal = ({ faults, allFaults, hosts, wereIn }: Door, host: string): string | null => {
  if (!faults.has(host)) return 'too many connections of this address came to nothing';
  if (!allFaults.has(ALL) && !wereIn.has(host)) return 'too many connections came to nothing';
  const most = limits.STRANGERS_PER_ADDRESS;
  return (hosts.get(host) ?? 0) < most
    ? null
    : `this address has ${most} connections without a certificate`;
};

/** The oldest that has shown nothing: whoever works needs but a moment to show who it is. */
const makeRoom = (door: Door): void => {
  if (door.others.size < limits.STRANGERS) return;
  for (const connection of door.others) {
    if (connection.bearer !== null) continue;
    cut(door, connection, `${limits.STRANGERS} connections have shown nothing`);
    leave(door, connection);
    return;
  }
};

const cut = ({ log }: Door, connection: Connection, why: string): void => {
  if (connection.isCut) return;
  connection.isCut = true;
  const { peer: address, bearer } = connection;
  log.warn({ address, ...(bearer === null ? {} : { bearer }), why }, 'a connection was cut');
  connection.socket.destroy();
};

const cutAfter = (door: Door, connection: Connection, [ms, why]: [Ms, string]): void => {
  clearTimeout(connection.timer);
  connection.timer = setTimeout(() => {
    if (connection.bearer === null) cut(door, connection, why);
  }, ms).unref();
};

/** What HTTP/2 reads and tells nobody of is known by what came in. */
const weigh = (door: Door): void => {
  for (const connection of door.all.values()) {
    const beside = connection.socket.bytesRead - 2 * connection.said;
    if (connection.bearer === null) {
      if (beside > limits.UNSHOWN_BYTES) cut(door, connection, 'it sent much and showed nothing');
      continue;
    }
    const more = beside - connection.beside;
    if (more <= 0) continue;
    connection.beside = beside;
    if (!door.beside.take(connection.peer, more)) {
      cut(door, connection, 'it sends too much beside its calls');
    }
  }
};

/** No longer among those without a certificate. */
const leave = ({ others, hosts }: Door, connection: Connection): void => {
  if (!others.delete(connection)) return;
  const left = (hosts.get(connection.host) ?? 0) - 1;
  if (left > 0) hosts.set(connection.host, left);
  else hosts.delete(connection.host);
};

const gone = (door: Door, connection: Connection): void => {
  const { all, faults, allFaults, looks, nodes } = door;
  const { peer, host, bearer } = connection;
  clearTimeout(connection.timer);
  all.delete(peer);
  leave(door, connection);
  const mine = bearer === null ? undefined : nodes.get(bearer);
  if (bearer !== null && mine?.delete(connection) === true && mine.size === 0) nodes.delete(bearer);
  if (bearer !== null) return;
  const isLook = connection.isSecure && !connection.isCut;
  if (isLook && looks.take(host)) return;
  faults.take(host);
  allFaults.take(ALL);
  door.log.info({ address: peer }, 'a connection came to nothing');
};

const secured = (door: Door, connection: Connection, socket: TLSSocket): void => {
  connection.isSecure = true;
  const node = door.nodeOf(socket);
  if (node === null) {
    cutAfter(door, connection, [limits.SPEAK_MS, 'it has no certificate and showed no token']);
    return;
  }
  letIn(connection, `node ${node}`);
  connection.isNode = true;
  leave(door, connection);
  door.wereIn.delete(connection.host);
  door.wereIn.add(connection.host);
  for (const host of door.wereIn) {
    if (door.wereIn.size <= limits.ADDRESSES) break;
    door.wereIn.delete(host);
  }
  const mine = door.nodes.get(`node ${node}`) ?? new Set();
  door.nodes.set(`node ${node}`, mine.add(connection));
  if (mine.size <= limits.CONNECTIONS_PER_NODE) return;
  const [oldest] = mine;
  if (oldest === undefined) return;
  mine.delete(oldest);
  cut(door, oldest, `this node has ${limits.CONNECTIONS_PER_NODE} newer ones`);
};

const letIn = (connection: Connection, bearer: string): void => {
  clearTimeout(connection.timer);
  connection.bearer = bearer;
  connection.refused = 0;
};

const refuse = (door: Door, connection: Connection): void => {
  connection.refused += 1;
  if (connection.refused !== limits.REFUSED_CALLS) return;
  door.faults.take(connection.host);
  cut(door, connection, `${limits.REFUSED_CALLS} of its calls were refused`);
};

const watchSession = (door: Door, session: ServerHttp2Session): void => {
  const connection = door.all.get(peerOf(session.socket));
  if (connection === undefined) return;
  const { now } = door;
  const pings = createAllowance({ ...limits.PINGS, names: 1, now });
  const calls = createAllowance({ ...limits.CALLS_PER_CONNECTION, names: 1, now });
  const resets = createAllowance({ ...limits.RESETS, names: 1, now });
  const within = (allowance: Allowance, what: string): void => {
    if (!connection.socket.destroyed && !allowance.take(ALL)) cut(door, connection, what);
  };
  session.on('error', (error) => {
    // HTTP/2 itself found it too noisy, or not to be HTTP/2.
    cut(door, connection, String(error));
  });
  session.on('ping', () => within(pings, 'it sends too many pings'));
  session.on('remoteSettings', () => within(pings, 'it sends too many settings'));
  session.on('stream', (stream, headers) => {
    within(calls, 'it begins too many calls');
    stream.once('close', () => {
      if (stream.rstCode === constants.NGHTTP2_CANCEL)
        within(resets, 'it takes too many calls back');
    });
    if (connection.bearer === null) refuse(door, connection);
    const { bearer, peer: address } = connection;
    const call = { bearer, address, path: headers[':path'] ?? '' };
    door.messages.watch(stream, call);
    stream.on('data', (piece: Buffer) => (connection.said += piece.length));
    door.unread.watch(answerOn(stream), call);
  });
};

const answerOn = (stream: ServerHttp2Stream): Answer => ({
  waiting: () => stream.writableLength,
  sent: () => stream.session?.socket.bytesWritten ?? 0,
  end: () => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM),
  onClose: (listener) => void stream.once('close', listener),
});
