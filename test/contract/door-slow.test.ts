// Callers at the door to other machines that ask and do not read: people with a token to view, and
// a runner. In: whoever means no good. Out: what the reconciler holds for them stays bounded, they
// are ended with a line in the log, and others are served meanwhile.

import type http2 from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Identity } from '../../node-runner/edge/identity.ts';
import type { ServeStream } from '../../node-runner/edge/link-streams.ts';
import * as limits from '../../reconciler/edge/door/limits.ts';
import { AttachRequest, CallRequest } from '../../schema/generated/purser/control/v1/control.ts';
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

const CALL = '/purser.control.v1.ControlService/Call';
const WATCH = '/purser.control.v1.ControlService/Watch';
const ATTACH = '/purser.control.v1.ControlService/Attach';
const SESSION = '/purser.link.v1.LinkService/Session';
const MIB = 1024 * 1024;
const ANSWER_BYTES = 8 * MIB;
const ORDERS_BYTES = 4 * MIB;
const MANY = 60;
/** What waits by the limit, once more in the form in which it was made, and as much again. */
const MOST_BYTES = 4 * limits.UNREAD_BYTES_PER_BEARER;

let world: DoorWorld;
let mad: Identity;
let asked = 0;
let printed = 0;

/** Prints as fast as it is read, without end. */
const printing: ServeStream = async () => ({
  output: (async function* output() {
    for (;;) {
      const data = Buffer.alloc(64 * 1024, 'x');
      printed += data.length;
      yield { stream: 'stdout' as const, data };
    }
  })(),
  end: async () => ({ code: 0, error: null }),
  write: async () => {},
  closeInput: async () => {},
  resize: async () => {},
  stop: async () => {},
});

beforeAll(async () => {
  world = await openDoorWorld({
    // Another one each time, as in a cluster where something always happens.
    state: () => String.fromCodePoint(97 + (asked++ % 26)).repeat(ANSWER_BYTES),
  });
  world.runner('n1', await world.join('n1'), printing);
  mad = await world.join('n2');
  await until(async () => world.heardAt('n1') > 0);
});
afterAll(() => world.close());

/** Node's runner and a person that reads are served. */
const others = async (): Promise<void> => {
  const before = world.heardAt('n1');
  await until(async () => world.heardAt('n1') > before);
  const session = world.dial('127.0.0.9');
  const stream = asking(session, CALL, await world.token({ kind: 'view' }));
  let got = 0;
  stream.on('data', (piece: Buffer) => (got += piece.length)).resume();
  await until(async () => got > ANSWER_BYTES);
  session.destroy();
};

const lines = (text: string): number => world.said.filter((line) => line.includes(text)).length;

const argument = framed(
  CallRequest.encode({ method: 'state', argument: Buffer.alloc(0) }).finish(),
);

/** A connection to which nothing may be sent but headers. */
const deaf = (from: string, identity?: Identity): http2.ClientHttp2Session =>
  world.dial(from, identity, { initialWindowSize: 0 });

const asking = (
  session: http2.ClientHttp2Session,
  path: string,
  token: string,
  body = argument,
) => {
  const stream = begin(session, path, { authorization: `Bearer ${token}` }).pause();
  stream.end(body);
  return stream;
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that cannot be given back. */
const held = (): number => {
  collect();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
};

test.each([
  ['watch', WATCH, 'a large answer that always changes', '127.0.0.2'],
  ['call', CALL, 'a large answer', '127.0.0.3'],
])('who opens many streams (%s) for %s and reads none is ended', async (_, path, _what, from) => {
  const before = held();
  const told = lines('too many answers are not taken');
  const token = await world.token({ kind: 'view' });
  const session = deaf(from);
  const streams = Array.from({ length: MANY }, () => asking(session, path, token));
  const kept = limits.UNREAD_BYTES_PER_BEARER / ANSWER_BYTES;
  await until(async () => {
    world.change();
    return streams.filter(({ closed }) => !closed).length <= kept;
  });
  // Those that are left are told of many changes, and take none.
  for (let at = 0; at < 100; at += 1) {
    world.change();
    await sleep(20);
  }
  expect(held() - before).toBeLessThan(MOST_BYTES);
  expect(lines('too many answers are not taken')).toBeGreaterThan(told);
  await others();
  session.destroy();
});

test('who follows logs and reads none holds up what is read of them, and nothing else', async () => {
  const before = held();
  const token = await world.token({ kind: 'view' });
  const session = deaf('127.0.0.4');
  const ask = {
    kind: 'logs',
    node: 'n1',
    allocation: '0123456789abcdef-0-1',
    task: 'web',
    tail: null,
    follow: true,
    previous: false,
  };
  const frame = { $case: 'ask' as const, value: Buffer.from(JSON.stringify(ask)) };
  const body = framed(AttachRequest.encode({ frame }).finish());
  for (let at = 0; at < MANY; at += 1) asking(session, ATTACH, token, body);
  await until(async () => printed > 0);
  let last = -1;
  await until(async () => {
    const isStill = printed === last;
    last = printed;
    await sleep(500);
    return isStill && printed === last;
  });
  expect(printed / MANY).toBeLessThan(8 * MIB);
  expect(held() - before).toBeLessThan(MOST_BYTES);
  await others();
  session.destroy();
});

test('a runner that takes no answers to its reports holds little', async () => {
  const before = held();
  const session = deaf('127.0.0.1', mad);
  for (let at = 0; at < limits.SESSIONS_PER_NODE; at += 1) {
    const stream = begin(session, SESSION).pause();
    stream.write(helloFrame('n2'));
    stream.write(reportFrame('n2', 1));
  }
  const send = (generation: number): boolean => {
    const commit = String.fromCodePoint(97 + (generation % 26)).repeat(ORDERS_BYTES);
    const about = { node: 'n2', cluster: CLUSTER, session: 's', commit, items: [] };
    return world.nodes.port.send({ ...about, generation } as never);
  };
  await until(async () => send(1));
  for (let generation = 2; generation <= 100; generation += 1) {
    expect(send(generation)).toBe(true);
    await sleep(5);
  }
  expect(held() - before).toBeLessThan(MOST_BYTES);
  await others();
  session.destroy();
});
