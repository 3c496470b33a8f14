// Deliveries of the local GitHub, caught so that a bench can send them when it likes, and the bare
// server that they are sent to as a floor. In: a secret. Out: signed deliveries, two http servers.
// Not here: the product's receiver, GitHub.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** What was sent, signature included. */
export interface Caught {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Served {
  readonly url: string;
  readonly close: () => void;
}

/** Keeps deliveries of pull requests; `take` gives the newest since the last call. */
export const catchPulls = async (): Promise<Served & { readonly take: () => Caught }> => {
  const caught: Caught[] = [];
  const served = await serve(async (request) => {
    const body = await textOf(request);
    if (request.headers['x-github-event'] === 'pull_request') {
      caught.push({ headers: signedHeaders(request.headers), body });
    }
    return 202;
  });
  const take = (): Caught => {
    const newest = caught.splice(0).at(-1);
    if (newest === undefined) throw new Error('GitHub told of no change');
    return newest;
  };
  return { ...served, take };
};

/** Checks a delivery's signature and does nothing else. */
export const bareReceiver = (secret: string): Promise<Served> =>
  serve(async (request) => {
    const text = await textOf(request);
    const mine = createHmac('sha256', secret).update(text).digest('hex');
    const theirs = String(request.headers['x-hub-signature-256']);
    return timingSafeEqual(Buffer.from(`sha256=${mine}`), Buffer.from(theirs)) ? 202 : 401;
  });

export const post = async (url: string, { headers, body }: Caught): Promise<void> => {
  const answer = await fetch(url, { method: 'POST', headers, body });
  if (answer.status !== 202) throw new Error(`${url} answered ${answer.status}`);
};

const serve = async (
  answer: (request: http.IncomingMessage) => Promise<number>,
): Promise<Served> => {
  const server = http.createServer((request, response) => {
    void answer(request).then((status) => response.writeHead(status).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}/webhook`, close };
};

const textOf = async (request: http.IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
};

const signedHeaders = (headers: http.IncomingHttpHeaders): Caught['headers'] =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith('x-') || name === 'content-type' ? [[name, String(value)]] : [],
    ),
  );
