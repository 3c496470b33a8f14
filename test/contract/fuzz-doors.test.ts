// Bytes that nobody means, to every call of the link, the joining and the control service, and from
// a mad reconciler to a runner: 10,000 cases from one seed. In: random bytes, and good messages with
// bytes changed, cut off, doubled. Out: refusals; nothing throws out of its call, nothing stays.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { CallContext } from 'nice-grpc';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createControl } from '../../reconciler/edge/control.ts';
import { createJoin } from '../../reconciler/edge/join.ts';
import { createNodes } from '../../reconciler/edge/nodes.ts';
import * as control from '../../schema/generated/purser/control/v1/control.ts';
import { createLink } from '../../node-runner/edge/link.ts';
import { listen } from '../../reconciler/edge/server.ts';
import * as join from '../../schema/generated/purser/join/v1/join.ts';
import * as link from '../../schema/generated/purser/link/v1/link.ts';
import { encodeReport, LINK_PROTOCOL, NOTHING_SENT } from '../../schema/wire.ts';
import { checkAsk } from '../../schema/streams.ts';
import { NODE_NAME_PATTERN } from '../../schema/patterns.ts';
import { CLUSTER, reportOf } from '../support/door-world.ts';
import { until } from './runtime-suite.ts';

const SEED = 20_261_122;

const strays: unknown[] = [];
const note = (error: unknown): void => void strays.push(error);
beforeAll(() => {
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
});
afterAll(() => {
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
});
afterEach(() => expect(strays).toEqual([]));

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Of each kind of message, some that are right. */
const { SessionRequest, SessionResponse, AttachRequest } = link;
const hello = SessionRequest.encode({
  frame: {
    $case: 'hello',
    value: { protocol: LINK_PROTOCOL, cluster: CLUSTER, node: 'n1', release: '', term: 0n },
  },
}).finish();
const report = SessionRequest.encode({
  frame: {
    $case: 'report',
    value: { sequence: 1n, frame: json(encodeReport(null, reportOf('n1'), 0).frame) },
  },
}).finish();
const patches = {
  copies: ['0123456789abcdef-0-0'],
  facts: { health: { is: ['healthy'] } },
  tasks: { pid: { at: [0], task: [0], is: [1] } },
};
const patched = SessionRequest.encode({
  frame: {
    $case: 'report',
    value: {
      sequence: 2n,
      frame: json({ ...encodeReport(NOTHING_SENT, reportOf('n1'), 0).frame, patches }),
    },
  },
}).finish();
const attach = AttachRequest.encode({ frame: { $case: 'stream', value: 'x' } }).finish();
const ask = {
  kind: 'exec',
  node: 'n1',
  allocation: '0123456789abcdef-0-0',
  task: 'web',
  args: ['sh'],
  tty: { columns: 80, rows: 24 },
};
const orders = { node: 'n1', cluster: CLUSTER, session: 's', generation: 1, commit: '', items: [] };
const told = [
  { $case: 'ack' as const, value: { sequence: 1n, takesPatches: true } },
  {
    $case: 'orders' as const,
    value: { generation: 1n, chunk: json(orders), last: true, hash: '0'.repeat(32) },
  },
  { $case: 'open' as const, value: { stream: 's', ask: json(ask) } },
  { $case: 'refusal' as const, value: { message: 'no' } },
].map((frame) => SessionResponse.encode({ frame }).finish());

/** Bytes of nothing, or good ones with some changed, cut off, doubled or put elsewhere. */
const bytesLike = (good: readonly Uint8Array[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 4,
      arbitrary: fc
        .record({
          from: fc.constantFrom(...good),
          edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
          cut: fc.option(fc.nat(), { freq: 4 }),
          twice: fc.boolean(),
        })
        .map(({ from, edits, cut, twice }) => {
          const bytes = Buffer.from(twice ? Buffer.concat([from, from]) : from);
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          return cut === null ? bytes : bytes.subarray(0, cut % bytes.length);
        }),
    },
  );

const sampled = <Value>(of: fc.Arbitrary<Value>, count: number): Value[] =>
  fc.sample(of, { seed: SEED, numRuns: count });

/** As gRPC does: what cannot be read ends the call. */
const decoded = function* decoded<Message>(
  type: { readonly decode: (bytes: Uint8Array) => Message },
  all: readonly Uint8Array[],
): Generator<Message> {
  for (const bytes of all) {
    let message: Message;
    try {
      message = type.decode(bytes);
    } catch {
      return;
    }
    yield message;
  }
};

const log = { info: () => {}, warn: () => {}, error: () => {} };
const context = (): CallContext =>
  ({
    signal: new AbortController().signal,
    peer: '127.0.0.1:1',
  }) as Partial<CallContext> as CallContext;

const drained = async (answers: AsyncIterable<unknown>): Promise<void> => {
  try {
    for await (const _answer of answers) await turn();
  } catch {
    // Refused, as is right.
  }
};

