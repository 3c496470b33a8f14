// Where programs ask over HTTP: a Unix socket that its owner alone can open, and an address for
// other machines, by TLS 1.3 and a token. In: the API and who may look. Out: listening servers. Not
// here: what is answered (api.ts).

import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { linkAddressProblem } from '../../schema/link-address.ts';
import { TLS_SCHEME } from '../../schema/identity.ts';
import { type Allows, type Api, OWNER } from './api.ts';
import { type Authority, SERVER_RENEWED_MS } from './authority/authority.ts';
import type { Connections } from './door/connections.ts';
import { API_CONNECTIONS, HANDSHAKE_MS, UNREAD_MS } from './door/limits.ts';
import { claimSocket, type Listening } from './server.ts';
import { contextOf } from './tls.ts';

/** A request is a line and a few headers; whoever sends slower is none of ours. */
const LIMITS = {
  requestTimeout: 10_000,
  headersTimeout: 5000,
  connectionsCheckingInterval: 1000,
} as const;

/** The file's mode says who may look. Throws where another process listens there. */
export const listenApi = async (api: Api, path: string): Promise<Listening> => {
  const server = createHttp(LIMITS, (request, response) =>
    api.serve(request, response, () => OWNER),
  );
  const release = await claimSocket(path, async () => listening(server, { path }));
  return {
    address: `unix:${path}`,
    stop: async () => {
      end(server);
      await release();
    },
  };
};

export interface ApiDoor {
  /** `host:port`; port 0: a free one. */
  readonly address: string;
  readonly authority: Authority;
  readonly allows: Allows;
  /** Who stands there, counted by what they have shown. */
  readonly connections: Connections;
  readonly failed: (error: unknown) => void;
}

export const listenApiTls = async (
  api: Api,
  { address, authority, allows, connections, failed }: ApiDoor,
): Promise<Listening> => {
  const problem = linkAddressProblem(`${TLS_SCHEME}${address}`, { ownNamespace: false });
  if (problem !== null) throw new Error(problem);
  const context = await contextOf(authority);
  const limits = { ...LIMITS, handshakeTimeout: HANDSHAKE_MS };
  const server = createHttps({ ...limits, ...context }, (request, response) => {
    const caller = allows(request.headers.authorization);
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    connections.judged(`${remoteAddress}:${remotePort}`, 'bearer' in caller ? caller.bearer : null);
    api.serve(request, response, allows);
  });
  connections.guard(server);
  const renew = async (): Promise<void> => {
    try {
      server.setSecureContext(await contextOf(authority));
    } catch (error) {
      failed(error);
    }
  };
  const timer = setInterval(() => void renew(), SERVER_RENEWED_MS).unref();
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  await listening(server, { host, port: Number(address.slice(at + 1)) });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    address: `${address.slice(0, at)}:${port}`,
    stop: async () => {
      clearInterval(timer);
      end(server);
    },
  };
};

const listening = (
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<void> => {
  server.maxConnections = API_CONNECTIONS;
  // Nothing is sent and nothing taken: whoever was there is gone.
  server.timeout = UNREAD_MS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
};

const end = (server: Server): void => {
  server.close();
  server.closeAllConnections();
};
