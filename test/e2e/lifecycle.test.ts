// Tasks in order on real containers (rules 15): each writes into a volume when it begins and ends,
// and what stands there is what happened.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../support/cluster.ts';
import { liveCopies, startCluster } from '../support/cluster.ts';

const APP = 'shop/app';
const FILE = 'jobs/shop/app.yaml';
const LOG = 'n1/volumes/shop.app.app.0.data/log';

/** Says when it begins and ends; one that lives does so when it is asked to. */
const runs = (name: string, seconds: number, code = 0) =>
  `echo ${name} begins >> /data/log; sleep ${seconds}; echo ${name} ends >> /data/log; exit ${code}`;
const lives = (name: string) =>
  `trap 'echo ${name} ends >> /data/log; exit 0' TERM; echo ${name} begins >> /data/log; ` +
  'echo ok > /tmp/ok; while :; do sleep 1 & wait $!; done';

type Scripts = Readonly<Record<'init' | 'seed' | 'proxy' | 'web' | 'warm' | 'clean', string>>;

const GOOD: Scripts = {
  init: runs('init', 1),
  seed: runs('seed', 0),
  proxy: `sleep 1; ${lives('proxy')}`,
  web: lives('web'),
  // It is started when web is, which may say so a moment later.
  warm: `sleep 1; ${runs('warm', 0)}`,
  clean: runs('clean', 1),
};

const job = (changes: Partial<Scripts> = {}): string => {
  const scripts = { ...GOOD, ...changes };
  const task = (name: keyof Scripts, ...more: readonly string[]) => [
    `  ${name}:`,
    '    image: %APP%',
    '    entrypoint: [/bin/sh, -c]',
    `    command: [${JSON.stringify(scripts[name])}]`,
    '    volumes: ["data:/data"]',
    '    resources: { cpu: 50m, memory: 16MiB }',
    '    kill_timeout: 8s',
    ...more.map((line) => `    ${line}`),
  ];
  return [
    'update:',
    '  { min_healthy_time: 300ms, healthy_deadline: 40s, progress_deadline: 90s, max_failures: 1 }',
    'restart: { attempts: 0, interval: 5m, delay: 500ms }',
    'reschedule: { delay: 1s, delay_function: constant }',
    'tasks:',
    ...task('seed', 'lifecycle: prestart', 'depends_on: [init]'),
    ...task('init', 'lifecycle: prestart'),
    ...task(
      'proxy',
      'lifecycle: sidecar',
      'depends_on: [seed]',
      'checks: { ready: { exec: [cat, /tmp/ok], interval: 300ms } }',
    ),
    ...task('web'),
    ...task('warm', 'lifecycle: poststart'),
    ...task('clean', 'lifecycle: poststop'),
    '',
  ].join('\n');
};

/** From the first start to health. */
const UP = [
  'init begins',
  'init ends',
  'seed begins',
  'seed ends',
  'proxy begins',
  'web begins',
  'warm begins',
  'warm ends',
];
const DOWN = ['web ends', 'proxy ends', 'clean begins', 'clean ends'];

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, files: { [FILE]: job() } });
});
afterAll(() => cluster?.close());
const log = (): readonly string[] => {
  try {
    return readFileSync(join(cluster.root, LOG), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};
const forget = () => writeFileSync(join(cluster.root, LOG), '');
const logged = (line: string) => expect.poll(log, { interval: 50 }).toContain(line);

test('prestart, sidecar, main and poststart tasks come up in their order', async () => {
  const { view } = await cluster.settled(APP);
  expect(log()).toEqual(UP);
  const [copy] = view.live.nodes.flatMap(({ allocations }) => allocations);
  expect(copy?.tasks.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'clean pending',
    'init completed',
    'proxy running',
    'seed completed',
    'warm completed',
    'web running',
  ]);
  expect(copy?.body.spec.ask).toEqual({ cpuMilli: 150, memoryBytes: 48 * 1024 * 1024 });
});

test('a rollout ends the old copy in order, poststop last, before the new one begins', async () => {
  forget();
  cluster.commit({ [FILE]: job({ init: `echo two; ${GOOD.init}` }) }, 'another version');
  await cluster.settled(APP);
  expect(log()).toEqual([...DOWN, ...UP]);
});

test('what a main task leaves behind when it crashes is cleaned up, and it comes up anew', async () => {
  forget();
  const [copy] = liveCopies(await cluster.settled(APP), APP);
  await cluster.ctr('n1', 'tasks', 'kill', '-s', 'SIGKILL', `${copy?.allocation}.web`);
  await logged('warm ends');
  expect(log()).toEqual([...DOWN.slice(1), ...UP]);
  await cluster.settled(APP);
});

test('a runner that is killed goes on where the copy is', async () => {
  const { runner } = cluster.node('n1');
  const begin = job({ init: runs('init', 3), clean: runs('clean', 2) });
  forget();
  cluster.commit({ [FILE]: begin }, 'slower');
  await logged('init begins');
  await runner.end('SIGKILL');
  await logged('init ends');
  await sleep(500);
  expect(log().at(-1)).toBe('init ends');
  runner.start();
  await cluster.settled(APP);
  expect(log()).toEqual([...DOWN, ...UP]);
  forget();
  await cluster.purser('stop', 'app');
  await logged('clean begins');
  await runner.end('SIGKILL');
  await logged('clean ends');
  runner.start();
  await cluster.until('nothing is left', ({ view }) =>
    view.live.nodes.every(({ connected, allocations }) => connected && allocations.length === 0),
  );
  expect(log()).toEqual(DOWN);
});

test('a poststop task that fails or hangs is an event, and the copy is stopped all the same', async () => {
  for (const [clean, words] of [
    [runs('clean', 0, 5), 'poststop task clean failed: exit code 5'],
    [runs('clean', 60), 'poststop task clean failed: did not end within 8s'],
  ] as const) {
    cluster.commit({ [FILE]: job({ clean }) }, 'a poststop task that fails');
    await cluster.settled(APP);
    await cluster.purser('stop', 'app');
    await cluster.until('nothing is left', ({ view }) =>
      view.live.nodes.every(({ allocations }) => allocations.length === 0),
    );
    expect(await cluster.purser('events', 'app')).toContain(words);
  }
});

test('a prestart task that fails fails the version by its name, and it goes back', async () => {
  cluster.commit({ [FILE]: job() }, 'good again');
  await cluster.settled(APP);
  const bad = cluster.commit({ [FILE]: job({ seed: runs('seed', 0, 3) }) }, 'bad');
  await cluster.until('a revert commit', () => cluster.git('rev-parse', 'HEAD~1') === bad);
  const message = cluster.git('log', '-1', '--format=%B');
  expect(message).toMatch(/on n1, task seed: exit code 3/);
  expect(message).toMatch(/^Purser-Reason: .*seed: exit code 3$/m);
  await cluster.settled(APP);
  expect(await cluster.purser('explain', 'app')).toContain('seed: exit code 3');
});
