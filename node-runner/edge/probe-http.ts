// A check of kind http as bytes on a socket: one request, the head of the answer, nothing more.
// In: ProbeAsk. Out: ok, or a sentence for people. Not here: what a status means
// (probe-words.ts), name spaces (probe-inside.ts).
// Node's own client costs half as much again as this one, in a runner whose checks are most of what
// it does at rest.

import { connect } from 'node:net';

import type { ProbeAnswer, ProbeAsk } from '../ports.ts';
import { answered, failed, silent } from './probe-words.ts';

/** Redirects count as an answer and are not followed; the body is not read. */
export const probeHttp = (ask: ProbeAsk): Promise<ProbeAnswer> =>
  new Promise((resolve) => {
    const socket = connect({ host: ask.address, port: ask.port });
    const timer = setTimeout(() => end(silent(ask)), ask.timeoutMs);
    let text = '';
    const end = (answer: ProbeAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const found = headOf(text);
      if (found.kind === 'status') end(answered(ask, found.status));
      if (found.kind === 'not-http') end(failed(ask, NOT_HTTP));
    });
    socket.on('end', () => end(failed(ask, CLOSED)));
    // Stays for errors that come after the end: unheard, they would end the runner.
    socket.on('error', (error) => end(failed(ask, error)));
    socket.write(requestText(ask));
  });

/** Codes as Node's own client and parser give them. */
const NOT_HTTP = Object.assign(new Error('not HTTP'), { code: 'HPE_INVALID_CONSTANT' });
const CLOSED = Object.assign(new Error('closed'), { code: 'ECONNRESET' });

/** One that asks for `/a b` means `/a%20b`; a line break in a path must not make a second line. */
const requestText = ({ address, port, path }: ProbeAsk): string =>
  [
    `GET ${path.replaceAll(/[^\u0021-\u007e]+/g, percent)} HTTP/1.1`,
    `Host: ${port === HTTP_PORT ? address : `${address}:${port}`}`,
    'User-Agent: purser-probe',
    'Connection: close',
    '\r\n',
  ].join('\r\n');

const HTTP_PORT = 80;

const percent = (text: string): string =>
  Buffer.from(text).toString('hex').replaceAll(/../g, '%$&');

/** The limit of Node's own client and of most servers. */
const HEAD_MAX_CHARACTERS = 16 * 1024;
const STATUS_LINE = /^HTTP\/\d\.\d (\d{3})/;
const HEAD_END = /\r?\n\r?\n/;
/** Before the answer come any number of these: `100 Continue`, `103 Early Hints`. */
const SWITCHING = 101;
const FIRST_FINAL = 200;

type Head =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'not-http' };

/** What the bytes so far say: the status once its head is there as a whole. */
const headOf = (text: string): Head => {
  let rest = text;
  for (;;) {
    const status = STATUS_LINE.exec(rest)?.[1];
    const first = rest.slice(0, 'HTTP/'.length);
    if (status === undefined && (rest.includes('\n') || !'HTTP/'.startsWith(first)))
      return { kind: 'not-http' };
    const end = HEAD_END.exec(rest);
    if (end === null)
      return { kind: text.length > HEAD_MAX_CHARACTERS ? ('not-http' as const) : 'more' };
    const number = Number(status);
    if (number >= FIRST_FINAL || number === SWITCHING) return { kind: 'status', status: number };
    rest = rest.slice(end.index + end[0].length);
  }
};
