// A node whose disk fills up: said aloud, blamed on nobody's version, healed when there is room. A
// program that talks without end fills no disk; images that nobody needs go when room is short.
// The node's root is a small tmpfs, one cluster of one node.

import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReadyState } from '../../cli/state.ts';
import { appImage, appJob } from '../support/app.ts';
import type { Cluster } from '../support/cluster.ts';
import { liveCopies, pidsOf, startCluster, urlsOf } from '../support/cluster.ts';
import { get } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const LOUD = 'shop/loud';
const MIB = 1024 * 1024;
/** More than the reserve of 1 GiB by what images, logs and containerd need. */
const DISK_MIB = 1600;
const RESERVE_MIB = 1024;

const web = (version: string, image = '%APP%', healthyDeadline = '40s') =>
  appJob({ image, version, count: 2, healthyDeadline });
/** About 2 MB a second. */
const LOUD_COMMAND =
  'httpd -p 8080 -h /tmp/www; while true; do head -c 200000 /dev/zero; sleep 0.1; done';
const loud = appJob({
  image: '%APP%',
  version: 'loud',
  count: 1,
  more: [
    'entrypoint: [/bin/sh, -c]',
    `command: ["mkdir -p /tmp/www; echo ok > /tmp/www/healthz; ${LOUD_COMMAND}"]`,
  ],
});

let cluster: Cluster;
let began = 0;
beforeAll(async () => {
  cluster = await startCluster({
    nodes: 1,
    files: { [FILE]: web('1'), 'jobs/shop/loud.yaml': loud },
    prepare: ({ root }) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', root]);
    },
  });
  await cluster.settled(WEB);
  await cluster.settled(LOUD);
  began = Date.now();
});
afterAll(() => cluster?.close());

const filler = () => join(cluster.node('n1').root, 'filler');

const freeMiB = (): number => {
  const { bavail, bsize } = statfsSync(cluster.node('n1').root);
  return (bavail * bsize) / MIB;
};

/** Leaves so much; dd ends early where there is nothing left. */
const fillTo = (mib: number): void => {
  const count = Math.max(0, Math.ceil(freeMiB() - mib));
  const args = [
    'if=/dev/zero',
    `of=${filler()}`,
    'bs=1M',
    `count=${count}`,
    'conv=notrunc',
    'oflag=append',
  ];
  try {
    execFileSync('dd', args, { stdio: 'ignore' });
  } catch {
    // "No space left on device" is what was asked for.
  }
};

const diskCondition = ({ view }: ReadyState): boolean =>
  view.live.nodes.some(({ conditions }) => conditions.some(({ kind }) => kind === 'disk'));

test('images that nobody needs go when room is short, and those that are needed stay', async () => {
  const image = await appImage('another');
  await cluster.registry.push('other', image);
  const other = `${cluster.proxy.host}/other@${image.digest}`;
  cluster.commit({ [FILE]: web('o', other) }, 'another image');
  await cluster.settled(WEB);
  cluster.git('revert', '--no-edit', 'HEAD');
  await cluster.settled(WEB);
  const images = () => cluster.ctr('n1', 'images', 'list', '-q');
  expect(await images()).toContain(image.digest);
  fillTo(RESERVE_MIB - 50);
  await cluster.until('the shortage is shown', (state) => diskCondition(state));
  expect(await cluster.purser('status')).toMatch(/disk/);
  await expect.poll(images).not.toContain(image.digest);
  expect(await images()).toContain('/app@');
});

test('nothing new is pulled while room is short; it goes on when there is room, and nothing is reverted', async () => {
  const before = pidsOf(await cluster.settled(WEB), WEB);
  const image = await appImage('a third');
  await cluster.registry.push('third', image);
  const text = web('t', `${cluster.proxy.host}/third@${image.digest}`, '10s');
  const commit = cluster.commit({ [FILE]: text }, 'a third image');
  await cluster.until('the copy waits for room', ({ view }) => {
    const copies = view.live.nodes.flatMap(({ allocations }) => allocations);
    const failures = copies.map(({ failure }) => failure).filter((one) => one !== null);
    const found = failures.some(({ kind, blame }) => kind === 'disk' && blame === 'platform');
    return found || JSON.stringify(failures);
  });
  const kept = Object.values(pidsOf(await cluster.state(), WEB));
  expect(kept.filter((pid) => Object.values(before).includes(pid)).length).toBeGreaterThanOrEqual(
    1,
  );
  await new Promise((done) => setTimeout(done, 11_000)); // longer than healthy_deadline
  expect(cluster.git('rev-parse', 'HEAD')).toBe(commit);
  rmSync(filler());
  const state = await cluster.settled(WEB, 60_000);
  expect(cluster.git('rev-parse', 'HEAD')).toBe(commit);
  expect(await Promise.all(urlsOf(state, WEB).map(get))).toEqual(['t', 't']);
});

test('a disk without a byte left disturbs nothing that runs, and what was asked meanwhile is done after', async () => {
  const before = pidsOf(await cluster.settled(WEB), WEB);
  fillTo(0);
  const text = cluster.git('show', `HEAD:${FILE}`).replace(/^count: \d+/m, 'count: 3');
  cluster.commit({ [FILE]: `${text}\n` }, 'one more, with a full disk');
  await new Promise((done) => setTimeout(done, 6000)); // a report, and attempts
  const { runner } = cluster.node('n1');
  expect(runner.isRunning()).toBe(true);
  expect(pidsOf(await cluster.state(), WEB)).toMatchObject(before);
  await runner.end('SIGKILL');
  runner.start(); // it must come up with the disk full, or at least when there is room
  await new Promise((done) => setTimeout(done, 2000));
  rmSync(filler());
  // One that found no room may need a while to give up.
  const keptUp = setInterval(() => runner.isRunning() || runner.start(), 200);
  const state = await cluster.settled(WEB, 60_000).finally(() => clearInterval(keptUp));
  expect(pidsOf(state, WEB)).toMatchObject(before);
  expect(liveCopies(state, WEB)).toHaveLength(3);
});

/** A rotation renames and removes files meanwhile. */
const MAY_BE_GONE = { throwIfNoEntry: false } as const;

const sizesOf = (folder: string): readonly number[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name), MAY_BE_GONE)?.size ?? 0);

test('logs of a program that talks without end stay small', async () => {
  const spoken = 60_000 - (Date.now() - began);
  if (spoken > 0) await new Promise((done) => setTimeout(done, spoken)); // 120 MB were said
  const state = await cluster.settled(LOUD);
  const [copy] = liveCopies(state, LOUD);
  const folder = join(cluster.node('n1').root, 'logs', copy?.allocation ?? '');
  const sizes = () => sizesOf(folder);
  const sum = sizes().reduce((total, size) => total + size, 0);
  expect(sizes().length).toBeGreaterThanOrEqual(2); // it was rotated
  expect(sum).toBeLessThan(200 * MIB); // three files, each of what comes between two looks
  expect(copy?.tasks[0]?.restarts).toBe(0);
});
