// The receiver of webhooks: an http server that lets in what GitHub has signed, once.
// In: deliveries. Out: a call for each that is new and says something. A delivery decides nothing:
// it wakes, and clicks are noted. Refusals have a status and a line of log, and tell nothing. Not
// here: what a delivery means (clicks), TLS (a proxy in front).

import { createServer, STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Webhooks } from '@octokit/webhooks';
import type { WebhookConfig } from '../../config.ts';
import type { ClockPort, LogPort } from '../../ports.ts';
import type { Delivery } from './clicks.ts';
import { ForgeFailure } from './failure.ts';
import { secretIn } from './login.ts';

export interface Receiver {
  /** The address with its port. Throws ForgeFailure where it cannot listen. */
  readonly listen: () => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface ReceiverOptions {
  readonly config: WebhookConfig;
  readonly clock: ClockPort;
  readonly log: LogPort;
  readonly onDelivery: (delivery: Delivery) => void;
}

/**
 * GitHub sends up to 25 MB, all of it in pushes of thousands of files. Whatever carries a click or
 * a comment stays below one; a push that is larger is found by the next look.
 */
export const BODY_MAX_BYTES = 4 * 1024 * 1024;
/** Bodies that are held at once, of senders that are not known yet. */
export const BODIES_MAX_BYTES = 32 * 1024 * 1024;
/** GitHub gives up after 10 s; whoever sends slower is not GitHub. */
const REQUEST_LIMIT_MS = 10_000;
const HEADERS_LIMIT_MS = 5000;
/** So often slow senders are looked for: Node does it twice a minute, and they hold connections. */
const SLOW_SOUGHT_MS = 1000;
const CONNECTIONS_MAX = 256;
/** Requests in a burst, and a second after that: a storm of 5,000 deliveries passes. */
export const BURST_MAX = 10_000;
export const REQUESTS_A_SECOND = 200;
/** Deliveries known as seen, by id and by signature. */
const SEEN_MAX = 20_000;
/** Lines of log about refusals in a minute; more say nothing new. */
const REFUSALS_LOGGED = 60;
const MINUTE_MS = 60_000;

/** What is answered, and in which words the log tells why. */
interface Answer {
  readonly status: number;
  readonly why: string;
}

const answer = (status: number, why: string): Answer => ({ status, why });

/** What Node says of bytes that become no request. */
const NO_REQUEST: Readonly<Record<string, Answer>> = {
  HPE_HEADER_OVERFLOW: answer(431, 'its headers are too large'),
  ERR_HTTP_REQUEST_TIMEOUT: answer(408, 'it was not sent within some seconds'),
};

export const createReceiver = (options: ReceiverOptions): Receiver => {
  const { config, clock, log } = options;
  const intake = createIntake(options);
  const logged = createAllowance(clock, {
    burst: REFUSALS_LOGGED,
    aMs: REFUSALS_LOGGED / MINUTE_MS,
  });

  const note = ({ status, why }: Answer, from = ''): void => {
    if (status >= 400 && logged()) log.warn({ status, from }, `a delivery was refused: ${why}`);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const got = await intake
      .receive(request)
      .catch((error: unknown) =>
        answer(500, error instanceof ForgeFailure ? error.message : `it failed: ${String(error)}`),
      );
    note(got, request.socket.remoteAddress);
    respond(request, response, got.status);
  };

  const server = createServer({
    requestTimeout: REQUEST_LIMIT_MS,
    headersTimeout: HEADERS_LIMIT_MS,
    connectionsCheckingInterval: SLOW_SOUGHT_MS,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.keepAliveTimeout = 5000;
  server.on('request', (request, response) => void serve(request, response));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // The other end hung up: there is nobody to answer, and nothing that was refused.
    if (error.code === 'ECONNRESET') return void socket.destroy();
    const got = NO_REQUEST[error.code ?? ''] ?? answer(400, 'it is no HTTP request');
    note(got, socket.remoteAddress);
    const { status } = got;
    if (socket.writable) {
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n\r\n`);
    }
    // Whoever goes on sending is not read any more.
    setTimeout(() => socket.destroy(), SLOW_SOUGHT_MS).unref();
  });
  return {
    listen: async () => {
      await intake.ready();
      const { host, port } = placeOf(config.address);
      await new Promise<void>((resolve, reject) => {
        server.once('error', ({ message }) => {
          const words = `webhooks cannot be received at ${config.address}: ${message}`;
          reject(new ForgeFailure('broken', words));
        });
        server.listen(port, host, resolve);
      });
      const address = server.address();
      const got = typeof address === 'object' && address !== null ? address.port : port;
      return `${host.includes(':') ? `[${host}]` : host}:${got}`;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

interface Intake {
  /** Throws where the secret cannot be read. */
  readonly ready: () => Promise<unknown>;
  readonly receive: (request: IncomingMessage) => Promise<Answer>;
}

const createIntake = ({ config, clock, onDelivery }: ReceiverOptions): Intake => {
  const seen = createSeen();
  const allowed = createAllowance(clock);
  let held = 0;
  let signatures: Promise<Webhooks> | null = null;

  const ready = (): Promise<Webhooks> => {
    signatures ??= (async () => {
      const { Webhooks: Verifier } = await import('@octokit/webhooks');
      const secret = await secretIn(config.secretFile, "the webhook's secret");
      return new Verifier({ secret });
    })();
    return signatures;
  };

  const receive = async (request: IncomingMessage): Promise<Answer> => {
    const refusal = refusalOf(request, config.path);
    if (refusal !== null) return refusal;
    if (!allowed()) return answer(429, 'too many requests in a short time');
    let mine = 0;
    const text = await bodyOf(request, (bytes) => {
      mine += bytes;
      held += bytes;
      return held <= BODIES_MAX_BYTES;
    }).finally(() => {
      held -= mine;
    });
    if (typeof text !== 'string') return text;
    const signature = String(request.headers['x-hub-signature-256']);
    const id = String(request.headers['x-github-delivery']);
    const event = String(request.headers['x-github-event']);
    const isSigned = await (await ready()).verify(text, signature);
    if (!isSigned) return answer(401, 'the signature is not that of our secret');
    // The id is not signed: a body that was captured could come again under another one.
    if (!seen(id, signature)) return answer(200, 'known already');
    const payload = parsed(text);
    if (payload === undefined) return answer(400, 'the body is no JSON');
    onDelivery({ id, event, payload, signature, at: clock.epochMs?.() ?? 0 });
    return answer(202, '');
  };

  return { ready, receive };
};

/** What can be refused before a byte of the body is read. */
const refusalOf = ({ method, url, headers }: IncomingMessage, path: string): Answer | null => {
  if ((url ?? '').split('?')[0] !== path) return answer(404, 'there is nothing at this path');
  if (method !== 'POST') return answer(405, 'deliveries are POST requests');
  const type = headers['content-type'] ?? '';
  if (!/^\s*application\/json\s*(;|$)/i.test(type)) {
    return answer(415, "the webhook's content type must be application/json");
  }
  const missing = ['x-github-event', 'x-github-delivery', 'x-hub-signature-256'].filter(
    (name) => headers[name] === undefined || headers[name] === '',
  );
  if (missing.includes('x-hub-signature-256')) {
    return answer(401, 'it is not signed: give the webhook a secret');
  }
  if (missing.length > 0) return answer(400, `${missing.join(', ')} missing`);
  if (Number(headers['content-length'] ?? 0) > BODY_MAX_BYTES) return tooLarge();
  return null;
};

const tooLarge = (): Answer => answer(413, `it is larger than ${BODY_MAX_BYTES} bytes`);

/** @param hold counts bytes; false: others hold too many already */
const bodyOf = (
  request: IncomingMessage,
  hold: (bytes: number) => boolean,
): Promise<string | Answer> =>
  new Promise((resolve) => {
    const parts: Buffer[] = [];
    let size = 0;
    let refused: Answer | null = null;
    request.on('data', (part: Buffer) => {
      // What comes after an answer is counted no more: nobody would take it off again.
      if (refused !== null) return;
      size += part.length;
      if (size > BODY_MAX_BYTES) refused = tooLarge();
      else if (!hold(part.length)) refused = answer(503, 'too much is being received at once');
      else parts.push(part);
      if (refused !== null) resolve(refused);
    });
    request.on('end', () => {
      const text = Buffer.concat(parts).toString('utf8');
      resolve(text === '' ? answer(400, 'it has no body') : text);
    });
    request.on('close', () => resolve(answer(400, 'it ended before its body was whole')));
    request.on('error', () => resolve(answer(400, 'it ended before its body was whole')));
  });

const respond = (request: IncomingMessage, response: ServerResponse, status: number): void => {
  const words: Readonly<Record<number, string>> = { 200: 'known already\n', 202: 'taken\n' };
  const headers: Record<string, string> = { 'content-type': 'text/plain' };
  if (status === 405) headers['allow'] = 'POST';
  if (status === 429 || status === 503) headers['retry-after'] = '10';
  // What is left of a body that is not wanted is not waited for.
  if (!request.complete) headers['connection'] = 'close';
  response.writeHead(status, headers).end(words[status] ?? 'refused\n');
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** True the first time that neither the id nor the signature was seen. */
const createSeen = (): ((id: string, signature: string) => boolean) => {
  const known = new Set<string>();
  return (id, signature) => {
    const isNew = !known.has(id) && !known.has(signature);
    for (const one of [id, signature]) {
      known.add(one);
      const [oldest] = known;
      if (known.size > SEEN_MAX && oldest !== undefined) known.delete(oldest);
    }
    return isNew;
  };
};

const createAllowance = (
  clock: ClockPort,
  { burst, aMs } = { burst: BURST_MAX, aMs: REQUESTS_A_SECOND / 1000 },
): (() => boolean) => {
  let left = burst;
  let at = clock.now();
  return () => {
    const now = clock.now();
    left = Math.min(burst, left + (now - at) * aMs);
    at = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
};

/** `127.0.0.1:8471`, `[::1]:8471`. */
const placeOf = (address: string): { readonly host: string; readonly port: number } => {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    const words = `\`${address}\` is not an address for webhooks: write 127.0.0.1:PORT`;
    throw new ForgeFailure('broken', words);
  }
  return { host, port };
};
