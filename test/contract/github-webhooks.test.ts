// The receiver of webhooks: what it lets in, what it refuses and with which status, a storm.

import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createClock } from '../../reconciler/edge/clock.ts';
import type { Delivery } from '../../reconciler/edge/forge/clicks.ts';
import { createBell } from '../../reconciler/edge/forge/polling.ts';
import {
  BODIES_MAX_BYTES,
  BODY_MAX_BYTES,
  BURST_MAX,
  createReceiver,
  REQUESTS_A_SECOND,
} from '../../reconciler/edge/forge/webhooks.ts';
import type { ClockPort } from '../../reconciler/ports.ts';

const SECRET = 'it is a secret';
const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const receiver = async (
  onDelivery: (delivery: Delivery) => void = () => undefined,
  clock: ClockPort = createClock(),
) => {
  const folder = mkdtempSync(join(tmpdir(), 'purser-hook-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`);
  const got: Delivery[] = [];
  const lines: string[] = [];
  const warn = (fields: object, message: string) =>
    void lines.push(`${JSON.stringify(fields)} ${message}`);
  const made = createReceiver({
    config: { address: '127.0.0.1:0', path: '/webhook', secretFile: join(folder, 'secret') },
    clock,
    log: { info: warn, warn, error: warn },
    onDelivery: (delivery) => {
      got.push(delivery);
      onDelivery(delivery);
    },
  });
  const address = await made.listen();
  ends.push(() => made.close());
  return { url: `http://${address}/webhook`, port: Number(address.split(':')[1]), got, lines };
};

const signed = (body: string, secret = SECRET): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

interface Sent {
  readonly id?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly without?: string;
  readonly method?: string;
}

const send = async (url: string, sent: Sent = {}): Promise<Response> => {
  const body = sent.body ?? JSON.stringify({ ref: 'refs/heads/main' });
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-github-event': 'push',
    'x-github-delivery': sent.id ?? 'd1',
    'x-hub-signature-256': signed(body),
    ...sent.headers,
  };
  if (sent.without !== undefined) delete headers[sent.without];
  const method = sent.method ?? 'POST';
  return fetch(url, { method, headers, ...(method === 'GET' ? {} : { body }) });
};

test('a signed delivery is taken once: neither its id nor its body comes in again', async () => {
  const { url, got, lines } = await receiver();
  expect((await send(url)).status).toBe(202);
  expect((await send(url)).status).toBe(200);
  expect((await send(url, { id: 'another' })).status).toBe(200);
  expect((await send(url, { id: 'd2', body: '{"ref":"refs/heads/b"}' })).status).toBe(202);
  expect(got.map(({ id }) => id)).toEqual(['d1', 'd2']);
  expect(lines).toEqual([]);
});

test('whatever is not a signed delivery is refused, each with its status and one line', async () => {
  const { url, got, lines } = await receiver();
  const statuses: number[] = [];
  for (const sent of [
    { without: 'x-hub-signature-256' },
    { headers: { 'x-hub-signature-256': signed('{}') } },
    { headers: { 'x-hub-signature-256': signed('{"ref":"refs/heads/main"}', 'guessed') } },
    { headers: { 'x-hub-signature-256': 'sha256=short' } },
    { without: 'x-github-delivery' },
    { headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    { method: 'GET' },
    { body: 'no json' },
    { body: 'x'.repeat(BODY_MAX_BYTES + 1) },
  ] satisfies Sent[]) {
    statuses.push((await send(url, sent).catch(() => ({ status: 413 }))).status);
  }
  statuses.push((await send(url.replace('webhook', 'other'))).status);
  expect(statuses).toEqual([401, 401, 401, 401, 400, 415, 405, 400, 413, 404]);
  expect(got).toEqual([]);
  expect(lines).toHaveLength(10);
  expect(lines.join('\n')).not.toContain(SECRET);
  expect((await send(url, { id: 'right' })).status).toBe(202);
});

test('a body that ends early, and one without an end, take nothing from others', async () => {
  const { url, port, got, lines } = await receiver();
  const head =
    'POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
    'x-github-event: push\r\nx-github-delivery: t\r\nx-hub-signature-256: sha256=0\r\n';
  const cut = connect(port, '127.0.0.1', () => {
    cut.write(`${head}content-length: 100\r\n\r\n{"ref"`);
    setTimeout(() => cut.destroy(), 50);
  });
  await new Promise((done) => cut.on('close', done));
  const endless = connect(port, '127.0.0.1');
  endless.on('error', () => undefined);
  endless.write(`${head}transfer-encoding: chunked\r\n\r\n`);
  const part = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  const timer = setInterval(() => endless.writable && endless.write(part), 1);
  await new Promise((done) => endless.on('close', done));
  clearInterval(timer);
  expect((await send(url)).status).toBe(202);
  expect(got).toHaveLength(1);
  const told = (words: string) =>
    vi.waitFor(() => expect(lines.join('\n')).toContain(words), { timeout: 30_000 });
  await told('ended before its body was whole');
  await told('larger than');
});

/** Everything that the receiver says until it hangs up, and after how long. */
const spoken = (port: number, pieces: Iterable<string>, everyMs: number) =>
  new Promise<{ readonly text: string; readonly ms: number }>((done) => {
    const began = performance.now();
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const rest = pieces[Symbol.iterator]();
    const timer = setInterval(() => {
      const next = rest.next();
      if (!next.done && socket.writable) socket.write(next.value);
    }, everyMs);
    socket.on('data', (part) => (text += String(part)));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(timer);
      done({ text, ms: performance.now() - began });
    });
  });

