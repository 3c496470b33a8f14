// The API's door to other machines under attack: callers that send slowly, never, or without end,
// and callers that do not read. In: whoever means no good. Out: they are cut off, with a line in the
// log where it helps, nothing crashes, and meanwhile whoever has a token is answered.

import type http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchAuthority } from '../../cli/trust.ts';
import { createApi } from '../../reconciler/edge/api.ts';
import * as limits from '../../reconciler/edge/door/limits.ts';
import { parseToken, RECONCILER_HOST } from '../../schema/identity.ts';
import { type DoorWorld, openDoorWorld } from '../support/door-world.ts';
import { until } from './runtime-suite.ts';

const EVENTS = 'Accept: text/event-stream\r\n';
const LARGE = 'x'.repeat(4 * 1024 * 1024);

let world: DoorWorld;
let port: number;
let ca: string;
let good: string;
let text = '';
let wake: () => void = () => undefined;
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  world = await openDoorWorld();
  good = await world.token({ kind: 'view' });
  const api = createApi({
    services: () => ({ cluster: `test${text}`, services: [], leftOut: 0 }),
    elsewhere: () => null,
    changes: (listener) => {
      wake = listener;
      return () => {};
    },
    log: world.log,
    now: () => performance.now(),
  });
  const listening = await world.openApi(api);
  undo.push(() => listening.stop(), api.close);
  port = Number(listening.address.split(':').at(-1));
  ca = await fetchAuthority(`127.0.0.1:${world.port}`, parseToken(good)?.authority ?? '');
});
afterAll(async () => {
  for (const step of undo) await step();
  await world.close();
});

const lines = (words: string): number => world.said.filter((line) => line.includes(words)).length;

const closed = ({ closed: isClosed, destroyed }: net.Socket): boolean => isClosed || destroyed;

const connect = (from: string): net.Socket => {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined);
  undo.unshift(() => socket.destroy());
  return socket;
};

const dial = async (from: string): Promise<tls.TLSSocket> => {
  const socket = tls.connect({ socket: connect(from), ca, servername: RECONCILER_HOST });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
};

const request = (path: string, token: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: purser\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;

const statusOf = async (path: string, token: string): Promise<string> => {
  const socket = await dial('127.0.0.1');
  let got = '';
  socket.on('data', (piece: Buffer) => (got += piece.toString()));
  socket.write(request(path, token));
  await until(async () => got.includes('\r\n'));
  socket.destroy();
  return got.split(' ')[1] ?? '';
};

/** Somebody with a token, from another address, is answered whatever goes on. */
const isServed = async (): Promise<void> => {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    https
      .get(
        {
          host: '127.0.0.1',
          port,
          path: '/v1/services',
          ca,
          servername: RECONCILER_HOST,
          headers: { authorization: `Bearer ${good}` },
          agent: false,
        },
        resolve,
      )
      .on('error', reject);
  });
  expect(response.statusCode).toBe(200);
  response.resume();
};

describe('who says nothing, or says it slowly, is cut', () => {
  test.each([
    ['nothing', ''],
    ['the beginning of a handshake', '\u0016\u0003\u0001\u0002\u0000\u0001'],
  ])('%s', async (_what, begin) => {
    const many = Array.from({ length: limits.STRANGERS_PER_ADDRESS + 50 }, () =>
      connect('127.0.0.2'),
    );
    for (const socket of many) if (begin !== '') socket.write(Buffer.from(begin, 'latin1'));
    await until(async () => many.filter(closed).length >= 50);
    await isServed();
    await until(async () => many.every(closed));
    expect(lines('connections without a certificate')).toBeGreaterThan(0);
  });

  test('nothing after the handshake', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => dial('127.0.0.8')));
    let told = 0;
    for (const socket of many) {
      socket.on('data', (piece: Buffer) => (told += Number(piece.includes('408 Request Timeout'))));
    }
    await until(async () => many.every(closed));
    expect(told).toBe(many.length);
  });

  test.each([
    ['a header, a byte at a time', `GET /v1/services HTTP/1.1\r\nHost: purser\r\nX: `],
    [
      'a body that never ends',
      'POST /v1/services HTTP/1.1\r\nHost: p\r\nContent-Length: 9999\r\n\r\n',
    ],
  ])('%s', async (_what, begin) => {
    const many = await Promise.all(Array.from({ length: 20 }, () => dial('127.0.0.3')));
    for (const socket of many) socket.resume().write(begin);
    const slowly = setInterval(() => {
      for (const socket of many) if (!closed(socket)) socket.write('a');
    }, 200);
    await isServed();
    await until(async () => many.every(closed));
    clearInterval(slowly);
    await isServed();
  });
});

describe('who asks for what there is not', () => {
  test.each([
    ['//', '404'],
    ['http://[', '404'],
    [`/${'a'.repeat(10_000)}`, '404'],
    [`/${'a'.repeat(100_000)}`, '431'],
    ['/v1/services?x=//', '200'],
  ])('%# of them is told so', async (path, status) => {
    expect(await statusOf(path, good)).toBe(status);
    await isServed();
  });

  test('HTTP/2 is not spoken, and garbage ends the connection', async () => {
    const socket = await dial('127.0.0.1');
    socket.resume().write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await until(async () => closed(socket));
    expect(socket.alpnProtocol).not.toBe('h2');
    await isServed();
  });

  test('who tries tokens begins a connection for each', async () => {
    const socket = await dial('127.0.0.4');
    const made = good.replace(/.{4}$/, (end) => (end === '0000' ? '1111' : '0000'));
    let got = '';
    socket.on('data', (piece: Buffer) => (got += piece.toString()));
    socket.write(request('/v1/services', made).repeat(100));
    await until(async () => closed(socket));
    expect(got.split('401 Unauthorized')).toHaveLength(2);
  });
});

describe('who has a token', () => {
  test('and follows without end has a number of places, and others have theirs', async () => {
    const token = await world.token({ kind: 'view' });
    const many = await Promise.all(
      Array.from({ length: limits.FOLLOWERS_PER_TOKEN + 10 }, () => dial('127.0.0.5')),
    );
    const first: string[] = [];
    for (const socket of many) {
      socket.once('data', (piece: Buffer) => first.push(piece.toString().slice(9, 12)));
      socket.write(request('/v1/services', token, EVENTS));
    }
    await until(async () => first.length === many.length);
    expect(first.filter((status) => status === '200')).toHaveLength(limits.FOLLOWERS_PER_TOKEN);
    expect(first.filter((status) => status === '429')).toHaveLength(10);
    expect(lines('callers follow with this token already')).toBeGreaterThan(0);
    await isServed();
    for (const socket of many) socket.destroy();
  });

  test.each([
    ['follows', EVENTS, 1, '127.0.0.6'],
    ['asks again and again', '', 40, '127.0.0.7'],
  ])('and %s and takes nothing of it is ended', async (_what, more, times, from) => {
    text = LARGE;
    const before = lines('too many answers are not taken');
    const token = await world.token({ kind: 'view' });
    const many = await Promise.all(Array.from({ length: 60 }, () => dial(from)));
    for (const socket of many)
      socket.pause().write(request('/v1/services', token, more).repeat(times));
    await until(async () => {
      text = text === LARGE ? `${LARGE}a` : LARGE;
      wake();
      return lines('too many answers are not taken') > before;
    });
    text = '';
    await isServed();
    for (const socket of many) socket.destroy();
  });
});
