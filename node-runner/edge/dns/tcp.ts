// DNS over TCP: messages behind their lengths, several on one connection.
// In: a listening server, who may ask, an answer for a message. Out: replies. Limits of connections,
// bytes, questions under way and time, so that nobody holds more than a few places. Not here: what
// is answered (server.ts).

import type { Server, Socket } from 'node:net';
import { framed } from './forward.ts';
import { QUERY_BYTES } from './packet.ts';

export interface TcpOptions {
  readonly isAllowed: (source: string) => boolean;
  readonly handle: (message: Buffer, source: string) => Promise<Buffer | null>;
}

/** TCP is the exception: answers that are too large for UDP. */
const CONNECTIONS = 128;
const CONNECTIONS_EACH = 16;
/** A client that says nothing and takes nothing has gone. */
const IDLE_MS = 10_000;
/** A connection for longer than this is opened anew: slow bytes do not keep a place for ever. */
const LONGEST_MS = 120_000;
/** Questions of one connection that wait for their answers. */
const QUESTIONS = 16;
/** Answers that a slow reader has not taken: two of the largest. */
const UNREAD_BYTES = 128 * 1024;

/** Returns the way to end its connections. */
export const serveTcp = (server: Server, options: TcpOptions): (() => void) => {
  const open = new Map<Socket, string>();
  const of = (source: string): number =>
    [...open.values()].filter((other) => other === source).length;
  server.on('connection', (socket) => {
    const source = socket.remoteAddress ?? '';
    const full = open.size >= CONNECTIONS || of(source) >= CONNECTIONS_EACH;
    if (full || !options.isAllowed(source)) {
      socket.destroy();
      return;
    }
    open.set(socket, source);
    const longest = setTimeout(() => socket.destroy(), LONGEST_MS);
    socket.on('close', () => {
      clearTimeout(longest);
      open.delete(socket);
    });
    converse(socket, (message) => options.handle(message, source));
  });
  return () => {
    for (const socket of open.keys()) socket.destroy();
  };
};

const converse = (socket: Socket, handle: (message: Buffer) => Promise<Buffer | null>): void => {
  let rest = Buffer.alloc(0);
  let waiting = 0;
  const next = (): void => {
    while (!socket.destroyed && waiting < QUESTIONS && rest.length >= 2) {
      const length = rest.readUInt16BE(0);
      if (length > QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (rest.length < 2 + length) break;
      const message = Buffer.from(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
      waiting += 1;
      void answerOne(message);
    }
    if (waiting >= QUESTIONS) socket.pause();
    else socket.resume();
  };
  const answerOne = async (message: Buffer): Promise<void> => {
    const answer = await handle(message);
    waiting -= 1;
    if (answer === null || socket.writableLength > UNREAD_BYTES) socket.destroy();
    if (socket.destroyed || answer === null) return;
    socket.write(framed(answer));
    next();
  };
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    next();
  });
};