test('headers of 10 MB, no HTTP at all, and senders that never come to an end are hung up on', async () => {
  const { url, port, got, lines } = await receiver();
  const began = performance.now();
  const head = 'POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
  const large = Array.from({ length: 160 }, (_, index) => `x-${index}: ${'x'.repeat(65_536)}\r\n`);
  const drops = function* (first: string, drop: string) {
    yield first;
    for (;;) yield drop;
  };
  const signedHead =
    `${head}x-github-event: push\r\nx-github-delivery: s\r\nx-hub-signature-256: sha256=0\r\n` +
    'content-length: 1000\r\n\r\n';
  const slow = Array.from({ length: 240 }, () => spoken(port, drops(signedHead, 'x'), 200));
  const [tooLarge, garbage, slowHead] = await Promise.all([
    spoken(port, [head, ...large], 1),
    spoken(port, ['\u0016\u0003\u0001 hello\r\n\r\n'], 1),
    spoken(port, drops(head, 'x'), 200),
  ]);
  expect(tooLarge.text).toMatch(/^HTTP\/1\.1 431 /);
  expect(garbage.text).toMatch(/^HTTP\/1\.1 400 /);
  // After five seconds and ten; Node by itself waits for one minute and five.
  expect(slowHead.ms).toBeLessThan(40_000);
  expect(slowHead.text).toMatch(/^HTTP\/1\.1 408 /);
  for (const { ms } of await Promise.all(slow)) expect(ms).toBeLessThan(40_000);
  // What was held by them is free again.
  expect((await send(url)).status).toBe(202);
  expect(got).toHaveLength(1);
  const told = lines.join('\n');
  expect(told).toContain('its headers are too large');
  expect(told).toContain('it is no HTTP request');
  expect(told).toContain('it was not sent within some seconds');
  // Sixty lines a minute, and one more for each second that went by.
  const seconds = Math.ceil((performance.now() - began) / 1000);
  expect(lines.length).toBeLessThanOrEqual(61 + seconds);
});

/** Statuses of requests that come one behind the other on one connection. */
const pipelined = (port: number, request: string, count: number) =>
  new Promise<readonly number[]>((done, fail) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request.repeat(count)));
    const statuses: number[] = [];
    let rest = '';
    socket.on('data', (part) => {
      rest += String(part);
      const found = [...rest.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
      statuses.push(...found.map(([, status]) => Number(status)));
      const last = found.at(-1);
      // A status line may come in two parts: what follows the last whole one is looked at again.
      if (last !== undefined) rest = rest.slice(last.index + last[0].length);
      if (statuses.length >= count) socket.destroy();
    });
    socket.on('error', fail);
    socket.on('close', () => done(statuses));
  });

const ofKind = (statuses: readonly number[], status: number): number =>
  statuses.filter((one) => one === status).length;

