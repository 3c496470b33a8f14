// The server that grpc-js makes for an address, which it keeps to itself: limits of connections are
// the server's own. In: what listens. Out: each server, before it listens. Node tells of every
// server that is about to listen (diagnostics_channel); those of this call are told by their async
// context. Not here: the limits.

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server } from 'node:tls';

const LISTEN = 'tracing:net.server.listen:asyncStart';
const calls = new AsyncLocalStorage<object>();

/** Throws where no server was told of: then nothing would keep strangers off. */
export const capturing = async <Answer>(
  listen: () => Promise<Answer>,
  guard: (server: Server) => void,
): Promise<Answer> => {
  const call = {};
  let found = 0;
  const told = (message: unknown): void => {
    const server: unknown = (message as { readonly server?: unknown }).server;
    if (calls.getStore() !== call || !(server instanceof Server)) return;
    found += 1;
    guard(server);
  };
  subscribe(LISTEN, told);
  try {
    const answer = await calls.run(call, listen);
    if (found === 0) {
      throw new Error(
        `Node ${process.version} does not tell of servers that listen, so connections cannot be limited: use Node 20`,
      );
    }
    return answer;
  } finally {
    unsubscribe(LISTEN, told);
  }
};
