// From the release before this one to this one and back, on real containers: one program after the
// other is ended as systemd ends it and started as the other release. No container notices, no plan has
// a step, and whichever two releases stand opposite each other, a commit rolls.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appJob } from '../support/app.ts';
import type { Cluster } from '../support/cluster.ts';
import { pidsOf, startCluster, urlsOf } from '../support/cluster.ts';
import { previousRelease, type Release, thisRelease } from '../support/release.ts';
import { get } from '../support/traffic.ts';

const WEB = 'shop/web';
const STORE = 'shop/store';
const FILE = 'jobs/shop/web.yaml';
const web = (version: string) => appJob({ image: '%APP%', version, count: 2, maxParallel: 2 });
const store = appJob({
  image: '%APP%',
  version: '1',
  count: 1,
  more: ['volumes: ["data:/data"]'],
});

let before: Release;
let after: Release;
/** Which release each program is of when it is started next. */
const use: { runner?: Release; reconciler?: Release } = {};
let cluster: Cluster;
beforeAll(async () => {
  before = previousRelease();
  after = thisRelease('--only-programs');
  Object.assign(use, { runner: before, reconciler: before });
  cluster = await startCluster({
    nodes: 2,
    link: 'tls',
    files: { [FILE]: web('1'), 'jobs/shop/store.yaml': store },
    programs: () => ({
      runner: [(use.runner ?? before).runner],
      reconciler: [(use.reconciler ?? before).reconciler],
    }),
  });
  await cluster.settled(WEB);
  await cluster.settled(STORE);
});
afterAll(async () => {
  await cluster?.close();
  before?.remove();
  after?.remove();
});

const pids = async () => ({
  ...pidsOf(await cluster.settled(WEB), WEB),
  ...pidsOf(await cluster.settled(STORE), STORE),
});

/** Both nodes are heard, by their certificates. */
const heard = () =>
  cluster.until('both nodes report', ({ view }) => {
    const there = view.live.nodes.filter(({ connected }) => connected).map(({ name }) => name);
    return there.length === 2 || there.join();
  });

const replace = async (what: 'runner' | 'reconciler', release: Release): Promise<void> => {
  use[what] = release;
  const programs =
    what === 'reconciler' ? [cluster.reconciler] : cluster.nodes.map(({ runner }) => runner);
  for (const one of programs) {
    await one.end('SIGTERM');
    one.start();
    await heard();
  }
};

const roll = async (version: string): Promise<void> => {
  cluster.commit({ [FILE]: web(version) }, `version ${version}`);
  const state = await cluster.settled(WEB);
  expect(await Promise.all(urlsOf(state, WEB).map(get))).toEqual([version, version]);
};

/** What the command line shows, and its exit code: nothing would change. */
const nothingToDo = async (): Promise<void> => {
  const plan = JSON.parse(await cluster.purser('plan', '--json')) as { waves: unknown[] };
  expect(plan.waves).toEqual([]);
};

/** Each is a stream of its own beside the link. */
const streams = async (): Promise<void> => {
  expect(await cluster.purser('logs', `${WEB}[0]`)).toContain('serving');
  const inside = ['--', '/bin/echo', 'inside'];
  const said = await cluster.purser('exec', '--root', cluster.root, `${WEB}[1]`, ...inside);
  expect(said).toContain('inside');
};

const damaged = (): readonly string[] =>
  cluster.nodes
    .map(({ name }) => readFileSync(join(cluster.root, `logs/${name}.log`), 'utf8'))
    .join('')
    .split('\n')
    .filter((line) => /damaged|refused|speaks protocol/.test(line));

// Both ways past each other: a new runner with an old reconciler, then an old one with a new one.
test.each([
  ['to this release, runners first', 'after'],
  ['and back, runners first', 'before'],
] as const)('%s: no container notices', async (name, to) => {
  const release = to === 'after' ? after : before;
  expect(after.version).not.toBe(before.version);
  for (const what of ['runner', 'reconciler'] as const) {
    const running = await pids();
    expect(Object.values(running).every((pid) => pid !== null)).toBe(true);
    await replace(what, release);
    expect(await pids()).toEqual(running);
    await nothingToDo();
    await streams();
    await roll(`${name}, with another ${what}`);
  }
  expect(damaged()).toEqual([]);
});
