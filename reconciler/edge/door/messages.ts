// What calls send, counted while it arrives: a message is held until it is whole, so what is not
// whole yet is bounded, of each bearer and of all.
// In: streams of calls that were let in. Out: those beyond a limit are ended, with a line in the
// log. Five bytes before each message say how long it is (gRPC over HTTP/2). Not here: what
// messages say.

import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Ms } from '../../../schema/spec.ts';
import type { LogPort } from '../../ports.ts';
import { hostOf } from './address.ts';
import { createAllowance } from './allowance.ts';
import * as limits from './limits.ts';

export interface MessagesOptions {
  readonly log: LogPort;
  readonly now: () => Ms;
}

export interface Call {
  /** `node n1`, `token 0a1b2c3d`; null: a stranger, who is told why it is refused. */
  readonly bearer: string | null;
  readonly path: string;
  readonly address: string;
}

export interface Messages {
  /** Once the server itself reads the stream: it is slowed down by its reader, never by this. */
  readonly watch: (stream: ServerHttp2Stream, call: Call) => void;
}

const SESSION = '/purser.link.v1.LinkService/Session';
/** One byte that says whether a message is compressed, four of its length. */
const HEAD_BYTES = 5;
const ALL = 'all';

export const createMessages = ({ log, now }: MessagesOptions): Messages => {
  const partial = createGauge();
  const open = createGauge();
  const sent = createAllowance({ ...limits.SENT_BYTES, names: limits.ADDRESSES, now });

  return {
    watch: (stream, call) => {
      const bearer = call.bearer ?? hostOf(call.address);
      const isSession = call.path === SESSION;
      const framer = createFramer(mostBytes(call));
      const name = `${isSession ? 'sessions' : 'calls'} of ${bearer}`;
      let held = 0;
      const hold = (bytes: number): void => {
        partial.add(bearer, bytes - held);
        partial.add(ALL, bytes - held);
        held = bytes;
      };
      const end = (why: string): void => {
        hold(0);
        if (stream.closed || stream.destroyed) return;
        log.warn({ ...call, why }, 'a call was ended');
        stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      };
      open.add(name, 1);
      stream.once('close', () => {
        hold(0);
        open.add(name, -1);
      });
      const most = mostOpen(bearer, isSession);
      if (open.of(name) > most) end(`more than ${most} ${name}`);
      stream.on('data', (piece: Buffer) => {
        const fault = framer.take(piece);
        if (fault !== null) return end(fault);
        hold(framer.held());
        if (
          partial.of(bearer) > limits.PARTIAL_BYTES_PER_BEARER ||
          partial.of(ALL) > limits.PARTIAL_BYTES
        ) {
          return end('too much has arrived of messages that are not whole');
        }
        if (isSession && !sent.take(bearer, piece.length)) end('it sends too much');
      });
    },
  };
};

const mostBytes = ({ bearer, path }: Call): number => {
  if (bearer === null) return limits.STRANGER_BYTES;
  return path === SESSION ? limits.SESSION_BYTES : limits.CALL_BYTES;
};

const mostOpen = (bearer: string, isSession: boolean): number => {
  if (isSession) return limits.SESSIONS_PER_NODE;
  return bearer.startsWith('token ') ? limits.STREAMS_PER_TOKEN : limits.CALLS_AT_ONCE;
};

interface Gauge {
  readonly add: (name: string, amount: number) => void;
  readonly of: (name: string) => number;
}

/** Names at zero are forgotten. */
const createGauge = (): Gauge => {
  const amounts = new Map<string, number>();
  return {
    add: (name, amount) => {
      const next = (amounts.get(name) ?? 0) + amount;
      if (next === 0) amounts.delete(name);
      else amounts.set(name, next);
    },
    of: (name) => amounts.get(name) ?? 0,
  };
};

export interface Framer {
  /** What is wrong with what arrives, or null. */
  readonly take: (piece: Buffer) => string | null;
  /** What the message that is not whole holds, in bytes. */
  readonly held: () => number;
}

/** `most`: the longest message, in bytes. */
export const createFramer = (most: number): Framer => {
  const head = Buffer.alloc(HEAD_BYTES);
  let headLength = 0;
  let missing = 0;
  let held = 0;
  return {
    held: () => held,
    take: (piece) => {
      let at = 0;
      held += limits.PIECE_BYTES;
      while (at < piece.length) {
        if (missing === 0) {
          const count = Math.min(HEAD_BYTES - headLength, piece.length - at);
          piece.copy(head, headLength, at, at + count);
          headLength += count;
          at += count;
          held += count;
          if (headLength < HEAD_BYTES) return null;
          headLength = 0;
          if (head[0] !== 0) return 'it sends compressed messages, which nobody here does';
          missing = head.readUInt32BE(1);
          if (missing > most) return `a message of ${missing} bytes, more than ${most}`;
        }
        const count = Math.min(missing, piece.length - at);
        missing -= count;
        at += count;
        held = missing === 0 ? 0 : held + count;
      }
      return null;
    },
  };
};
