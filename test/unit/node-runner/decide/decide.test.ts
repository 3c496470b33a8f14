// decide as a function of three values: tables of orders, inventories and what follows.
import { describe, expect, it } from 'vitest';
import { LANE_PLACES } from '../../../../node-runner/config.ts';
import type { Action } from '../../../../node-runner/decide/action.ts';
import { decide } from '../../../../node-runner/decide/decide.ts';
import type {
  AllocationMark,
  ContainerFacts,
  Inventory,
} from '../../../../node-runner/decide/inventory.ts';
import { loadMarks, newMark, saveMarks } from '../../../../node-runner/decide/marks.ts';
import { nodeReport } from '../../../../node-runner/decide/report.ts';
import type { ImageFacts } from '../../../../node-runner/ports.ts';
import { newState } from '../../../../node-runner/state.ts';
import { encodeLabels } from '../../../../schema/labels.ts';
import type { NodeOrders } from '../../../../schema/orders.ts';
import {
  GIB,
  runItem,
  stopItem,
  testBody,
  testGroup,
  testNode,
  testOrders,
  testTask,
} from '../../../support/runner-specs.ts';

const image: ImageFacts = {
  name: 'r/web@sha256:aa',
  digest: 'sha256:aa',
  chainId: 'c',
  sizeBytes: 1,
  entrypoint: ['/x'],
  command: [],
  environment: [],
  workingDir: '',
  user: '',
  stopSignal: null,
};

const inventory = (fields: Partial<Inventory> = {}): Inventory => ({
  node: testNode,
  containers: new Map(),
  images: new Map(),
  users: new Map(),
  networks: new Map(),
  prepared: new Map(),
  marks: new Map(),
  inFlight: new Set(),
  retries: new Map(),
  room: LANE_PLACES,
  portsTaken: new Set(),
  portHolders: new Map(),
  disk: { freeBytes: 100 * GIB, totalBytes: 200 * GIB },
  contactAt: 0,
  unheardMs: 0,
  imagesUsed: new Map(),
  volumes: new Set(),
  ...fields,
});

const container = (
  id: string,
  task: ContainerFacts['task'],
  fields: Partial<ContainerFacts> = {},
): ContainerFacts => {
  const [allocation = '', name = ''] = id.split('.');
  const body = testBody(allocation);
  const labels = encodeLabels({
    ...body,
    task: name,
    groupHash: body.spec.hash,
    everHealthy: false,
    restarts: 0,
  });
  const exit = task === 'stopped' ? { code: 1, signal: null, known: true, at: null } : null;
  return { id, labels, image: image.name, task, pid: 7, exit, outOfMemory: false, ...fields };
};

const kinds = (actions: readonly Action[]): readonly string[] =>
  actions.map((action) => action.kind);
const works = (actions: readonly Action[]): readonly string[] =>
  kinds(actions).filter((kind) => !['remember', 'forget', 'wait'].includes(kind));
const remembered = (actions: readonly Action[]): AllocationMark => {
  const [note] = actions.flatMap((action) => (action.kind === 'remember' ? [action.mark] : []));
  if (note === undefined) throw new Error('nothing was remembered');
  return note;
};
const maps = <T extends { readonly id: string }>(...values: readonly T[]) =>
  new Map(values.map((value) => [value.id, value]));

const orders: NodeOrders = testOrders(1, [runItem(testBody('a-0-1'))]);
const mark = newMark(testBody('a-0-1'), 0);
const admitted: AllocationMark = { ...mark, ports: [] };
const marks = new Map([['a-0-1', admitted]]);
const network = { allocation: 'a-0-1', path: '/n', address: '10.0.0.2' };
const based = {
  marks,
  images: new Map([[image.name, image]]),
  networks: new Map([['a-0-1', network]]),
  prepared: new Map([['a-0-1', { files: {}, volumes: {}, logs: {} }]]),
};

