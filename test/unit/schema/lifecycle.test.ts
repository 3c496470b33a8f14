// The order of tasks: how long a stop takes at most, and what people are told of who waits.

import { expect, test } from 'vitest';
import { failureWords, orderWords } from '../../../schema/copy-words.ts';
import { orderOf, stopDelayMs, stopMs, type TimedTask } from '../../../schema/lifecycle.ts';
import type { TaskReport } from '../../../schema/orders.ts';
import { testBody, testGroup, testTask } from '../../support/runner-specs.ts';

const timed = (
  name: string,
  seconds: number,
  lifecycle?: TimedTask['lifecycle'],
  ...dependsOn: readonly string[]
): TimedTask => ({
  name,
  killTimeoutMs: seconds * 1000,
  ...(lifecycle === undefined ? {} : { lifecycle }),
  ...(dependsOn.length === 0 ? {} : { dependsOn }),
});

test.each<[string, readonly TimedTask[], number]>([
  ['tasks without an order, side by side', [timed('a', 10), timed('b', 4)], 10],
  ['main tasks that depend on each other', [timed('a', 10, undefined, 'b'), timed('b', 4)], 14],
  [
    'a main task, its sidecar, a poststop task',
    [timed('a', 10), timed('b', 5, 'sidecar'), timed('c', 20, 'poststop')],
    35,
  ],
  [
    'sidecars side by side, and one after the other',
    [
      timed('a', 1),
      timed('b', 5, 'sidecar'),
      timed('c', 6, 'sidecar'),
      timed('d', 2, 'sidecar', 'b'),
    ],
    8,
  ],
  ['what runs to its end beside the rest', [timed('a', 3), timed('b', 7, 'prestart')], 7],
  [
    'poststop tasks side by side, and one after the other',
    [
      timed('a', 1),
      timed('b', 2, 'poststop'),
      timed('c', 3, 'poststop', 'b'),
      timed('d', 4, 'poststop'),
    ],
    6,
  ],
  [
    'a circle, which nobody may write',
    [timed('a', 1, undefined, 'b'), timed('b', 1, undefined, 'a')],
    2,
  ],
])('a stop takes at most: %s', (_, tasks, seconds) => {
  expect(stopMs(tasks)).toBe(seconds * 1000);
});

test('a sidecar gets its signal when what needs it has ended, at the latest', () => {
  const tasks = [timed('a', 10), timed('b', 5, 'sidecar', 'c'), timed('c', 5, 'sidecar')];
  expect(tasks.map(({ name }) => stopDelayMs(tasks, name))).toEqual([0, 10_000, 15_000]);
});

test('where nothing is written there is no order', () => {
  expect(orderOf([timed('a', 1), timed('b', 1)])).toBeNull();
});

const report = (name: string, state: TaskReport['state'], health: TaskReport['health']) => ({
  name,
  state,
  health,
  restarts: 0,
  lastCheck: null,
  exit: null,
  pid: null,
});

test('people are told who is on its way and who waits, and which task failed', () => {
  const tasks = [
    testTask({ name: 'clean', lifecycle: 'poststop' }),
    testTask({ name: 'init', lifecycle: 'prestart' }),
    testTask({ name: 'proxy', lifecycle: 'sidecar', dependsOn: ['init'] }),
    testTask({ name: 'web' }),
  ];
  const body = testBody('a-0-1', { spec: testGroup({ tasks }) });
  const words = (...reports: readonly TaskReport[]) => orderWords({ body, tasks: reports });
  const clean = report('clean', 'pending', 'unproven');
  const web = report('web', 'pending', 'unproven');
  expect(
    words(
      clean,
      report('init', 'running', 'unproven'),
      report('proxy', 'pending', 'unproven'),
      web,
    ),
  ).toEqual([
    'init: prestart task, has not ended yet',
    'proxy: waits for init',
    'web: waits for init, proxy',
  ]);
  const init = report('init', 'completed', 'healthy');
  expect(words(clean, init, report('proxy', 'running', 'unhealthy'), web)).toEqual([
    'web: waits for proxy',
  ]);
  const proxy = report('proxy', 'running', 'healthy');
  expect(words(clean, init, proxy, report('web', 'running', 'healthy'))).toEqual([]);
  const failure = { blame: 'version', kind: 'exit', task: 'init', message: 'm', ageMs: 0 } as const;
  expect(failureWords({ body, failure })).toBe('init: m');
  expect(failureWords({ body: testBody('a-0-1'), failure })).toBe('m');
  expect(failureWords({ body, failure: null })).toBeNull();
});
