// The runner's end of the link against a reconciler that is played, word by word: what it makes of
// orders that come in pieces, cut off, damaged or too large (rules 10.3), and what it takes for the
// time of its last contact (rules 9.3). In: frames. Out: the port of the runner.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createLink, type Link } from '../../node-runner/edge/link.ts';
import { openPlaces, type Places } from '../../node-runner/edge/places.ts';
import { listen, type Listening } from '../../reconciler/edge/server.ts';
import {
  LinkServiceDefinition,
  type SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';
import type { NodeOrders } from '../../schema/orders.ts';
import { HELD_BYTES, ordersHash, type ReportFrame } from '../../schema/wire.ts';
import { body } from '../support/bodies.ts';
import { copyWith, reportWith } from '../support/reports.ts';
import { until } from './runtime-suite.ts';

const REPORT = reportWith({ node: 'n1', cluster: 'test' });
const COPY = copyWith(body({ node: 'n1', cluster: 'test' }));

const ORDERS: NodeOrders = { node: 'n1', cluster: 'test', generation: 3, commit: 'c', items: [] };

type Frames = Iterable<SessionResponse> | AsyncIterable<SessionResponse>;

let folder: string;
let listening: Listening;
let errors: string[];
/** The runner's clock, which stands still unless it is put forward. */
let now: number;
/** What the next session says once the first report is there; then it ends, or stays open. */
let script: { readonly says: Frames; readonly stays: boolean }[];
let sequences: bigint[];
let link: Link;
let abort: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plr-'));
  errors = [];
  script = [];
  sequences = [];
  now = 1000;
  abort = new AbortController();
  listening = await listen(`unix:${join(folder, 'l.sock')}`, LinkServiceDefinition, {
    session: async function* session(requests) {
      const part = script.shift() ?? { says: [], stays: true };
      for await (const { frame } of requests) {
        if (frame?.$case !== 'report') continue;
        sequences.push(frame.value.sequence);
        break;
      }
      yield* part.says;
      if (!part.stays) return;
      await new Promise((done) => abort.signal.addEventListener('abort', done));
    },
    attach: async function* attach() {},
  });
  link = linkTo(openPlaces([listening.address], null));
});
afterEach(async () => {
  abort.abort();
  await running;
  await listening.stop();
  await rm(folder, { recursive: true, force: true });
});

const linkTo = (places: Places): Link =>
  createLink({
    address: places.now(),
    places,
    cluster: 'test',
    node: 'n1',
    clock: { now: () => now, bootId: 'b', sleepUntil: async () => {} },
    log: { info: () => {}, warn: () => {}, error: (_, message) => void errors.push(message) },
    serve: async () => {
      throw new Error('no streams here');
    },
  });

const begin = (): void => {
  running = link.run(abort.signal);
  link.port.report(REPORT, now);
};

/** The orders in two pieces. */
const pieces = (
  orders: NodeOrders,
  hash = ordersHash(orders),
): readonly [SessionResponse, SessionResponse] => {
  const bytes = Buffer.from(JSON.stringify(orders));
  const piece = (chunk: Buffer, last: boolean): SessionResponse => ({
    frame: {
      $case: 'orders',
      value: { generation: BigInt(orders.generation), chunk, last, hash: last ? hash : '' },
    },
  });
  return [piece(bytes.subarray(0, 20), false), piece(bytes.subarray(20), true)];
};

const taken = async (): Promise<NodeOrders | null> => {
  let orders: NodeOrders | null = null;
  await until(async () => (orders = link.port.take()) !== null || errors.length > 0);
  return orders;
};

test('orders in pieces are one set', async () => {
  script = [{ says: pieces(ORDERS), stays: true }];
  begin();
  expect(await taken()).toEqual(ORDERS);
});

test('the first report of a session tells what became of orders that were taken before it', async () => {
  script = [
    { says: pieces(ORDERS), stays: true },
    { says: [], stays: true },
  ];
  begin();
  expect(await taken()).toEqual(ORDERS);
  expect(link.port.wantsReport()).toBe(false);
  link.port.renew(now + 1);
  await until(async () => link.port.wantsReport());
  // Made before the session: it may not know of them yet.
  link.port.report(REPORT, now);
  expect(link.port.wantsReport()).toBe(true);
  expect(sequences).toEqual([1n]);
  now += 1;
  link.port.report(REPORT, now);
  expect(link.port.wantsReport()).toBe(false);
  await until(async () => sequences.length === 2);
  expect(sequences).toEqual([1n, 1n]);
});

test('a stream that is renewed leaves no orders behind', async () => {
  script = [
    { says: pieces(ORDERS), stays: true },
    { says: [], stays: true },
  ];
  let arrived = false;
  link.port.watch(() => (arrived = sequences.length > 0));
  begin();
  await until(async () => arrived);
  link.port.renew(now + 1);
  expect(link.port.take()).toBeNull();
});

test('a set that is cut off counts for nothing, also not as the start of the next one', async () => {
  const [first] = pieces(ORDERS);
  const next = { ...ORDERS, generation: 4 };
  script = [
    { says: [first], stays: false },
    { says: pieces(next), stays: true },
  ];
  begin();
  expect(await taken()).toEqual(next);
  expect(link.port.take()).toBeNull();
});

