// Questions for names that are not ours, passed on to the name servers of the world.
// In: a query's bytes. Out: the answer's bytes under the query's id; null when nobody answers in
// time or too much is under way. Each query has a socket, so a port, and an id of its own: an
// answer that does not fit the question is left alone. Not here: who may ask (server.ts), a cache.

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

export type Transport = 'udp' | 'tcp';

export interface ForwardOptions {
  /** Name servers for whoever asks, in order. */
  readonly upstreams: (asker: string) => Promise<readonly string[]>;
  /** Port of all of them. */
  readonly port?: number;
}

/** @param asker whoever asks: none has all the places */
export type Forward = (
  query: Buffer,
  ask: { readonly transport: Transport; readonly asker: string },
) => Promise<Buffer | null>;

/** Questions under way: each holds a socket, and a name server that is silent holds it for long. */
const IN_FLIGHT = 512;
/** One container that asks in a loop leaves room for the others. */
const IN_FLIGHT_EACH = 64;
/** The next name server is asked after this; clients ask again after about as long. */
const ANSWER_WITHIN_MS = 2000;
const DNS_PORT = 53;

export const createForward = ({ upstreams, port = DNS_PORT }: ForwardOptions): Forward => {
  const underWay = new Map<string, number>();
  let all = 0;
  return async (query, { transport, asker }) => {
    const its = underWay.get(asker) ?? 0;
    if (all >= IN_FLIGHT || its >= IN_FLIGHT_EACH) return null;
    all += 1;
    underWay.set(asker, its + 1);
    try {
      for (const address of await upstreams(asker)) {
        const answer = await askOne(query, { transport, address, port });
        if (answer !== null) return answer;
      }
      return null;
    } finally {
      all -= 1;
      const left = (underWay.get(asker) ?? 1) - 1;
      if (left === 0) underWay.delete(asker);
      else underWay.set(asker, left);
    }
  };
};

interface Upstream {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
}

const askOne = async (query: Buffer, upstream: Upstream): Promise<Buffer | null> => {
  const sent = Buffer.from(query);
  sent.writeUInt16BE(randomInt(ID_LIMIT), 0);
  const ask = upstream.transport === 'udp' ? askUdp : askTcp;
  const answer = await ask(sent, upstream);
  if (answer === null) return null;
  const ours = Buffer.from(answer);
  query.copy(ours, 0, 0, 2);
  return ours;
};

const ID_LIMIT = 65_536;

const askUdp = (sent: Buffer, { address, port }: Upstream): Promise<Buffer | null> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    let ended = false;
    const end = (answer: Buffer | null): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), ANSWER_WITHIN_MS);
    socket.on('error', () => end(null));
    socket.on('message', (message) => {
      if (isAnswerTo(sent, message)) end(message);
    });
    // Connected: the kernel takes answers from that address alone.
    socket.connect(port, address, () => {
      if (!ended) socket.send(sent, (error) => (error === null ? undefined : end(null)));
    });
  });

const askTcp = (sent: Buffer, { address, port }: Upstream): Promise<Buffer | null> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let got = Buffer.alloc(0);
    const end = (answer: Buffer | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(null), ANSWER_WITHIN_MS);
    socket.on('error', () => end(null));
    socket.on('close', () => end(null));
    socket.on('data', (data) => {
      got = Buffer.concat([got, data]);
      while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
        const message = got.subarray(2, 2 + got.readUInt16BE(0));
        got = got.subarray(2 + message.length);
        if (isAnswerTo(sent, message)) end(message);
      }
    });
    socket.on('connect', () => socket.write(framed(sent)));
  });

/** Over TCP a message stands behind its length. */
export const framed = (message: Buffer): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
};

const HEADER_BYTES = 12;

/** The same id and question, in whatever case, or an error that repeats no question. */
const isAnswerTo = (sent: Buffer, message: Buffer): boolean => {
  if (message.length < HEADER_BYTES) return false;
  if (message.readUInt16BE(0) !== sent.readUInt16BE(0)) return false;
  if ((message.readUInt16BE(2) & 0x8000) === 0) return false;
  if (message.readUInt16BE(4) === 0) return (message.readUInt16BE(2) & 0xf) !== 0;
  const end = questionEnd(sent);
  return lower(message.subarray(HEADER_BYTES, end)) === lower(sent.subarray(HEADER_BYTES, end));
};

const lower = (bytes: Buffer): string => bytes.toString('latin1').toLowerCase();

/** The query was read before it came here: its name ends. */
const questionEnd = (sent: Buffer): number => {
  let at = HEADER_BYTES;
  for (let length = sent[at] ?? 0; length > 0; length = sent[at] ?? 0) at += length + 1;
  return at + 5;
};
