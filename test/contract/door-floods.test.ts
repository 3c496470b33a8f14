// Floods at the door to other machines: connections, handshakes, calls, reports without end, from
// other addresses of the loopback. In: whoever means no good. Out: they are cut off with a line in
// the log, and while they go on a runner is heard and takes its orders.

import fs from 'node:fs';
import type http2 from 'node:http2';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Identity, joiningKey, writeIdentity } from '../../node-runner/edge/identity.ts';
import type { LinkPort } from '../../node-runner/ports.ts';
import * as limits from '../../reconciler/edge/door/limits.ts';
import { parseToken } from '../../schema/identity.ts';
import {
  begin,
  CLUSTER,
  type DoorWorld,
  framed,
  helloFrame,
  openDoorWorld,
  reportFrame,
} from '../support/door-world.ts';
import { until } from './runtime-suite.ts';

const SESSION = '/purser.link.v1.LinkService/Session';
const JOIN = '/purser.join.v1.JoinService/Join';
const CALL = '/purser.control.v1.ControlService/Call';

let world: DoorWorld;
let good: LinkPort;
let mad: Identity;
let generation = 0;

beforeAll(async () => {
  world = await openDoorWorld();
  good = world.runner('n1', await world.join('n1')).port;
  mad = await world.join('n2');
  await until(async () => world.heardAt('n1') > 0);
});
afterAll(() => world.close());

/** The good runner is heard anew, and a new set of orders arrives there. */
const rolls = async (): Promise<void> => {
  const before = world.heardAt('n1');
  await until(async () => world.heardAt('n1') > before);
  generation += 1;
  const about = { node: 'n1', cluster: CLUSTER, session: 's', commit: '', items: [] };
  await until(async () => world.nodes.port.send({ ...about, generation } as never));
  await until(async () => good.take()?.generation === generation);
};

const lines = (text: string): number => world.said.filter((line) => line.includes(text)).length;

const closed = (stream: { readonly closed: boolean; readonly destroyed: boolean }): boolean =>
  stream.closed || stream.destroyed;

/** A call that is over for the other side; ours may still be open. */
const answered = (stream: http2.ClientHttp2Stream): boolean =>
  stream.readableEnded || closed(stream);

describe('strangers', () => {
  test('who never speak are let in up to a number, and cut in the end', async () => {
    const many = limits.STRANGERS_PER_ADDRESS + 100;
    const sockets = Array.from({ length: many }, () => world.connect('127.0.0.2'));
    const begun = Array.from({ length: 20 }, () => world.connect('127.0.0.3'));
    // The beginning of a ClientHello, and nothing after it.
    for (const socket of begun) socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
    await until(async () => sockets.filter(closed).length >= 100);
    expect(sockets.filter((one) => !closed(one)).length).toBeGreaterThan(0);
    await rolls();
    await until(async () => [...sockets, ...begun].every(closed));
    expect(lines('connections without a certificate')).toBeGreaterThan(0);
    expect(lines('it began no TLS, or did not end it')).toBeGreaterThan(0);
    expect(lines('127.0.0.2')).toBeLessThan(many / 2);
  });

  test('whose handshakes fail are kept out after a number, others are not', async () => {
    // In crowds: one after the other on a slow machine is no flood.
    while (lines('too many connections of this address came to nothing') === 0) {
      const crowd = Array.from({ length: 100 }, () => world.connect('127.0.0.4'));
      for (const socket of crowd) socket.write('GET / HTTP/1.1\r\n\r\n');
      await until(async () => crowd.every(closed));
    }
    await rolls();
    await world.join('n3');
  });

  test('who try tokens are cut after a number of them; the log says so in few lines', async () => {
    const guess = (await world.token()).replace(/.{4}$/, (end) =>
      end === '0000' ? '1111' : '0000',
    );
    for (let at = 0; at < 10; at += 1) {
      const session = world.dial('127.0.0.5');
      while (!closed(session)) {
        const calls = Array.from({ length: 10 }, () =>
          begin(session, JOIN, { authorization: `Bearer ${guess}` }),
        );
        await until(async () => calls.every(answered) || closed(session));
      }
    }
    expect(lines('is not known here')).toBeGreaterThan(0);
    expect(lines('is not known here')).toBeLessThanOrEqual(limits.LINES_PER_ADDRESS.burst + 15);
    expect(lines('of its calls were refused')).toBeGreaterThan(0);
    await rolls();
  });

  test('who ask for what there is not, or send headers without end, are cut', async () => {
    const session = world.dial('127.0.0.6');
    for (let at = 0; at < limits.REFUSED_CALLS && !closed(session); at += 1)
      begin(session, '/no/Such');
    await until(async () => closed(session));
    const other = world.dial('127.0.0.6');
    const large = begin(other, JOIN, { authorization: 'x'.repeat(100_000) });
    await until(async () => closed(large));
    expect(lines('x'.repeat(100))).toBe(0);
    await rolls();
  });

  test('who begin calls and take them back at once are cut', async () => {
    const socket = world.dialTls('127.0.0.7', mad).resume();
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frameOf(FRAME.settings, 0, Buffer.alloc(0)));
    const before = lines('a connection was cut');
    const headers = headersOf({ ':method': 'POST', ':scheme': 'https', ':path': CALL });
    for (let at = 0; at < 5000; at += 1) {
      const id = 2 * at + 1;
      socket.write(frameOf(FRAME.headers, id, headers));
      socket.write(frameOf(FRAME.reset, id, Buffer.from([0, 0, 0, 8])));
    }
    await until(async () => closed(socket) && lines('a connection was cut') > before);
    await rolls();
  });

  test.each(['pings', 'settings'] as const)('who send %s without end are cut', async (what) => {
    const session = world.dial('127.0.0.7', mad);
    await new Promise((resolve) => session.once('connect', resolve));
    while (!closed(session)) {
      for (let at = 0; at < 200 && !closed(session); at += 1) {
        if (what === 'pings') session.ping(() => undefined);
        else session.settings({ initialWindowSize: 65_535 + at });
      }
      await sleep(20);
    }
    await rolls();
  });
});