test('more requests than a burst are refused with 429, and taken again as time goes by', async () => {
  let now = 0;
  const clock = { ...createClock(), now: () => now };
  const { url, port, got, lines } = await receiver(undefined, clock);
  const guessed =
    'POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
    'x-github-event: push\r\nx-github-delivery: t\r\nx-hub-signature-256: sha256=0\r\n' +
    'content-length: 2\r\n\r\n{}';
  const first = await pipelined(port, guessed, BURST_MAX + 1);
  expect(ofKind(first, 401)).toBe(BURST_MAX);
  // Whoever is refused is hung up on. With more behind it unread, the kernel may cut off what was
  // answered before: so it is the last one.
  expect(first.slice(BURST_MAX)).toEqual([429]);
  const refused = await send(url);
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(got).toEqual([]);
  // What is not for us costs nothing, and gets its own answer.
  expect((await send(url.replace('webhook', 'other'))).status).toBe(404);
  now += 1000;
  const second = await pipelined(port, guessed, REQUESTS_A_SECOND + 1);
  expect(ofKind(second, 401)).toBe(REQUESTS_A_SECOND);
  expect(second.slice(REQUESTS_A_SECOND)).toEqual([429]);
  now += 1000;
  expect((await send(url)).status).toBe(202);
  expect(got).toHaveLength(1);
  // Sixty lines a minute, and one more for each second that went by.
  expect(lines.length).toBeLessThanOrEqual(62);
  expect(lines.length).toBeGreaterThanOrEqual(60);
});

test('bodies of unknown senders that together are too large are refused with 503', async () => {
  const { url, port, got, lines } = await receiver();
  const size = BODY_MAX_BYTES;
  const head =
    'POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
    'x-github-event: push\r\nx-github-delivery: t\r\nx-hub-signature-256: sha256=0\r\n' +
    `content-length: ${size}\r\n\r\n`;
  // Each lacks its last byte, so that all of them are held.
  const body = Buffer.alloc(size - 1, 'x');
  const sockets = Array.from({ length: BODIES_MAX_BYTES / size }, () => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(head);
      socket.write(body);
    });
    socket.on('error', () => undefined);
    return socket;
  });
  ends.push(() => sockets.forEach((socket) => socket.destroy()));
  const refused = await vi.waitFor(
    async () => {
      const got503 = await send(url);
      expect(got503.status).toBe(503);
      return got503;
    },
    { timeout: 8000 },
  );
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(lines.join('\n')).toContain('too much is being received at once');
  const before = got.length;
  for (const socket of sockets) socket.destroy();
  // What they held is free again.
  await vi.waitFor(
    async () =>
      expect((await send(url, { id: 'later', body: '{"a":1}' })).status).toBeLessThan(300),
    { timeout: 30_000 },
  );
  expect(got).toHaveLength(before + 1);
});

test('signed JSON of any other shape is taken and says nothing', async () => {
  const { url, got } = await receiver();
  const bodies = [
    'null',
    '[]',
    '"push"',
    '7',
    '{"check_run":7}',
    '{"repository":{"id":[]}}',
    '[[[]]]',
  ];
  const events = ['push', 'check_run', 'check_suite', '__proto__', 'x'.repeat(4000)];
  for (const body of bodies) {
    for (const [at, event] of events.entries()) {
      // Spaces make another signature of it.
      const sent = { id: `${body}-${at}`, body: body + ' '.repeat(at) };
      const headers = { 'x-github-event': event };
      expect((await send(url, { ...sent, headers })).status).toBe(202);
    }
  }
  expect(got).toHaveLength(bodies.length * events.length);
});

test('a storm of 5,000 deliveries: all taken, few wakes, the first one at once', async () => {
  let wakes = 0;
  const bell = createBell(createClock(), () => 3_600_000);
  bell.listen(() => void (wakes += 1));
  ends.push(() => bell.close());
  const { url, got } = await receiver(() => bell.ring());
  const began = performance.now();
  await send(url, { id: 'first', body: '{"first":true}' });
  expect(wakes).toBe(1);
  for (let index = 0; index < 5000; index += 100) {
    const batch = Array.from({ length: 100 }, (_, one) => {
      const id = `storm-${index + one}`;
      return send(url, { id, body: JSON.stringify({ id, pad: 'x'.repeat(8000) }) });
    });
    for (const { status } of await Promise.all(batch)) expect(status).toBe(202);
  }
  const tookMs = performance.now() - began;
  await new Promise((done) => setTimeout(done, 300));
  expect(got).toHaveLength(5001);
  expect(wakes).toBeLessThanOrEqual(2 + tookMs / 250);
  console.log(`5,000 deliveries: ${Math.round(tookMs)} ms, ${wakes} wakes`);
});
