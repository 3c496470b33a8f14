// The link with its real ends: a runner's and the reconciler's, over a socket, and runners that send
// what they must not. In: raw sessions. Out: what each side is told, and that nobody else suffers.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, createChannel, createClientFactory } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLink, type Link } from '../../node-runner/edge/link.ts';
import { LINK_SERVICE } from '../../reconciler/edge/link-service.ts';
import { createNodes, type Nodes } from '../../reconciler/edge/nodes.ts';
import { listen, type Listening } from '../../reconciler/edge/server.ts';
import {
  LinkServiceDefinition,
  type SessionRequest,
  type SessionResponse,
} from '../../schema/generated/purser/link/v1/link.ts';
import type { AllocationReport, NodeReport } from '../../schema/orders.ts';
import {
  HELD_ALLOCATIONS,
  HELD_BYTES,
  LINK_PROTOCOL,
  NODE_ALLOCATIONS,
} from '../../schema/wire.ts';
import { body, group, task } from '../support/bodies.ts';
import { until } from './runtime-suite.ts';
import { reportWith } from '../support/reports.ts';

const CLUSTER = 'test';

const reportOf = (node: string): NodeReport => reportWith({ node, cluster: CLUSTER });

interface Said {
  readonly fields: object;
  readonly message: string;
}

let folder: string;
let nodes: Nodes;
let listening: Listening;
let said: Said[];
let undo: (() => Promise<unknown> | void)[];