const FRAME = {
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  windowUpdate: 8,
  continuation: 9,
  unknown: 0xfa,
} as const;
/** The headers end with this frame. */
const WHOLE = 4;

/** A frame of HTTP/2 (RFC 9113); headers are whole in one unless `flags` says otherwise. */
const frameOf = (
  kind: number,
  stream: number,
  payload: Buffer,
  flags = kind === FRAME.headers ? WHOLE : 0,
): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(kind, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** Literals that nobody keeps (RFC 7541). */
const headersOf = (headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(
    Object.entries(headers).map(([name, value]) =>
      Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]),
    ),
  );

const MIB = 1024 * 1024;

/** Writes these bytes again and again, as fast as they are taken, until it is cut. */
const flood = async (from: string, identity: Identity | undefined, bytes: Buffer) => {
  const socket = world.dialTls(from, identity).resume();
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frameOf(FRAME.settings, 0, Buffer.alloc(0)));
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  while (!closed(socket)) {
    const written = new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    await Promise.race([over, written]);
  }
};

const repeated = (frame: Buffer, bytes = 64 * 1024): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(bytes / frame.length) }, () => frame));

const CALL_HEADERS = { ':method': 'POST', ':scheme': 'https', ':path': '/no/Such' };
const begun = () => frameOf(FRAME.headers, 1, headersOf(CALL_HEADERS), 0);
/** Headers that nobody needs, in pieces without an end (CVE-2024-27316). */
const junk = () => headersOf({ 'x-a': 'y'.repeat(100) });
/** One header of 3,900 bytes that is kept, and then named 12,000 times by a byte each: 46 MiB. */
const bombs = (): Buffer => {
  const length = 3900;
  const kept = [0x40, 1, 0x78, 127, ((length - 127) & 127) | 128, (length - 127) >> 7];
  const block = Buffer.concat([
    headersOf(CALL_HEADERS),
    Buffer.from(kept),
    Buffer.alloc(length, 'y'),
    Buffer.alloc(12_000, 0xbe),
  ]);
  const ids = Array.from({ length: 256 }, (_, at) => 2 * at + 1);
  return Buffer.concat(ids.map((id) => frameOf(FRAME.headers, id, block)));
};

const HTTP2 = 'Too many CONTINUATION frames';
const BESIDE = 'it sent much and showed nothing|it sends too much beside its calls';

describe('frames without end', () => {
  test.each<[string, () => Buffer, string]>([
    [
      'headers that go on',
      () => Buffer.concat([begun(), repeated(frameOf(FRAME.continuation, 1, junk()))]),
      HTTP2,
    ],
    [
      'headers that go on with nothing',
      () => Buffer.concat([begun(), repeated(frameOf(FRAME.continuation, 1, Buffer.alloc(0)))]),
      HTTP2,
    ],
    ['headers that are large once they are read', bombs, BESIDE],
    ['room', () => repeated(frameOf(FRAME.windowUpdate, 0, Buffer.from([0, 0, 0, 1]))), BESIDE],
    ['ranks', () => repeated(frameOf(FRAME.priority, 1, Buffer.from([0, 0, 0, 3, 9]))), BESIDE],
    ['what nobody knows', () => repeated(frameOf(FRAME.unknown, 0, Buffer.alloc(100))), BESIDE],
  ])(
    '%s: a stranger and a node are cut, others are served and no memory is held',
    async (_what, make, why) => {
      const bytes = make();
      const before = process.memoryUsage.rss();
      for (const identity of [undefined, mad]) {
        const told = world.said.length;
        const flooding = flood('127.0.0.9', identity, bytes);
        await rolls();
        await flooding;
        await rolls();
        const line = world.said.slice(told).find((one) => one.includes('a connection was cut'));
        expect(line).toMatch(new RegExp(why));
      }
      expect(process.memoryUsage.rss() - before).toBeLessThan(128 * MIB);
    },
  );
});

