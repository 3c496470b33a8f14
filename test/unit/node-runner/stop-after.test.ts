// What the watchdog of stop_after is told (rules 9.3): tasks with an order end one after the other
// also when their runner is dead (rules 15.4).

import { expect, it } from 'vitest';
import type { ContainerFacts, Inventory } from '../../../node-runner/decide/inventory.ts';
import { newMark } from '../../../node-runner/decide/marks.ts';
import type { WatchdogDeadline } from '../../../node-runner/edge/watchdog.ts';
import { startsGuarded } from '../../../node-runner/stop-after.ts';
import { createWorld } from '../../support/runner-world.ts';
import { testBody, testGroup, testNode, testTask } from '../../support/runner-specs.ts';

const STOP_AFTER_MS = 10_000;
const CONTACT_AT = 5_000;
/** The watchdog is for when there is no runner: it waits so much longer. */
const MARGIN_MS = 1_000;

const TASKS = [
  testTask({ name: 'log', lifecycle: 'sidecar', killTimeoutMs: 1_000 }),
  testTask({ name: 'proxy', lifecycle: 'sidecar', dependsOn: ['log'], killTimeoutMs: 2_000 }),
  testTask({ name: 'web', killTimeoutMs: 3_000 }),
  testTask({ name: 'clean', lifecycle: 'poststop', killTimeoutMs: 4_000 }),
];
/** The stop in full: web, proxy, log, clean. */
const STOP_MS = 10_000;

const inventory = (): Inventory => {
  const spec = testGroup({ tasks: TASKS, stopAfterMs: STOP_AFTER_MS, shutdownDelayMs: 500 });
  const containers = new Map(
    TASKS.map(({ name }, index): [string, ContainerFacts] => {
      const id = `a-0-1.${name}`;
      const facts = { id, labels: {}, image: 'i', task: 'running', pid: index + 1, exit: null };
      return [id, { ...facts, task: 'running', outOfMemory: false }];
    }),
  );
  return {
    node: testNode,
    containers,
    images: new Map(),
    users: new Map(),
    networks: new Map(),
    prepared: new Map(),
    marks: new Map([['a-0-1', newMark(testBody('a-0-1', { spec }), 0)]]),
    inFlight: new Set(),
    retries: new Map(),
    room: {} as Inventory['room'],
    portsTaken: new Set(),
    portHolders: new Map(),
    disk: null,
    contactAt: CONTACT_AT,
    unheardMs: 0,
    imagesUsed: new Map(),
    volumes: null,
  };
};

/** Starts a task; `setTakesMs`: how long the runner stood still while it told the watchdog. */
const start = async (setTakesMs: number, task = 'web') => {
  const told: (readonly WatchdogDeadline[])[] = [];
  const started: string[] = [];
  let now = CONTACT_AT;
  const set = async (deadlines: readonly WatchdogDeadline[]): Promise<void> => {
    told.push(deadlines);
    now += setTakesMs;
  };
  const { runtime } = createWorld().ports;
  const guarded = startsGuarded(
    { ...runtime, start: async (id) => void started.push(id) },
    {
      watchdog: { set },
      inventory,
      folderOf: (cgroup) => cgroup,
      clock: { now: () => now, sleepUntil: async () => undefined },
    },
  );
  const failure = await guarded.start(`a-0-1.${task}`).catch(String);
  return { told, started, failure };
};

it('tells the watchdog when each task ends, main tasks before sidecars', async () => {
  const { told, started } = await start(0);
  expect(started).toEqual(['a-0-1.web']);
  const first = CONTACT_AT + STOP_AFTER_MS + 500 + MARGIN_MS;
  expect(told[0]?.map(({ pid, termAt, killAt }) => [pid, termAt - first, killAt - first])).toEqual([
    [1, 5_000, 6_000],
    [2, 3_000, 5_000],
    [3, 0, 3_000],
    [4, STOP_MS, STOP_MS],
  ]);
});

it('starts nothing that is to end by now: the runner was suspended since it decided so', async () => {
  expect((await start(STOP_AFTER_MS - 1)).started).toEqual(['a-0-1.web']);
  const late = await start(STOP_AFTER_MS);
  expect(late.started).toEqual([]);
  expect(late.failure).toContain('no reconciler has answered');
});

it('starts a poststop task as long as the stop may take: it is the end of it', async () => {
  const most = STOP_AFTER_MS + 500 + STOP_MS;
  expect((await start(most - 1, 'clean')).started).toEqual(['a-0-1.clean']);
  expect((await start(most, 'clean')).started).toEqual([]);
});
