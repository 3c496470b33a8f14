// One http request, as a client that gives up after a second makes it, and why it was not answered.
// In: where. Out: a fault, or how long the answer took. A client that did not run for a part of
// that second (its machine is busy) waits so much longer, and says so: what is measured is the one
// who answers. Whoever waits longer than a second says so. Not here: whom to ask, when.

import http from 'node:http';

export interface Ask {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  /** Of the site that is asked for; absent: the address. */
  readonly site?: string;
  /** Keeps connections; absent: one of its own for this request. */
  readonly agent?: http.Agent;
  /** Given up after this time; a second when left out. */
  readonly answerMs?: number;
}

export type FaultKind =
  /** Nobody listens at the address. */
  | 'refused'
  /** There was a connection, and it was cut before the answer was whole. */
  | 'cut'
  /** No connection within the time. */
  | 'no connection'
  /** A connection, and no answer within the time. */
  | 'no answer'
  /** An answer, and not the one that was asked for. */
  | 'wrong answer'
  | 'other';

export interface Fault {
  readonly kind: FaultKind;
  readonly words: string;
}

export interface Asked {
  readonly fault: Fault | null;
  readonly tookMs: number;
  /** Until there was a connection; null: there was none. */
  readonly connectedMs: number | null;
  /** How long this process did not run meanwhile. */
  readonly lateMs: number;
  /** Who answered, as a load balancer says it; null: nobody said so. */
  readonly servedBy: string | null;
}

/** Header in which a load balancer names the copy that it asked. */
export const SERVED_BY = 'x-served-by';
const ANSWER_MS = 1000;
/** How often the process looks whether it runs. */
const BEAT_MS = 20;

export const answers = async (port: number, host = '127.0.0.1'): Promise<boolean> =>
  (await askOnce({ host, port })).fault === null;

export const askOnce = (ask: Ask): Promise<Asked> =>
  new Promise((done) => {
    const { host, port, path = '/', site, agent, answerMs = ANSWER_MS } = ask;
    const began = performance.now();
    let connectedMs: number | null = null;
    let lateMs = 0;
    let beatAt = began;
    let servedBy: string | null = null;
    const headers = site === undefined ? {} : { host: site };
    const request = http.get({ host, port, path, headers, agent: agent ?? false });
    const end = (fault: Fault | null): void => {
      clearInterval(beat);
      if (fault !== null || agent === undefined) request.destroy();
      done({ fault, tookMs: performance.now() - began, connectedMs, lateMs, servedBy });
    };
    const beat = setInterval(() => {
      const now = performance.now();
      lateMs += Math.max(0, now - beatAt - 2 * BEAT_MS);
      beatAt = now;
      if (now - began - lateMs < answerMs) return;
      const words = `silent for ${answerMs} ms${lateMs > 0 ? ' in which the client ran' : ''}`;
      end({ kind: connectedMs === null ? 'no connection' : 'no answer', words });
    }, BEAT_MS);
    request.once('socket', (socket) => {
      if (socket.connecting) {
        socket.once('connect', () => {
          connectedMs = performance.now() - began;
        });
      } else connectedMs = 0;
    });
    request.once('response', (response) => {
      const { statusCode } = response;
      servedBy = response.headers[SERVED_BY]?.toString() ?? null;
      response.resume();
      response.once('end', () =>
        end(statusCode === 200 ? null : { kind: 'wrong answer', words: `status ${statusCode}` }),
      );
      response.once('error', (error) => end(faultOf(error)));
    });
    request.on('error', (error) => end(faultOf(error)));
  });

const faultOf = (error: Error): Fault => {
  const code = 'code' in error ? error.code : null;
  const kind = code === 'ECONNREFUSED' ? 'refused' : code === 'ECONNRESET' ? 'cut' : 'other';
  return { kind, words: error.message };
};