describe('starting', () => {
  it.each<[string, Partial<Inventory>, readonly string[]]>([
    ['from nothing', {}, ['pull', 'set-up-network']],
    ['with a network', { marks, networks: based.networks }, ['prepare']],
    ['with files', { ...based, images: new Map() }, ['pull']],
    ['with all', based, ['create']],
    ['created', { ...based, containers: maps(container('a-0-1.server', 'created')) }, ['start']],
    ['under way', { ...based, inFlight: new Set(['container a-0-1.server']) }, []],
    ['running', { ...based, containers: maps(container('a-0-1.server', 'running')) }, []],
    [
      'a half-made container',
      { ...based, containers: maps(container('a-0-1.server', 'none')) },
      ['remove'],
    ],
    ['no place in the lane', { ...based, room: { ...LANE_PLACES, create: 0 } }, []],
    [
      'a retry not due',
      {
        ...based,
        retries: new Map([
          [
            'create container a-0-1.server',
            {
              failures: 1,
              notBefore: 99,
              failure: { blame: 'platform', message: 'no answer', since: 0 },
            },
          ],
        ]),
      },
      [],
    ],
  ])('%s', (_name, fields, expected) => {
    expect(works(decide(orders, inventory(fields), 10))).toEqual(expected);
  });

  it('gives everything that create needs', () => {
    const [create] = decide(orders, inventory(based), 10).filter(({ kind }) => kind === 'create');
    expect(create).toMatchObject({
      ask: {
        id: 'a-0-1.server',
        labels: { 'purser.allocation': 'a-0-1', 'purser.everHealthy': 'no' },
        spec: { hostname: 'a-0-1' },
        logPath: null,
      },
    });
  });

  it('does not begin what has no room, and says what is short', () => {
    const node = { ...testNode, capacity: { cpuMilli: 50, memoryBytes: GIB } };
    const actions = decide(orders, inventory({ node }), 10);
    expect(works(actions)).toEqual(['pull']);
    expect(remembered(actions).failure?.message).toBe('no room on this node yet: 50m of cpu short');
  });

  it('pulls while it waits for what must be gone first', () => {
    const after = testOrders(1, [runItem(testBody('a-0-1'), ['z-0-1'])]);
    const fields = { containers: maps(container('z-0-1.server', 'running')) };
    expect(works(decide(after, inventory(fields), 10))).toEqual(['pull', 'remove']);
    expect(works(decide(after, inventory(), 10))).toContain('set-up-network');
  });

  it('starts tasks in their order', () => {
    const tasks = [testTask(), testTask({ name: 'side' })];
    const body = testBody('a-0-1', { spec: testGroup({ tasks }) });
    const two = testOrders(1, [runItem(body)]);
    const fresh = new Map([['a-0-1', { ...newMark(body, 0), ports: [] }]]);
    const first = decide(two, inventory({ ...based, marks: fresh }), 10);
    expect(works(first)).toEqual(['create']);
    const up = maps(container('a-0-1.server', 'running'));
    const second = decide(two, inventory({ ...based, marks: fresh, containers: up }), 10);
    expect(second.find(({ kind }) => kind === 'create')).toMatchObject({
      place: { container: 'a-0-1.side' },
    });
  });
});

describe('without orders', () => {
  it('touches nothing before the first', () => {
    const containers = maps(container('a-0-1.server', 'running'));
    expect(decide(null, inventory({ containers }), 10)).toEqual([]);
  });

  it('removes what is ours and not ordered, and leaves the rest', () => {
    const foreign = container('b-0-1.server', 'running', { labels: { 'other.label': 'x' } });
    const labels = { ...container('c-0-1.server', 'running').labels, 'purser.node': 'n2' };
    const neighbour = container('c-0-1.server', 'running', { labels });
    const containers = maps(container('a-0-1.server', 'running'), foreign, neighbour);
    const actions = decide(testOrders(1, []), inventory({ containers }), 10);
    expect(actions).toEqual([{ kind: 'remove', container: 'a-0-1.server' }]);
  });
});

describe('stopping', () => {
  const open: AllocationMark = {
    ...admitted,
    tasks: admitted.tasks.map((task) => ({ ...task, run: 'open', runSince: 0, everStarted: true })),
  };
  const running = maps(container('a-0-1.server', 'running'));
  const step = (start: AllocationMark, now: number, containers = running) =>
    decide(
      testOrders(2, [stopItem('a-0-1', 500)]),
      inventory({ ...based, marks: new Map([['a-0-1', start]]), containers }),
      now,
    );

  it('waits for shutdown_delay, signals, waits for the timeout of the order, forces', () => {
    const body = testBody('a-0-1', { spec: testGroup({ shutdownDelayMs: 100 }) });
    const first = step({ ...open, body }, 1000);
    expect(works(first)).toEqual([]);
    expect(first.at(-1)).toEqual({ kind: 'wait', until: 1100 });
    const stopping = remembered(first);
    expect(step(stopping, 1100)[0]).toMatchObject({ kind: 'kill', signal: 15, all: false });
    const [task] = stopping.tasks;
    if (task?.kill === undefined || task.kill === null) throw new Error('no kill');
    const signalled = {
      ...stopping,
      tasks: [{ ...task, kill: { ...task.kill, signalledAt: 1100 } }],
    };
    expect(step(signalled, 1599)).toEqual([{ kind: 'wait', until: 1600 }]);
    expect(step(signalled, 1600)[0]).toMatchObject({ kind: 'kill', signal: 9, all: true });
  });

  it('removes, then cleans up, then forgets', () => {
    const ended = remembered(step(open, 1000, maps(container('a-0-1.server', 'stopped'))));
    expect(works(step(ended, 1000, maps(container('a-0-1.server', 'stopped'))))).toEqual([
      'remove',
    ]);
    expect(works(step(ended, 1000, new Map()))).toEqual(['tear-down-network', 'discard-files']);
    const { stop } = ended;
    if (stop === null) throw new Error('it should be stopping');
    const clean = { ...ended, stop: { ...stop, networkGone: true, filesGone: true } };
    expect(kinds(step(clean, 1000, new Map()))).toContain('forget');
  });
});