test('a set that is not what its hash says is refused, and the next one is taken', async () => {
  script = [{ says: pieces(ORDERS, ordersHash({ ...ORDERS, commit: 'd' })), stays: false }];
  begin();
  expect(await taken()).toBeNull();
  expect(errors).toEqual(['orders came damaged and were refused']);
  errors = [];
  script.push({ says: pieces(ORDERS), stays: true });
  expect(await taken()).toEqual(ORDERS);
});

test('a set without end is refused before it fills the memory', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 32);
  const value = { generation: 3n, chunk, last: false, hash: '' };
  const more: SessionResponse = { frame: { $case: 'orders', value } };
  const count = Math.ceil(HELD_BYTES / chunk.length) + 1;
  script = [{ says: Array.from({ length: count }, () => more), stays: true }];
  begin();
  expect(await taken()).toBeNull();
  expect(errors).toEqual(['orders are too large and were refused']);
});

test('the last contact is when the report was sent that was acknowledged, not its answer', async () => {
  const ack = (sequence: bigint): SessionResponse => ({
    frame: { $case: 'ack', value: { sequence, takesPatches: false } },
  });
  let answer: (said: SessionResponse) => void = () => undefined;
  const answered = new Promise<SessionResponse>((done) => {
    answer = done;
  });
  const late = async function* late(): AsyncGenerator<SessionResponse> {
    yield await answered;
  };
  script = [{ says: late(), stays: true }];
  begin();
  await until(async () => sequences.length > 0);
  expect(link.port.acknowledged()).toBeNull();
  now = 60_000; // the answer takes a minute: whoever waits for it may have replaced us long ago
  answer(ack(sequences[0] ?? 0n));
  await until(async () => link.port.acknowledged() !== null);
  expect(link.port.acknowledged()).toBe(1000);
});

test.each([
  [true, [], { copies: [COPY.allocation], facts: {}, tasks: { restarts: { is: [1] } } }],
  [false, [expect.objectContaining({ allocation: COPY.allocation })], undefined],
])(
  'copies are patched where the reconciler says it takes patches: %s',
  async (takesPatches, changed, patches) => {
    const frames: ReportFrame[] = [];
    const other = await listen(`unix:${join(folder, 'p.sock')}`, LinkServiceDefinition, {
      session: async function* session(requests): AsyncGenerator<SessionResponse> {
        for await (const { frame } of requests) {
          if (frame?.$case !== 'report') continue;
          frames.push(JSON.parse(Buffer.from(frame.value.frame).toString('utf8')));
          const { sequence } = frame.value;
          yield { frame: { $case: 'ack', value: { sequence, takesPatches } } };
        }
      },
      attach: async function* attach() {},
    });
    onTestFinished(() => other.stop());
    link = linkTo(openPlaces([other.address], null));
    running = link.run(abort.signal);
    link.port.report({ ...REPORT, allocations: [COPY] }, now);
    await until(async () => link.port.acknowledged() !== null);
    const tasks = COPY.tasks.map((task) => ({ ...task, restarts: 1 }));
    link.port.report({ ...REPORT, allocations: [{ ...COPY, tasks }] }, now);
    await until(async () => frames.length === 2);
    expect(frames[0]).toMatchObject({ whole: true, changed: [{ allocation: COPY.allocation }] });
    expect(frames[1]?.changed).toEqual(changed);
    expect(frames[1]?.patches).toEqual(patches);
  },
);

test.each([
  ['said nothing for seven seconds before its stream broke is left at once', 7000, 'the other'],
  ['spoke a moment before its stream broke is dialled again', 500, 'the same'],
])('of several reconcilers one that %s', async (_name, silentMs, next) => {
  const dialled: string[] = [];
  const other = await listen(`unix:${join(folder, 'o.sock')}`, LinkServiceDefinition, {
    session: async function* session() {
      dialled.push('the other');
      yield* [];
    },
    attach: async function* attach() {},
  });
  let breakOff = (): void => undefined;
  const broken = new Promise<void>((done) => (breakOff = done));
  const first = async function* first(): AsyncGenerator<SessionResponse> {
    yield { frame: { $case: 'ack', value: { sequence: 1n, takesPatches: false } } };
    await broken;
  };
  const again = async function* again(): AsyncGenerator<SessionResponse> {
    dialled.push('the same');
    yield* [];
  };
  script = [
    { says: first(), stays: false },
    { says: again(), stays: true },
  ];
  link = linkTo(openPlaces([listening.address, other.address], null));
  begin();
  await until(async () => link.port.acknowledged() !== null);
  now += silentMs;
  breakOff();
  await until(async () => dialled.length > 0);
  expect(dialled[0]).toBe(next);
  abort.abort();
  await running;
  await other.stop();
});

test('one that does not lead tells where others are, before the session ends', async () => {
  const learned: string[] = [];
  const places = openPlaces([listening.address], null);
  link = linkTo({ ...places, learn: (reconcilers) => void learned.push(...reconcilers) });
  const value = { leader: '', message: 'nobody leads', reconcilers: ['10.0.0.2:7420'] };
  script = [{ says: [{ frame: { $case: 'redirect', value } }], stays: false }];
  begin();
  await until(async () => learned.length > 0);
  expect(learned).toEqual(['10.0.0.2:7420']);
});
