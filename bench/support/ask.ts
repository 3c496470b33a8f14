// One http request, as a client that gives up after a second makes it, and why it was not answered.
// In: where. Out: a fault, or how long the answer took. A client that did not run for a part of
// that second (its machine is busy) waits so much longer, and says so: what is measured is the one
// who answers. Not here: whom to ask, when.

import http from 'node:http';

export interface Ask {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
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
}

const ANSWER_MS = 1000;
/** How often the process looks whether it runs. */
const BEAT_MS = 20;

export const answers = async (port: number, host = '127.0.0.1'): Promise<boolean> =>
  (await askOnce({ host, port })).fault === null;

export const askOnce = ({ host, port, path = '/' }: Ask): Promise<Asked> =>
  new Promise((done) => {
    const began = performance.now();
    let connectedMs: number | null = null;
    let lateMs = 0;
    let beatAt = began;
    const request = http.get({ host, port, path, agent: false });
    const end = (fault: Fault | null): void => {
      clearInterval(beat);
      request.destroy();
      done({ fault, tookMs: performance.now() - began, connectedMs, lateMs });
    };
    const beat = setInterval(() => {
      const now = performance.now();
      lateMs += Math.max(0, now - beatAt - 2 * BEAT_MS);
      beatAt = now;
      if (now - began - lateMs < ANSWER_MS) return;
      end({ kind: connectedMs === null ? 'no connection' : 'no answer', words: silence(lateMs) });
    }, BEAT_MS);
    request.once('socket', (socket) =>
      socket.once('connect', () => {
        connectedMs = performance.now() - began;
      }),
    );
    request.once('response', (response) => {
      const { statusCode } = response;
      response.resume();
      response.once('end', () =>
        end(statusCode === 200 ? null : { kind: 'wrong answer', words: `status ${statusCode}` }),
      );
      response.once('error', (error) => end(faultOf(error)));
    });
    request.on('error', (error) => end(faultOf(error)));
  });

const silence = (lateMs: number): string =>
  `silent for ${ANSWER_MS} ms${lateMs > 0 ? ` in which the client ran` : ''}`;

const faultOf = (error: Error): Fault => {
  const code = 'code' in error ? error.code : null;
  const kind = code === 'ECONNREFUSED' ? 'refused' : code === 'ECONNRESET' ? 'cut' : 'other';
  return { kind, words: error.message };
};