const start = async (address: string): Promise<void> => {
  said = [];
  const log = (fields: object, message: string): void => void said.push({ fields, message });
  const clock = {
    now: () => performance.now(),
    sleepUntil: async () => {},
  };
  nodes = createNodes({ cluster: CLUSTER, clock, log: { info: log, warn: log, error: log } });
  listening = await listen(address, LINK_SERVICE, nodes.service);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptl-'));
  undo = [];
});
afterEach(async () => {
  for (const step of undo.toReversed()) await step();
  await listening.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const silent = { info: () => {}, warn: () => {}, error: () => {} };

/** A runner's own end, reporting once. */
const runner = (
  node: string,
  address = listening.address,
  log = silent,
): { readonly link: Link; readonly end: () => Promise<void> } => {
  const clock = { now: () => performance.now(), bootId: 'b', sleepUntil: async () => {} };
  const serve = async (): Promise<never> => {
    throw new Error('no streams here');
  };
  const link = createLink({ address, cluster: CLUSTER, node, clock, log, serve });
  const abort = new AbortController();
  const running = link.run(abort.signal);
  link.port.report(reportOf(node), performance.now());
  const end = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  undo.push(end);
  return { link, end };
};

const heardOf = (node: string) => nodes.port.heard().nodes.find((one) => one.node === node);

type Frame = NonNullable<SessionRequest['frame']>;
const hello = (node: string, protocol = LINK_PROTOCOL, release = ''): Frame => ({
  $case: 'hello',
  value: { protocol, cluster: CLUSTER, node, release, term: 0n },
});
const raw = (frame: string): Frame => ({
  $case: 'report',
  value: { sequence: 1n, frame: Buffer.from(frame) },
});
const whole = (report: object): Frame =>
  raw(
    JSON.stringify({ whole: true, head: report, bodies: [], changed: [], removed: [], usage: [] }),
  );

/** Longer than anything here takes. */
const STAYS_MS = 60_000;

/** Says these frames and stays; what is answered until the other end ends the session. */
const session = async (frames: readonly Frame[]): Promise<readonly SessionResponse[]> => {
  const target = listening.address.replace(/^unix:\//, 'unix:///');
  const channel: Channel = createChannel(target);
  const over = new AbortController();
  const client = createClientFactory().create(LinkServiceDefinition, channel);
  const requests = async function* (): AsyncGenerator<SessionRequest> {
    for (const frame of frames) yield { frame };
    await sleep(STAYS_MS, undefined, { signal: over.signal }).catch(() => undefined);
  };
  const answers: SessionResponse[] = [];
  try {
    for await (const answer of client.session(requests())) answers.push(answer);
    return answers;
  } finally {
    over.abort();
    channel.close();
  }
};

const refusalIn = (answers: readonly SessionResponse[]): string | undefined =>
  answers.flatMap(({ frame }) => (frame?.$case === 'refusal' ? [frame.value.message] : []))[0];

test.each(['127.0.0.1:0', '[::1]:0', 'unix'])('a runner is heard over %s', async (address) => {
  await start(address === 'unix' ? `unix:${join(folder, 'l.sock')}` : address);
  const { link } = runner('n1');
  await until(async () => heardOf('n1')?.connected);
  expect(heardOf('n1')?.report).toEqual(reportOf('n1'));
  await until(async () => link.port.acknowledged() !== null);
});

test('a runner that waits long between dials dials as soon as the socket is made', async () => {
  const address = `unix:${join(folder, 'l.sock')}`;
  let dials = 0;
  runner('n1', address, { ...silent, info: () => void (dials += 1) });
  // Waits of 100 to 3,200 ms are over: the next ones last 4,000 ms at least.
  await until(async () => dials === 7);
  const began = performance.now();
  await start(address);
  await until(async () => heardOf('n1')?.connected);
  expect(performance.now() - began).toBeLessThan(4_000);
});

test('what a node reports anew wakes at once, that nothing happened is told apart', async () => {
  await start(`unix:${join(folder, 'l.sock')}`);
  const rings: string[] = [];
  nodes.port.watch(
    () => rings.push('news'),
    () => rings.push('quiet'),
  );
  const { link, end } = runner('n1');
  // Ages of one instant: the link lets them grow.
  const at = performance.now();
  const reported = async (report: NodeReport): Promise<string | undefined> => {
    const before = rings.length;
    link.port.report(report, at);
    await until(async () => rings.length > before);
    return rings.at(-1);
  };
  await until(async () => rings.length > 0);
  expect(rings).toEqual(['news']);
  expect(await reported(reportOf('n1'))).toBe('quiet');
  expect(await reported({ ...reportOf('n1'), foreign: 1 })).toBe('news');
  const copy = failing('n1', 0, 10);
  const full = { ...reportOf('n1'), allocations: [copy] };
  expect(await reported(full)).toBe('news');
  const usage = { cpuMilli: 5, memoryBytes: 1000 };
  expect(await reported({ ...full, allocations: [{ ...copy, usage }] })).toBe('quiet');
  expect(await reported(reportOf('n1'))).toBe('news');
  await end();
  await until(async () => !heardOf('n1')?.connected);
  expect(rings.at(-1)).toBe('news');
});

/** A copy that fails, with a file of so many bytes, and as much to say as a runner says. */
const failing = (node: string, index: number, fileBytes: number): AllocationReport => {
  const allocation = `${'a'.repeat(16)}-${index}-1`;
  const files = [{ path: '/f', source: 'configs/f', content: 'x'.repeat(fileBytes) }];
  const spec = group({ tasks: [task({ files })] });
  const log = Array.from({ length: 10 }, () => 'l'.repeat(200));
  const message = 'm'.repeat(500);
  return {
    allocation,
    body: body({ allocation, node, cluster: CLUSTER, index, spec }),
    phase: 'dead',
    health: 'unhealthy',
    everHealthy: false,
    tasks: [
      {
        name: 'web',
        state: 'dead',
        restarts: 1,
        health: 'unhealthy',
        lastCheck: message,
        log,
        exit: null,
        pid: null,
      },
    ],
    failure: { blame: 'version', kind: 'exit', task: 'web', message, ageMs: 1, log },
    ports: [],
    address: null,
    usage: null,
    acceptedForMs: 1,
    firstStartedForMs: null,
    runningForMs: null,
    healthyForMs: null,
    firstHealthyForMs: null,
    deadForMs: 1,
  };
};

test('a full node whose copies all fail is heard, however large its first report is', async () => {
  await start('127.0.0.1:0');
  const { link } = runner('n1');
  // 2,000 bodies of 10 kB are the 20 MB that a link of 16 MiB refused at each dial.
  const allocations = Array.from({ length: NODE_ALLOCATIONS }, (_, at) =>
    failing('n1', at, 10_000),
  );
  link.port.report({ ...reportOf('n1'), allocations }, performance.now());
  await until(async () => heardOf('n1')?.report.allocations.length === NODE_ALLOCATIONS);
});

test('the most that a runner may hold is heard in one report', async () => {
  await start('127.0.0.1:0');
  const { link } = runner('n1');
  const letters = Math.floor(HELD_BYTES / HELD_ALLOCATIONS) - 2_000;
  const allocations = Array.from({ length: HELD_ALLOCATIONS }, (_, at) =>
    failing('n1', at, letters),
  );
  link.port.report({ ...reportOf('n1'), allocations }, performance.now());
  await until(async () => heardOf('n1')?.report.allocations.length === HELD_ALLOCATIONS);
});

test('a socket that somebody answers at is not taken over; one that is left behind is', async () => {
  const address = `unix:${join(folder, 'l.sock')}`;
  await start(address);
  await expect(listen(address, LINK_SERVICE, nodes.service)).rejects.toThrow(
    `somebody answers at ${join(folder, 'l.sock')} already`,
  );
  runner('n1');
  await until(async () => heardOf('n1')?.connected);
  await listening.stop();
  const left = `require('net').createServer().listen(process.argv[1], () => process.exit(1))`;
  expect(spawnSync(process.execPath, ['-e', left, join(folder, 'l.sock')]).status).toBe(1);
  expect(existsSync(join(folder, 'l.sock'))).toBe(true);
  listening = await listen(address, LINK_SERVICE, nodes.service);
});

describe('a runner that sends what it must not', () => {
  beforeEach(() => start(`unix:${join(folder, 'l.sock')}`));

  test.each<[string, readonly Frame[], string]>([
    ['no JSON', [hello('n1'), raw('{"whole":')], 'the whole: must be object'],
    ['another form', [hello('n1'), raw('{"whole":1}')], 'the whole: must have required property'],
    ['an odd amount', [hello('n1'), whole({ ...reportOf('n1'), foreign: -1 })], 'head/foreign'],
    ['another node', [hello('n1'), whole(reportOf('n2'))], 'it speaks for n2'],
    ['a name that is none', [hello('../n1')], 'node: must match pattern'],
    ['another protocol', [hello('n1', 99)], 'speaks protocol 99'],
  ])('%s is told so, and its session ends; others go on', async (_name, frames, why) => {
    runner('n3');
    await until(async () => heardOf('n3')?.connected);
    const answers = await session(frames);
    expect(refusalIn(answers)).toContain(why);
    expect(heardOf('n1')).toBeUndefined();
    expect(heardOf('n2')).toBeUndefined();
    expect(JSON.stringify(said)).toContain(why.slice(0, 20));
    expect(heardOf('n3')?.connected).toBe(true);
  });

  test('is refused a patch of a copy that it never sent', async () => {
    const copies = [`${'a'.repeat(16)}-0-1`];
    const patches = { copies, facts: { health: { is: ['healthy'] } }, tasks: {} };
    const none = { bodies: [], changed: [], removed: [], usage: [] };
    const patched = { whole: false, head: reportOf('n1'), ...none, patches };
    const answers = await session([
      hello('n1'),
      whole(reportOf('n1')),
      raw(JSON.stringify(patched)),
    ]);
    expect(refusalIn(answers)).toContain('copy 0 of its list has changed and was never sent');
  });

  test('keeps its last good report, and is heard again when it mends its ways', async () => {
    const good = whole(reportOf('n1'));
    const answers = await session([hello('n1'), good, raw('[]')]);
    expect(answers.map(({ frame }) => frame?.$case)).toEqual(['ack', 'refusal']);
    expect(heardOf('n1')).toMatchObject({ connected: false, report: reportOf('n1') });
    runner('n1');
    await until(async () => heardOf('n1')?.connected);
  });

  test.each([
    ['9.8.7', '9.8.7'],
    ['9.8.7 \u001b[1m', 'unknown'],
    ['', 'unknown'], // before 0.2.0
  ])('of a runner that says that it is %j the log says %s', async (release, shown) => {
    const older = session([hello('n1', LINK_PROTOCOL, release)]);
    const dialled = () => said.find(({ message }) => message === 'a runner dialled in');
    await until(async () => dialled());
    expect(dialled()?.fields).toEqual({ node: 'n1', release: shown });
    runner('n1'); // its session ends the other
    await older;
  });

  test('an older session of a node says nothing any more', async () => {
    const older = session([hello('n1'), whole(reportOf('n1'))]);
    await until(async () => heardOf('n1')?.connected);
    runner('n1');
    const began = performance.now();
    expect(refusalIn(await older)).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(STAYS_MS / 2); // it says nothing more by itself
    await until(async () => heardOf('n1')?.connected);
  });
});
