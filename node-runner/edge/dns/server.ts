// One address at which the runner answers DNS, over UDP and TCP.
// In: an address, who may ask, what a name means, whom to ask for other names. Out: replies, to
// those alone who may ask. An address that is taken is tried again until it is free. Not here: what
// a name means (decide/dns.ts), the form of messages (packet.ts).

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DnsAnswer, DnsQuestion, RunnerLog } from '../../ports.ts';
import type { Forward, Transport } from './forward.ts';
import { mostBytes, type Query, RCODE, readQuery, recordsOf, reply } from './packet.ts';
import { resolveAlias } from './alias.ts';
import { serveTcp } from './tcp.ts';

export interface DnsServerOptions {
  readonly address: string;
  /** 0: any that is free, for tests. */
  readonly port: number;
  readonly isAllowed: (source: string) => boolean;
  readonly answer: (question: DnsQuestion) => DnsAnswer | Promise<DnsAnswer>;
  readonly forward: Forward;
  readonly log: Pick<RunnerLog, 'info' | 'warn'>;
}

export interface DnsServer {
  /** Answers until the signal. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** The port in use; null while the address is not ours. */
  readonly port: () => number | null;
}

/** Somebody else has the address, or it is not there yet. */
const BIND_AGAIN_MS = 1000;

export const createDnsServer = (options: DnsServerOptions): DnsServer => {
  let port: number | null = null;
  return {
    port: () => port,
    run: async (signal) => {
      let said = '';
      while (!signal.aborted) {
        try {
          const bound = await bind(options);
          port = bound.port;
          said = '';
          options.log.info({ address: options.address, port }, 'answers DNS');
          await untilBroken(bound, signal);
        } catch (error) {
          const message = bindWords(options, error);
          if (message !== said) options.log.warn({ error: String(error) }, message);
          said = message;
        }
        port = null;
        await sleep(BIND_AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  };
};

const bindWords = ({ address, port }: DnsServerOptions, error: unknown): string => {
  const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  const why = taken ? 'another program listens there: ' : '';
  const fix = taken ? `\`ss -lntup 'sport = :${port}'\` shows it; bind it to other addresses` : '';
  return `DNS cannot be answered at ${address}:${port}, which is tried again: ${why}${fix}`;
};

interface Bound {
  readonly udp: UdpSocket;
  readonly tcp: Server;
  readonly endTcp: () => void;
  readonly port: number;
}

/** TCP takes the same port as UDP. Throws what the kernel says, and leaves nothing open then. */
const bind = async (options: DnsServerOptions): Promise<Bound> => {
  const { address } = options;
  const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject);
      udp.bind({ port: options.port, address }, resolve);
    });
    udp.removeAllListeners('error');
    const { port } = udp.address();
    const tcp = createServer();
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen({ host: address, port }, resolve);
    });
    tcp.removeAllListeners('error');
    udp.on('message', (message, { address: source, port: to }) => {
      void handle(options, message, { transport: 'udp', source }).then((answer) => {
        if (answer !== null) sendTo(udp, answer, { source, port: to });
      });
    });
    const endTcp = serveTcp(tcp, {
      isAllowed: options.isAllowed,
      handle: (message, source) => handle(options, message, { transport: 'tcp', source }),
    });
    return { udp, tcp, endTcp, port };
  } catch (error) {
    udp.close();
    throw error;
  }
};

/** The client may be gone, and the socket closed, when an answer from elsewhere comes. */
const sendTo = (
  udp: UdpSocket,
  answer: Buffer,
  to: { readonly source: string; readonly port: number },
): void => {
  try {
    udp.send(answer, to.port, to.source, () => undefined);
  } catch {
    // Closed: the runner ends.
  }
};

const untilBroken = async ({ udp, tcp, endTcp }: Bound, signal: AbortSignal): Promise<void> => {
  await new Promise<void>((resolve) => {
    const end = (): void => resolve();
    udp.once('error', end);
    tcp.once('error', end);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
  udp.on('error', () => undefined);
  tcp.on('error', () => undefined);
  udp.close();
  await new Promise<void>((resolve) => {
    tcp.close(() => resolve());
    endTcp();
  });
};

interface From {
  readonly transport: Transport;
  readonly source: string;
}

/** null: nothing is said. */
const handle = async (
  options: DnsServerOptions,
  message: Buffer,
  { transport, source }: From,
): Promise<Buffer | null> => {
  if (!options.isAllowed(source)) return null;
  const read = readQuery(message);
  if (read.kind === 'silence') return null;
  if (read.kind === 'reply') return read.bytes;
  const { query } = read;
  const most = mostBytes(query, transport);
  const answer = await options.answer(query.question);
  switch (answer.kind) {
    case 'records':
      return reply(query, {
        rcode: answer.exists ? RCODE.ok : RCODE.noName,
        most,
        authoritative: true,
        answers: recordsOf(answer.answers),
        authorities: recordsOf(answer.authorities),
        additionals: recordsOf(answer.additionals),
      });
    case 'alias': {
      const { target } = answer;
      const asked = await resolveAlias(query.question, {
        target,
        forward: options.forward,
        source,
      });
      return reply(query, { most, ...asked });
    }
    case 'forward':
      return passOn(options, { query, message, most }, { transport, source });
  }
};

const passOn = async (
  { forward }: DnsServerOptions,
  {
    query,
    message,
    most,
  }: { readonly query: Query; readonly message: Buffer; readonly most: number },
  { transport, source }: From,
): Promise<Buffer | null> => {
  const answer = await forward(message, { transport, asker: source });
  if (answer === null) return reply(query, { rcode: RCODE.failed, most });
  if (answer.length <= most) return answer;
  return reply(query, { rcode: RCODE.ok, most, truncated: true });
};
