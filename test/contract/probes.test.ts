// Checks against real sockets: what is ok, and what people are told when it is not.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createProbes } from '../../node-runner/edge/probes.ts';
import type { ProbeAsk } from '../../node-runner/ports.ts';
import { makeNetns } from '../support/netns.ts';
import { freePort } from '../support/registry.ts';

const { probe } = createProbes();

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

/** An early hint, then the answer, in pieces that end in the middle of everything. */
const dripFeed = (socket: Socket, heard: (text: string) => void): void => {
  let asked = '';
  socket.on('data', (data) => {
    asked += data.toString('latin1');
    if (asked.endsWith('\r\n\r\n')) heard(asked);
  });
  socket.on('error', () => undefined);
  const text = 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\nA: b\r\n\r\n';
  const pieces = [text.slice(0, 3), text.slice(3, 30), text.slice(30, 60), text.slice(60)];
  for (const [turn, piece] of pieces.entries()) setTimeout(() => socket.write(piece), turn * 20);
};

describe('probes', () => {
  const servers: Server[] = [];
  const ports = { http: 0, mute: 0, rude: 0, babble: 0, closed: 0, slow: 0, leaver: 0 };
  /** What the last client of `slow` asked for. */
  let asked = '';
  const ask = (port: number, path = '/', kind: ProbeAsk['kind'] = 'http'): ProbeAsk => ({
    kind,
    address: '127.0.0.1',
    port,
    path,
    // Nothing waits so long but what never answers: those say how long themselves.
    timeoutMs: 20_000,
    netns: null,
  });
  const start = async (server: Server): Promise<number> => {
    servers.push(server);
    return listen(server);
  };
  beforeAll(async () => {
    ports.http = await start(
      createServer((request, response) => {
        if (request.url === '/slow') return;
        const endless = request.url === '/endless';
        response.writeHead(endless ? 200 : Number(request.url?.slice(1)) || 200);
        if (endless) response.write('x'.repeat(100_000));
        else response.end('body');
      }),
    );
    ports.mute = await start(createTcpServer(() => undefined));
    ports.rude = await start(createTcpServer((socket) => socket.resetAndDestroy()));
    ports.babble = await start(createTcpServer((socket) => socket.end('hello\n')));
    ports.slow = await start(
      createTcpServer((socket) => dripFeed(socket, (text) => (asked = text))),
    );
    ports.leaver = await start(createTcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\nA: b')));
    ports.closed = await freePort();
  });
  afterAll(() => {
    for (const server of servers) {
      server.close();
      if ('closeAllConnections' in server)
        (server as ReturnType<typeof createServer>).closeAllConnections();
    }
  });

  it('take 2xx and 3xx, and an endless body, as an answer', async () => {
    for (const path of ['/', '/204', '/302', '/endless'])
      expect(await probe(ask(ports.http, path))).toEqual({ ok: true });
    expect(await probe(ask(ports.mute, '', 'tcp'))).toEqual({ ok: true });
  });

  it('say what is wrong', async () => {
    const message = async (one: ProbeAsk): Promise<string> => {
      const answer = await probe(one);
      return answer.ok ? 'ok' : answer.message;
    };
    expect(await message(ask(ports.http, '/503'))).toBe('GET /503 answered 503');
    expect(await message(ask(ports.http, '/404'))).toBe('GET /404 answered 404');
    expect(await message({ ...ask(ports.http, '/slow'), timeoutMs: 300 })).toBe(
      'no answer within 300ms',
    );
    expect(await message({ ...ask(ports.mute), timeoutMs: 1000 })).toBe('no answer within 1s');
    for (const kind of ['http', 'tcp'] as const)
      expect(await message(ask(ports.closed, '/', kind))).toBe(
        `connection refused on port ${ports.closed}`,
      );
    expect(await message(ask(ports.rude))).toBe(
      `connection to port ${ports.rude} was closed without an answer`,
    );
    expect(await message(ask(ports.babble))).toBe(`the answer on port ${ports.babble} is not HTTP`);
  });

  it('wait for the whole head of the answer that counts', async () => {
    expect(await probe(ask(ports.slow))).toEqual({ ok: false, message: 'GET / answered 503' });
    expect(asked).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n[^]*\r\n\r\n$/);
    const odd = await probe(ask(ports.slow, '/a b\r\nX: ü'));
    expect(odd.ok).toBe(false);
    expect(asked.split('\r\n')[0]).toBe('GET /a%20b%0d%0aX:%20%c3%bc HTTP/1.1');
    expect(await probe(ask(ports.leaver))).toEqual({
      ok: false,
      message: `connection to port ${ports.leaver} was closed without an answer`,
    });
  });

  it('look inside a namespace that has only its loopback', async () => {
    const netns = await makeNetns('probe');
    const script = `require('http').createServer((q, r) => { r.statusCode = 418; r.end(); })
      .listen(80, '127.0.0.1', () => console.log('up'));`;
    const args = [`--net=${netns.path}`, '--', process.execPath, '-e', script];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const inside = { ...ask(80, '/tea'), netns: netns.path };
      expect(await probe({ ...inside, kind: 'tcp' })).toEqual({ ok: true });
      expect(await probe(inside)).toEqual({ ok: false, message: 'GET /tea answered 418' });
      const shut = await probe({ ...inside, port: 81 });
      expect(shut).toEqual({ ok: false, message: 'connection refused on port 81' });
      const lost = await probe({ ...inside, netns: '/run/netns/absent' });
      expect(lost.ok).toBe(false);
    } finally {
      child.kill('SIGKILL');
      await netns.remove();
    }
  });
});
