// What was sent to the door once, sent again: bytes caught on the wire, and frames of an older
// session or of another node. In: a runner's session, and somebody who repeats it. Out: nothing of
// it is heard, and the log says so. Orders that come again: test/unit/node-runner/accept.test.ts.

import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Identity } from '../../node-runner/edge/identity.ts';
import { RECONCILER_HOST } from '../../schema/identity.ts';
import {
  begin,
  type DoorWorld,
  helloFrame,
  openDoorWorld,
  reportFrame,
} from '../support/door-world.ts';
import { until } from './runtime-suite.ts';

const SESSION = '/purser.link.v1.LinkService/Session';

let world: DoorWorld;
let two: Identity;
let three: Identity;

beforeAll(async () => {
  world = await openDoorWorld();
  [two, three] = [await world.join('n2'), await world.join('n3')];
});
afterAll(() => world.close());

const lines = (text: string): number => world.said.filter((line) => line.includes(text)).length;

const closed = (one: { readonly closed: boolean; readonly destroyed: boolean }): boolean =>
  one.closed || one.destroyed;

/** Everything that was sent to the door over one connection. */
const caught: Buffer[] = [];
const taps: net.Server[] = [];
afterAll(() => {
  for (const tap of taps) tap.close();
});

const throughTap = async (identity: Identity): Promise<http2.ClientHttp2Session> => {
  const tap = net.createServer((socket) => {
    const on = world.connect('127.0.0.2');
    socket.on('data', (data) => caught.push(data)).on('error', () => undefined);
    socket.pipe(on).pipe(socket);
  });
  taps.push(tap);
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
  const { port } = tap.address() as net.AddressInfo;
  const session = http2.connect(`https://${RECONCILER_HOST}:${port}`, {
    createConnection: () =>
      tls.connect({
        host: '127.0.0.1',
        port,
        ALPNProtocols: ['h2'],
        ca: identity.authority,
        cert: identity.certificate,
        key: identity.key,
        servername: RECONCILER_HOST,
      }),
  });
  return session.on('error', () => undefined);
};

test('a session that was caught on the wire is heard once', async () => {
  const session = await throughTap(two);
  const stream = begin(session, SESSION);
  stream.write(helloFrame('n2'));
  stream.write(reportFrame('n2', 1));
  await until(async () => world.heardAt('n2') > 0);
  session.destroy();
  await until(async () =>
    world.nodes.port.heard().nodes.some(({ node, connected }) => node === 'n2' && !connected),
  );
  const before = world.heardAt('n2');
  const dialled = lines('a runner dialled in');
  const nothing = lines('a connection came to nothing');
  // All at once, and piece by piece.
  for (const pieces of [[Buffer.concat(caught)], caught]) {
    const socket = world.connect('127.0.0.3').resume();
    for (const piece of pieces) socket.write(piece);
    await until(async () => closed(socket));
  }
  await until(async () => lines('a connection came to nothing') >= nothing + 2);
  expect(lines('a runner dialled in')).toBe(dialled);
  expect(world.heardAt('n2')).toBe(before);
});

test('a report of an older session, that says what changed in it, is refused in a new one', async () => {
  const before = world.heardAt('n2');
  const session = world.dial('127.0.0.1', two);
  const stream = begin(session, SESSION);
  stream.write(helloFrame('n2'));
  stream.write(reportFrame('n2', 2, true));
  await until(async () => closed(stream) || stream.readableEnded);
  expect(lines('the first report of a session is not whole')).toBe(1);
  expect(world.heardAt('n2')).toBe(before);
  session.destroy();
});

test('a session of one node, repeated by another, is refused', async () => {
  const before = world.heardAt('n2');
  const session = world.dial('127.0.0.1', three);
  const stream = begin(session, SESSION);
  stream.write(helloFrame('n2'));
  stream.write(reportFrame('n2', 1));
  await until(async () => closed(stream) || stream.readableEnded);
  expect(lines('as node n2, which it is not')).toBeGreaterThan(0);
  const mine = begin(session, SESSION);
  mine.write(helloFrame('n3'));
  mine.write(reportFrame('n2', 1));
  await until(async () => closed(mine) || mine.readableEnded);
  expect(lines('it speaks for n2 of another cluster or node')).toBe(1);
  expect(world.heardAt('n2')).toBe(before);
  expect(world.heardAt('n3')).toBe(0);
  session.destroy();
});