const asStream = async function* asStream<Message>(
  messages: Iterable<Message>,
): AsyncGenerator<Message> {
  yield* messages;
};

test('6,000 sessions and 1,500 streams of runners gone mad leave nothing behind', async () => {
  const clock = { now: () => performance.now(), sleepUntil: async () => {} };
  const nodes = createNodes({ cluster: CLUSTER, clock, log });
  const session = fc.array(bytesLike([hello, report, patched]), { minLength: 1, maxLength: 4 });
  for (const messages of sampled(session, 6000)) {
    const all = asStream(decoded(SessionRequest, [hello, ...messages]));
    await drained(nodes.service.session(all, context()));
  }
  for (const messages of sampled(fc.array(bytesLike([attach]), { maxLength: 3 }), 1500)) {
    await drained(nodes.service.attach(asStream(decoded(AttachRequest, messages)), context()));
  }
  const heard = nodes.port.heard().nodes;
  expect(heard.every(({ node }) => new RegExp(NODE_NAME_PATTERN).test(node))).toBe(true);
  expect(heard.every(({ connected }) => !connected)).toBe(true);
  const good = nodes.service.session(asStream(decoded(SessionRequest, [hello, report])), context());
  const answers = [];
  for await (const { frame } of good) answers.push(frame?.$case);
  expect(answers).toContain('ack');
});

test('1,500 calls of people and machines that join are answered or refused', async () => {
  const { CallRequest, AttachRequest: PersonRequest } = control;
  const opened: unknown[] = [];
  const service = createControl({
    handlers: {
      state: async () => ({}),
      file: async (argument) => (argument as { path: string }).path,
    },
    changes: () => () => {},
    streams: {
      attach: async function* none() {},
      open: async function* open(asked) {
        opened.push(asked);
        yield* asStream<link.AttachRequest>([]);
      },
    },
  });
  const calls = [
    CallRequest.encode({ method: 'state', argument: json({ path: 'x' }) }).finish(),
    CallRequest.encode({ method: 'file', argument: json({ path: 'x' }) }).finish(),
  ];
  for (const bytes of sampled(bytesLike(calls), 500)) {
    for (const request of decoded(CallRequest, [bytes])) {
      await Promise.resolve(service.call(request, context())).catch(() => undefined);
    }
  }
  const person = PersonRequest.encode({ frame: { $case: 'ask', value: json(ask) } }).finish();
  for (const bytes of sampled(bytesLike([person]), 500)) {
    await drained(service.attach(asStream(decoded(PersonRequest, [bytes])), context()));
  }
  expect(opened.length).toBeGreaterThan(0);
  expect(opened.every((one) => checkAsk(json(one)) !== null)).toBe(true);
  const listed: string[] = [];
  // Nobody comes as far as the authority and its list of tokens: there is none.
  const joins = createJoin({
    cluster: CLUSTER,
    log,
    isHeard: () => false,
    list: async (node: string) => void listed.push(node),
  } as never);
  const joining = join.JoinRequest.encode({ token: 'x', node: 'n1', request: 'y' }).finish();
  for (const bytes of sampled(bytesLike([joining]), 500)) {
    for (const request of decoded(join.JoinRequest, [bytes])) {
      await expect(joins.join(request, context())).rejects.toThrow();
    }
  }
  expect(listed).toEqual([]);
});

test('1,000 messages of a reconciler gone mad have no effect on a runner', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pfz-'));
  const at = `unix:${path.join(folder, 'l.sock')}`;
  const cases = sampled(bytesLike(told), 1000);
  const taken: unknown[] = [];
  let sent = 0;
  let dials = 0;
  const reconciler = await listen(at, link.LinkServiceDefinition, {
    session: async function* session() {
      dials += 1;
      // The beginning of a session must work, or only the first case is ever tried.
      while (sent < cases.length) {
        const bytes = cases[sent] ?? Buffer.alloc(0);
        sent += 1;
        yield* decoded(SessionResponse, [bytes]);
      }
      await new Promise(() => {});
    },
    attach: async function* none() {},
  });
  const runners = Array.from({ length: 4 }, () =>
    createLink({
      cluster: CLUSTER,
      node: 'n1',
      address: at,
      clock: { now: () => performance.now(), bootId: 'b', sleepUntil: async () => {} },
      log,
      serve: async (asked) => {
        taken.push(asked);
        throw new Error('no streams here');
      },
    } as Parameters<typeof createLink>[0]),
  );
  const abort = new AbortController();
  const running = runners.map((runner) => runner.run(abort.signal));
  await until(async () => sent >= cases.length);
  expect(dials).toBeGreaterThan(0);
  expect(taken.every((one) => checkAsk(json(one)) !== null)).toBe(true);
  expect(runners.map(({ port }) => port.take())).toEqual(runners.map(() => null));
  abort.abort();
  await Promise.all(running);
  await reconciler.stop();
  rmSync(folder, { recursive: true, force: true });
});
