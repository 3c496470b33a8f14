// Many runners against one reconciler: the product's loops and links over TLS, a certificate each,
// around a containerd in memory, and the real reconciler as a process. In: joins all at once, a
// reconciler that is killed, a commit that touches every node. Out: all are heard, and each has its
// orders. Not here: how fast (bench/figures/many-runners.ts, with a thousand).

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admitNodes } from '../support/many-nodes.ts';
import { type ManyReconciler, startManyReconciler } from '../support/many-reconciler.ts';
import { type ManyRunners, startRunners } from '../support/many-runners.ts';
import { commitFiles, initRepository } from '../support/git-repo.ts';

const PURSER = path.resolve(import.meta.dirname, '../../purser');
const RUNNERS = 50;
const CLUSTER = 'many';
const JOBS = 5;
const names = Array.from({ length: RUNNERS }, (_, at) => `n${String(at).padStart(2, '0')}`);

/** One copy fills a node, so that each node has one. */
const jobFiles = (version: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Array.from({ length: JOBS }, (_, job) => [
      `jobs/team/job-${job}.yaml`,
      `image: many.local/app:1@sha256:${'a'.repeat(64)}\ncount: ${RUNNERS / JOBS}\n` +
        `environment: { VERSION: "${version}" }\n` +
        'update: { max_parallel: 100%, min_healthy_time: 0s }\n' +
        'resources: { cpu: 600m, memory: 64MiB }\n',
    ]),
  );

let root: string;
let work: string;
let reconciler: ManyReconciler | undefined;
let runners: ManyRunners | undefined;

beforeAll(async () => {
  execFileSync(PURSER, ['--version'], { stdio: 'ignore' }); // builds dist/ where it is old
  root = mkdtempSync(path.join(tmpdir(), 'pmr-'));
  await admitNodes({ root, cluster: CLUSTER, names });
  work = initRepository(path.join(root, 'work'));
  const nodeFiles = names.map((name) => [`nodes/${name}.yaml`, `node: ${name}\n`] as const);
  const cluster = `name: ${CLUSTER}\npolicies: { registries: [many.local] }\n`;
  const files = { 'cluster.yaml': cluster, ...Object.fromEntries(nodeFiles), ...jobFiles(1) };
  commitFiles(work, files, 'Many nodes');
  reconciler = await startManyReconciler({ root, cluster: CLUSTER, repository: work });
  const { address } = reconciler;
  const nodes = names.map((name) => ({ name, address }));
  runners = startRunners({ cluster: CLUSTER, root, nodes });
});
afterAll(async () => {
  await reconciler?.kill();
  await runners?.stop();
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});

const counts = () => runners?.counts();

test('all that join at once are heard, and get their work', async () => {
  await expect.poll(() => counts()?.heard).toBe(RUNNERS);
  await expect.poll(() => counts()?.running).toBe(RUNNERS);
});

test('all come back to a reconciler that was killed, and nothing is touched', async () => {
  const before = runners?.containers();
  await reconciler?.kill();
  runners?.mark('');
  await reconciler?.start();
  await expect.poll(() => counts()?.heard).toBe(RUNNERS);
  await expect
    .poll(async () => {
      const { view } = (await reconciler?.state()) ?? { view: null };
      const connected = view?.live.nodes.filter((node) => node.connected).length;
      return { connected, steps: view?.plan.steps.length, synced: view?.plan.synced };
    })
    .toEqual({ connected: RUNNERS, steps: 0, synced: true });
  expect(runners?.containers()).toEqual(before);
});

test('a commit that touches all reaches each of them', async () => {
  const before = new Set(runners?.containers());
  const commit = commitFiles(work, jobFiles(2), 'Another version of all');
  runners?.mark(commit);
  await expect.poll(() => counts()?.ordered).toBe(RUNNERS);
  await expect
    .poll(() => (runners?.containers() ?? []).filter((id) => !before.has(id)).length)
    .toBe(RUNNERS);
  expect(counts()?.tookMs.length).toBeGreaterThan(0);
});