describe('the end of a task', () => {
  const open: AllocationMark = {
    ...admitted,
    tasks: admitted.tasks.map((task) => ({ ...task, run: 'open', runSince: 0, everStarted: true })),
  };
  const opened = new Map([['a-0-1', open]]);

  it('that containerd lost is unknown, restarted, and not counted', () => {
    const containers = maps(container('a-0-1.server', 'none'));
    const after = remembered(
      decide(orders, inventory({ ...based, marks: opened, containers }), 1000),
    );
    expect(after.tasks[0]).toMatchObject({ restarts: 1, restartTimes: [], startAt: 16_000 });
    expect(after.tasks[0]?.exit?.status).toBe('unknown');
    const later = inventory({ ...based, marks: new Map([['a-0-1', after]]), containers });
    expect(works(decide(orders, later, 16_000))).toEqual(['restart']);
  });

  it('makes the copy dead in the end, ends its siblings, and frees its network', () => {
    const tasks = [testTask(), testTask({ name: 'side' })];
    const restart = { attempts: 0, intervalMs: 1000, delayMs: 1, mode: 'fail' } as const;
    const body = testBody('a-0-1', { spec: testGroup({ tasks, restart }) });
    const both = newMark(body, 0);
    const start: AllocationMark = {
      ...both,
      ports: [{ name: 'http', port: 80, host: 20_001 }],
      tasks: both.tasks.map((task) => ({ ...task, run: 'open', runSince: 0, everStarted: true })),
    };
    const two = testOrders(1, [runItem(body)]);
    const look = (from: AllocationMark, side: ContainerFacts['task'], networks = based.networks) =>
      decide(
        two,
        inventory({
          ...based,
          networks,
          marks: new Map([['a-0-1', from]]),
          containers: maps(container('a-0-1.server', 'stopped'), container('a-0-1.side', side)),
        }),
        1000,
      );
    const first = look(start, 'running');
    const dead = remembered(first);
    expect(dead.deadAt).toBe(1000);
    expect(first.find(({ kind }) => kind === 'kill')).toMatchObject({
      place: { container: 'a-0-1.side' },
    });
    const alone = remembered(look(dead, 'stopped'));
    expect(works(look(alone, 'stopped'))).toEqual(['tear-down-network']);
    expect(remembered(look(alone, 'stopped', new Map())).ports).toEqual([]);
  });
});

it('throws away the image that was not needed for longest when the disk is full', () => {
  const images = new Map(['old', 'new', image.name].map((name) => [name, { ...image, name }]));
  const fields = {
    images,
    imagesUsed: new Map([
      ['new', 50],
      ['old', 20],
    ]),
    disk: { freeBytes: 1, totalBytes: 100 },
  };
  const actions = decide(orders, inventory(fields), 60);
  expect(actions.find(({ kind }) => kind === 'remove-image')).toEqual({
    kind: 'remove-image',
    name: 'old',
  });
});

describe('marks', () => {
  const memory = { contactAt: 5, imagesUsed: new Map([['i', 3]]), marks };
  const clock = { bootId: 'b1', now: 100 };

  it('survive the disk, without bodies that stand in the orders', () => {
    const [item] = orders.items;
    if (item?.kind !== 'run') throw new Error('a run item was expected');
    const same = new Map([['a-0-1', { ...admitted, body: item.body }]]);
    const saved = saveMarks({ ...memory, marks: same }, orders, 'b1');
    expect(saved.marks[0]?.body).toBeNull();
    expect(loadMarks(structuredClone(saved), orders, clock)).toEqual({ ...memory, marks: same });
    expect(loadMarks(saved, null, clock).marks.size).toBe(0);
  });

  it('begin anew after a reboot: nothing runs, nothing lies in the future, contact is lost', () => {
    const [task] = admitted.tasks;
    if (task === undefined) throw new Error('a task was expected');
    const ran: AllocationMark = {
      ...admitted,
      acceptedAt: 9000,
      firstHealthyAt: 9500,
      healthySince: 9000,
      tasks: [{ ...task, run: 'open', runSince: 9000, everStarted: true, startAt: 9900 }],
    };
    const saved = saveMarks({ ...memory, marks: new Map([['a-0-1', ran]]) }, null, 'b0');
    const loaded = loadMarks(structuredClone(saved), null, clock);
    expect(loaded.contactAt).toBeNull();
    expect(loaded.marks.get('a-0-1')).toMatchObject({
      acceptedAt: 100,
      firstHealthyAt: 100,
      healthySince: null,
      tasks: [{ run: 'none', runSince: null, startAt: 0 }],
    });
  });

  it.each([null, 'text', {}, { format: 99, marks: [] }, { format: 1 }])(
    'that cannot be read are none: %j',
    (saved) => {
      expect(loadMarks(saved, orders, clock).marks.size).toBe(0);
    },
  );
});