describe('who was let in', () => {
  test('and reports without pause is heard at a pace', async () => {
    const session = world.dial('127.0.0.1', mad);
    const stream = begin(session, SESSION);
    stream.write(helloFrame('n2'));
    const all = limits.REPORTS.burst + 1000;
    for (let at = 1; at <= all; at += 1) stream.write(reportFrame('n2', at));
    await until(async () => lines('it is heard later') > 0);
    await rolls();
    expect(world.heardAt('n2')).toBeGreaterThan(0);
    session.destroy();
  });

  test('and sends a message that is too long, or compressed, has its call ended', async () => {
    const session = world.dial('127.0.0.1', mad);
    const attach = begin(session, '/purser.link.v1.LinkService/Attach');
    attach.write(framed(Buffer.alloc(0), limits.CALL_BYTES + 1));
    const squeezed = begin(session, SESSION);
    squeezed.write(Buffer.from([1, 0, 0, 0, 1, 0]));
    await until(async () => closed(attach) && closed(squeezed));
    expect(lines(`more than ${limits.CALL_BYTES}`)).toBe(1);
    expect(lines('compressed messages')).toBe(1);
    await rolls();
  });

  test('and opens connection after connection keeps the newest', async () => {
    const many = limits.CONNECTIONS_PER_NODE + 5;
    const sessions = Array.from({ length: many }, () => world.dial('127.0.0.1', mad));
    await until(async () => sessions.filter(closed).length >= 5);
    expect(sessions.some((one) => !closed(one))).toBe(true);
    for (const one of sessions) one.destroy();
    await rolls();
  });

  test('and asks by one token without end is told so, and others are served', async () => {
    const authorization = `Bearer ${await world.token({ kind: 'view' })}`;
    const session = world.dial('127.0.0.8');
    const argument = Buffer.from([10, 5, ...Buffer.from('state')]);
    const answers: string[] = [];
    for (let at = 0; at < 300; at += 1) {
      const stream = begin(session, CALL, { authorization });
      stream.on('response', (headers) => answers.push(String(headers['grpc-status'] ?? 'ok')));
      stream.on('trailers', (headers) => answers.push(String(headers['grpc-status'])));
      stream.end(framed(argument));
    }
    await rolls();
    await until(async () => answers.includes('8') && answers.includes('0'));
    const cheap = new Set(answers);
    expect([...cheap].every((one) => ['ok', '0', '8'].includes(one))).toBe(true);
    session.destroy();
  });
});

test('TLS that is begun anew and anew is not there', async () => {
  const socket = world.dialTls('127.0.0.1');
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  expect(socket.getProtocol()).toBe('TLSv1.3');
  expect(socket.renegotiate({}, () => undefined)).toBeFalsy();
  socket.destroy();
});

test('no key and no list of tokens is open to others, whatever the umask; no log tells a secret', async () => {
  const umask = process.umask(0);
  const open = await openDoorWorld();
  try {
    const text = await open.token({ kind: 'admin' });
    const identity = await open.join('n1');
    writeIdentity(path.join(open.folder, 'n1'), identity);
    const joining = joiningKey(path.join(open.folder, 'n2'));
    const session = open.dial('127.0.0.1');
    const call = begin(session, '/no/Such', { authorization: `Bearer ${text}` });
    await until(async () => answered(call));
    const secrets = [parseToken(text)?.secret ?? text, 'PRIVATE KEY'];
    const files = fs
      .readdirSync(open.folder, { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(open.folder, name))
      .filter((file) => fs.statSync(file).isFile());
    const kept = files.filter((file) => /PRIVATE KEY|"hash"/.test(fs.readFileSync(file, 'utf8')));
    expect(kept).toHaveLength(4);
    for (const file of kept) {
      expect(fs.statSync(file).mode & 0o077, file).toBe(0);
      expect(fs.statSync(path.dirname(file)).mode & 0o077, file).toBe(0);
    }
    for (const file of files) expect(fs.readFileSync(file, 'utf8')).not.toContain(secrets[0]);
    for (const line of [...open.said, ...world.said]) {
      for (const secret of [...secrets, joining]) expect(line).not.toContain(secret);
    }
  } finally {
    process.umask(umask);
    await open.close();
  }
});
