// Services on real containers: found by everybody while they are ready, and nobody is sent to a copy
// that does not answer, through a rolling update and the death of the reconciler. One node has the
// runner's own network, the other one of CNI plugins.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServicesAnswer } from '../../schema/services.ts';
import { appJob } from '../support/app.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { hasCni, writeCniConfig } from '../support/cni.ts';
import { get } from '../support/traffic.ts';

const WEB = 'shop/web';
const FILE = 'jobs/shop/web.yaml';
const NAME = 'site.shop.svc.purser';
const COUNT = 3;
/** Longer than a busy machine lets a list lie before it is used: older ones are not counted. */
const DELAY_MS = 6000;

const job = (version: string): string =>
  appJob({
    image: '%APP%',
    version,
    count: COUNT,
    order: 'start-first',
    more: ['services: [{ name: site, port: http, tags: [pages] }]'],
  }).replace('shutdown_delay: 1s', `shutdown_delay: ${DELAY_MS / 1000}s`);

let cluster: Cluster;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'services-'));
  const config = await writeCniConfig({ root: folder, id: randomBytes(3).toString('hex') });
  cluster = await startCluster({
    nodes: 2,
    files: { [FILE]: job('1') },
    runnerWords: ({ name }) => (name === 'n2' && hasCni ? ['--cni-config', config] : []),
  });
  await cluster.settled(WEB);
});
afterAll(async () => {
  await cluster?.close();
  await rm(folder, { recursive: true });
});

/** What a program is told by HTTP. */
const listed = async (): Promise<readonly string[]> => {
  const text = await new Promise<string>((resolve, reject) => {
    const socketPath = join(cluster.root, 'api.sock');
    const request = http.get({ socketPath, path: '/v1/services', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', reject);
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
  const { services } = JSON.parse(text) as ServicesAnswer;
  const site = services.find(({ name }) => name === 'site');
  return (site?.instances ?? []).map(({ address, port }) => `${address}:${port}`);
};

/** Asks for the list, then each address on it, all the time. */
const client = () => {
  const abort = new AbortController();
  const failures: string[] = [];
  const answers = new Set<string>();
  let inTime = 0;
  const asking = (async () => {
    for (; !abort.signal.aborted; await sleep(20)) {
      const askedAt = performance.now();
      const addresses = await listed();
      if (addresses.length === 0) failures.push('none is listed');
      for (const address of addresses) {
        const failure = await get(`http://${address}/`).then(
          (body) => void answers.add(body),
          (error: unknown) => `${address}: ${String(error)}`,
        );
        // A list is good for shutdown_delay after it was asked for (rules 16.3).
        if (performance.now() - askedAt >= DELAY_MS) break;
        if (typeof failure === 'string') failures.push(failure);
        inTime += 1;
      }
    }
  })();
  return async () => {
    abort.abort();
    await asking;
    return { failures, answers: [...answers].toSorted(), inTime };
  };
};

/** Addresses that DNS gives to a copy of a node; the names of nodes' addresses, not ports. */
const resolved = async (node: string): Promise<readonly string[]> => {
  const { allocations = [] } =
    (await cluster.state()).view.live.nodes.find(({ name }) => name === node) ?? {};
  const copy = allocations.find(({ phase, stopping }) => phase === 'running' && !stopping);
  const words = ['--root', cluster.root, copy?.allocation ?? '', '--', '/bin/busybox', 'sh', '-c'];
  // What `purser` of the cluster adds behind it is for the shell.
  const text = await cluster
    .purser('exec', ...words, `/bin/busybox nslookup -type=a ${NAME}`)
    .catch(String);
  const [, ...answers] = text.split(NAME);
  const answer = answers.join();
  return [...new Set(answer.match(/\d+\.\d+\.\d+\.\d+/g) ?? [])].toSorted();
};

const listedNodes = async (): Promise<readonly string[]> => {
  const addresses = (await listed()).map((address) => address.replace(/:\d+$/, ''));
  return [...new Set(addresses)].toSorted();
};

test('copies that are ready are listed, and answer where the list says', async () => {
  const addresses = await listed();
  expect(addresses).toHaveLength(COUNT);
  expect(await Promise.all(addresses.map((address) => get(`http://${address}/`)))).toEqual(
    Array(COUNT).fill('1'),
  );
  const shown = await cluster.purser('services', 'site');
  expect(shown).toContain(`shop/site  ${COUNT}/${COUNT}`);
  for (const address of addresses) expect(shown).toContain(address);
});

/** Whoever made its network. */
const expectResolved = async (): Promise<void> => {
  for (const { name } of cluster.nodes) {
    const asked = () => resolved(name);
    await expect.poll(asked, { timeout: 60_000 }).toEqual(await listedNodes());
  }
};

test('a copy of each node finds them by DNS', expectResolved);

test('a rolling update never shows a copy that does not answer', async () => {
  const stop = client();
  cluster.commit({ [FILE]: job('2').replaceAll('%APP%', cluster.image) }, 'the second');
  await cluster.settled(WEB);
  // The last old copy is out, and has been for as long as its list was good.
  await cluster.until('the old copies are gone', ({ view }) =>
    view.live.nodes.every(({ allocations }) =>
      allocations.every(({ phase }) => phase === 'running'),
    ),
  );
  const { failures, answers, inTime } = await stop();
  expect(failures).toEqual([]);
  expect(answers).toEqual(['1', '2']);
  expect(inTime).toBeGreaterThan(COUNT);
});

test('a copy that stops is found no more before it is signalled, and answers until then', async () => {
  const before = await listed();
  const scaled = cluster.purser('scale', `web=${COUNT - 1}`);
  let lastAt = performance.now();
  let gone: string | undefined;
  while (gone === undefined) {
    const askedAt = performance.now();
    const now = await listed();
    gone = before.find((address) => !now.includes(address));
    // It stood in the list that was asked for then, so it was told to stop later.
    if (gone === undefined) lastAt = askedAt;
  }
  // Until shutdown_delay is over it answers; what comes later says nothing.
  while (performance.now() - lastAt < DELAY_MS) {
    const body = await get(`http://${gone}/`).catch(String);
    if (performance.now() - lastAt < DELAY_MS) expect(body).toBe('2');
    else break;
    await sleep(50);
  }
  await scaled;
  await cluster.until('it is gone', ({ view }) => {
    const copies = view.live.nodes.flatMap(({ allocations }) => allocations);
    return copies.length === COUNT - 1 || `${copies.length} are left`;
  });
  await expect(get(`http://${gone}/`)).rejects.toThrow();
  await cluster.purser('scale', `web=${COUNT}`);
  await expect.poll(listed, { timeout: 60_000 }).toHaveLength(COUNT);
});

test('a reconciler that starts anew loses nobody', async () => {
  const before = (await listed()).toSorted();
  await cluster.reconciler.end('SIGKILL');
  expect(await Promise.all(before.map((address) => get(`http://${address}/`)))).toEqual(
    Array(COUNT).fill('2'),
  );
  cluster.reconciler.start();
  await cluster.until('it reads its repository', () => true);
  await expect.poll(async () => (await listed()).toSorted(), { timeout: 60_000 }).toEqual(before);
  await expectResolved();
});