it('reports ages, ports, foreigners and conditions', () => {
  const containers = maps(
    container('a-0-1.server', 'running'),
    container('x', 'running', { labels: {} }),
  );
  const [task] = admitted.tasks;
  if (task === undefined) throw new Error('a task was expected');
  const up: AllocationMark = {
    ...admitted,
    ports: [{ name: 'http', port: 80, host: 20_005 }],
    acceptedAt: 100,
    firstStartedAt: 200,
    healthySince: 300,
    firstHealthyAt: 400,
    failure: { blame: 'platform', kind: 'registry', task: null, message: '503', at: 150 },
    tasks: [{ ...task, run: 'open', runSince: 200, everStarted: true, restarts: 1 }],
  };
  const report = nodeReport(
    orders,
    inventory({
      marks: new Map([['a-0-1', up]]),
      containers,
      portsTaken: new Set([22, 20_005]),
      portHolders: new Map([
        [22, 'sshd, process 7'],
        [20_005, 'ours'],
      ]),
      disk: { freeBytes: GIB / 2, totalBytes: GIB },
    }),
    {
      measured: {
        usage: new Map(),
        logs: new Map(),
        checkLogs: new Map(),
        runtimeSilent: 'no socket',
        unregistered: 'Consul does not answer: ECONNREFUSED at 127.0.0.1:8500',
        watchedSince: 0,
        refused: null,
      },
      now: 1000,
    },
  );
  expect(report).toMatchObject({ acceptedGeneration: 1, accepted: ['a-0-1'], foreign: 1 });
  expect(report.portsTaken).toEqual([22]);
  expect(report.portHolders).toEqual([[22, 'sshd, process 7']]);
  expect(report.conditions).toEqual([
    { kind: 'runtime', message: 'containerd does not answer: no socket' },
    {
      kind: 'disk',
      message: 'disk almost full: 512MiB free, 1GiB needed before images are pulled',
    },
    { kind: 'consul', message: 'Consul does not answer: ECONNREFUSED at 127.0.0.1:8500' },
  ]);
  expect(report.allocations[0]).toMatchObject({
    phase: 'running',
    health: 'healthy',
    everHealthy: true,
    acceptedForMs: 900,
    firstStartedForMs: 800,
    runningForMs: 800,
    healthyForMs: 700,
    firstHealthyForMs: 600,
    deadForMs: null,
    failure: { message: '503', ageMs: 850 },
    tasks: [{ state: 'running', restarts: 1, pid: 7 }],
  });
});

it('counts no time against a copy that was never healthy in which nobody watched it (6.1)', () => {
  const body = testBody('a-0-1');
  const started = { ...newMark(body, 0), firstStartedAt: 100 };
  const ageOf = (mark: AllocationMark, watchedSince: number) => {
    const about = { measured: { ...newState(testNode), watchedSince }, now: 60_000 };
    const marks = new Map([['a-0-1', mark]]);
    const [found] = nodeReport(
      testOrders(1, [runItem(body)]),
      inventory({ marks }),
      about,
    ).allocations;
    return found?.firstStartedForMs;
  };
  expect(ageOf(started, 0)).toBe(59_900);
  expect(ageOf(started, 58_000)).toBe(2000);
  expect(ageOf({ ...started, firstHealthyAt: 500 }, 58_000)).toBe(59_900);
  expect(ageOf({ ...started, firstStartedAt: null }, 58_000)).toBeNull();
});

it('reports what is accepted and not begun as pending (10.1)', () => {
  const body = testBody('a-0-1');
  const report = nodeReport(testOrders(1, [runItem(body), stopItem('z-0-1')]), inventory(), {
    measured: {
      usage: new Map(),
      logs: new Map(),
      checkLogs: new Map(),
      runtimeSilent: null,
      unregistered: null,
      refused: null,
      watchedSince: 0,
    },
    now: 1000,
  });
  expect(report.allocations).toMatchObject([
    { allocation: body.allocation, phase: 'pending', health: 'unproven', acceptedForMs: 0 },
  ]);
});
