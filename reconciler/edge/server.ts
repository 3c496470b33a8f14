// The sockets of the reconciler: the link for runners, the control socket for the command line.
// In: addresses and services. Out: listening servers and the way to stop them. Nothing listens
// beyond loopback, Unix sockets and namespaces of one's own without TLS (schema/link-address.ts).
// Not here: what the services do.

import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { CompatServiceDefinition, Server, ServiceImplementation } from 'nice-grpc';
import { createServer } from 'nice-grpc';
import { capturing } from './door/capture.ts';
import type { Connections } from './door/connections.ts';
import { inOwnNamespace } from './namespace.ts';
import type { TlsServer } from './tls.ts';
import { TLS_SCHEME } from '../../schema/identity.ts';
import { linkAddressProblem } from '../../schema/link-address.ts';
import { MESSAGE_BYTES } from '../../schema/wire.ts';

export interface Listening {
  /** With the port that was given, where 0 was asked. */
  readonly address: string;
  readonly stop: () => Promise<void>;
}

const SERVER_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES,
  'grpc.max_send_message_length': MESSAGE_BYTES,
  // Runners ping an idle link every 5 s; without this the server takes that for abuse.
  'grpc.http2.min_ping_interval_without_data_ms': 1000,
  'grpc.keepalive_time_ms': 5000,
  'grpc.keepalive_timeout_ms': 5000,
};

/** A connection without a call is of nobody that works here. */
const IDLE_MS = 60_000;

/**
 * Serves at an address beyond this machine, `host:port`: every connection is TLS 1.3. Throws where
 * the address cannot be had.
 */
export const listenTls = async (
  address: string,
  { tls, connections }: { readonly tls: TlsServer; readonly connections: Connections },
  add: (server: Server) => void,
): Promise<Listening> => {
  const problem = linkAddressProblem(`${TLS_SCHEME}${address}`, { ownNamespace: false });
  if (problem !== null) throw new Error(problem);
  const { interceptors, credentials } = tls;
  const server = createServer({
    ...SERVER_OPTIONS,
    'grpc.max_connection_idle_ms': IDLE_MS,
    // A list of functions among options that are numbers and texts: grpc-js takes it so.
    ...({ interceptors } as object),
  });
  add(server);
  const port = await capturing(() => server.listen(address, credentials), connections.guard);
  return {
    address: address.replace(/:\d+$/, `:${port}`),
    stop: async () => {
      tls.stop();
      server.forceShutdown();
    },
  };
};

/**
 * Serves one service at one address; a Unix socket gets mode 0600. Throws where another process
 * serves there: two reconcilers of one cluster would take each other's nodes for lost.
 */
export const listen = async <Service extends CompatServiceDefinition>(
  address: string,
  service: Service,
  implementation: ServiceImplementation<Service>,
): Promise<Listening> => {
  const problem = linkAddressProblem(address, { ownNamespace: await inOwnNamespace() });
  if (problem !== null) throw new Error(problem);
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : null;
  const server = createServer(SERVER_OPTIONS);
  server.add(service, implementation);
  if (path === null) {
    const port = await server.listen(address);
    return {
      address: address.replace(/:\d+$/, `:${port}`),
      stop: async () => server.forceShutdown(),
    };
  }
  const release = await claimSocket(path, () => server.listen(address));
  return {
    address,
    stop: async () => {
      server.forceShutdown();
      await release();
    },
  };
};

/**
 * Listens at a Unix socket of mode 0600; returns the way to take its file away. Throws where
 * another process answers there.
 */
export const claimSocket = async (
  path: string,
  open: () => Promise<unknown>,
): Promise<() => Promise<void>> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) {
    throw new Error(`somebody answers at ${path} already: end that reconciler before another one`);
  }
  await rm(path, { force: true }); // a socket of a process that is gone
  await open();
  await chmod(path, 0o600);
  return () => rm(path, { force: true });
};

/** A socket whose process is gone refuses. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const end = (is: boolean) => () => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
  });
